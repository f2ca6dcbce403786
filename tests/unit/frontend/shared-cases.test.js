/** The page takes the same applicants and reviews as the services, but where the table says so. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { formatMoney } from "../../../frontend/js/amounts.js";
import { AMOUNT_FIELDS, readApplicant } from "../../../frontend/js/applicant.js";
import { LONGEST_NAME } from "../../../frontend/js/limits.js";
import { readReview } from "../../../frontend/js/review.js";

const TABLE = JSON.parse(readFileSync(new URL("../../cases/applicants.json", import.meta.url)));
const AMOUNTS = Object.keys(TABLE.features);
const APPLICANT = { name: "Ana", ...Object.fromEntries(AMOUNTS.map((name) => [name, "1"])) };
const REVIEW = { decisao: "aprovado", justificativa: "Renda comprovada", revisor: "Ana" };

const SAYS = {
  missing: /^Informe (um valor|o nome)/,
  empty: /^Informe (o nome|quem)/,
  no_number: /^Digite só o número/,
  negative: /não pode ser negativo/,
  zero: /maior que zero/,
  too_large: /maior valor aceito/,
  too_many_decimals: /duas casas/,
  too_short: /pelo menos 10/,
  too_long: /no máximo (120|2000) caracteres/,
  unreadable: /legíveis/,
  no_letter: /pelo menos uma letra/,
  cpf: /sem CPF/,
  unknown_decision: /Escolha uma decisão/,
};

const repeated = (value, times = 1) => (typeof value === "string" ? value.repeat(times) : value);

function check(row, field, good, read) {
  const { value, fault } = row.form ?? row;
  const text = repeated(row.text, row.times);
  test(`${field}: ${row.what}`, () => {
    const { errors, ...taken } = read({ ...good, [field]: text });
    if (fault === undefined) {
      assert.deepEqual(errors, []);
      assert.equal(Object.values(taken)[0][field], repeated(value, row.times));
    } else {
      assert.deepEqual(
        errors.map((error) => error.field),
        [field],
      );
      assert.match(errors[0].message, SAYS[fault]);
    }
  });
}

for (const [section, fields, good, read] of [
  ["amounts", AMOUNTS, APPLICANT, readApplicant],
  ["names", ["name"], APPLICANT, readApplicant],
  ["reviews", [], REVIEW, readReview],
])
  for (const row of TABLE[section])
    if (row.text !== undefined)
      for (const field of row.fields ?? fields) check(row, field, good, read);

for (const [amount, shown] of TABLE.shown)
  test(`the page shows ${amount} as sentences do`, () => {
    assert.equal(formatMoney(amount).replace("\u00a0", " "), shown);
  });

test("the amounts have one order and one name each", () => {
  assert.deepEqual(
    AMOUNT_FIELDS.map(({ name, label }) => [name, label]),
    Object.entries(TABLE.features),
  );
});

test("the search for a name takes as much as a name has", () => {
  const page = readFileSync(new URL("../../../frontend/historico.html", import.meta.url), "utf-8");
  assert.deepEqual(page.match(/maxlength="\d+"/g), [`maxlength="${LONGEST_NAME}"`]);
});
