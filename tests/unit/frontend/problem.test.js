import assert from "node:assert/strict";
import test from "node:test";

import {
  isPassing,
  problemFromAnswer,
  problemOfSilence,
  readRetryAfter,
} from "../../../frontend/js/problem.js";

test("the service's own words are kept", () => {
  const problem = problemFromAnswer(503, { title: "Fora do ar", detail: "Volta já." }, "7");
  assert.deepEqual(
    [problem.status, problem.title, problem.detail, problem.retryAfter],
    [503, "Fora do ar", "Volta já.", 7],
  );
});

test("a problem has the code of its request, from its body or else from its header", () => {
  assert.equal(problemFromAnswer(500, { instance: "a1" }, null, "b2").code, "a1");
  assert.equal(problemFromAnswer(502, null, null, "b2").code, "b2");
  assert.equal(problemOfSilence().code, null);
});

test("a field's name does not stand twice beside the field", () => {
  const erros = [
    { pointer: "#/name", detail: "Nome: preencha este campo." },
    { pointer: "#/sexo", detail: "O campo “sexo” não é aceito." },
  ];
  assert.deepEqual(
    problemFromAnswer(422, { erros }, null).errors.map(({ message }) => message),
    ["Preencha este campo.", "O campo “sexo” não é aceito."],
  );
});

test("a line of a file stays named, since nothing else on the page says which it is", () => {
  const erros = [{ pointer: "#/2", detail: "Linha 2: há aspas que abrem e não fecham." }];
  assert.equal(problemFromAnswer(422, { erros }, null).errors[0].message, erros[0].detail);
});

test("each pointer of a 422 names its field", () => {
  const erros = [
    { pointer: "#/credit_limit", detail: "A" },
    { pointer: "/name", detail: "B" },
    { pointer: "#/sal%C3%A1rio~1m%C3%AAs", detail: "C" },
    { pointer: "#", detail: "D" },
  ];
  assert.deepEqual(problemFromAnswer(422, { erros }, null).errors, [
    { field: "credit_limit", message: "A" },
    { field: "name", message: "B" },
    { field: "salário/mês", message: "C" },
    { field: null, message: "D" },
  ]);
});

test("an answer without a problem body still says what to do", () => {
  for (const status of [404, 409, 413, 422, 429, 500, 502, 503]) {
    const { title, detail, errors } = problemFromAnswer(status, null, null);
    assert.ok(title.length > 10 && detail.length > 10);
    assert.deepEqual(errors, []);
  }
});

test("Retry-After is read as seconds, within bounds", () => {
  assert.equal(readRetryAfter("5"), 5);
  assert.equal(readRetryAfter("0"), 0);
  assert.equal(readRetryAfter("-3"), 0);
  assert.equal(readRetryAfter("86400"), 120);
  assert.equal(readRetryAfter(null), null);
  assert.equal(readRetryAfter("soon"), null);
});

test("what may pass by itself is told from what must be corrected", () => {
  assert.ok(isPassing(problemOfSilence()));
  for (const status of [409, 429, 500, 502, 503, 504])
    assert.ok(isPassing({ status }), String(status));
  for (const status of [400, 404, 413, 422]) assert.ok(!isPassing({ status }), String(status));
});
