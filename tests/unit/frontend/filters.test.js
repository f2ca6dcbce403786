import assert from "node:assert/strict";
import test from "node:test";

import { filtersFrom, listAddress, pageQuery } from "../../../frontend/js/filters.js";

test("the address carries the filters, and nothing else gets through", () => {
  assert.deepEqual(filtersFrom("?nome=Jo%C3%A3o&decisao=&perfil=0&limite=9999&cursor=x"), {
    nome: "João",
    perfil: "0",
  });
});

test("the first page asks with the filters alone", () => {
  assert.deepEqual(pageQuery({ nome: "João & Ana", perfil: "0" }), {
    limite: 20,
    nome: "João & Ana",
    perfil: 0,
  });
});

test("the next page starts where the one before it ended", () => {
  assert.deepEqual(pageQuery({}, "abc="), { limite: 20, cursor: "abc=" });
});

test("the list's address carries the filters, and is short without any", () => {
  assert.equal(listAddress({ nome: "João", perfil: "0" }), "/historico.html#nome=Jo%C3%A3o&perfil=0");
  assert.equal(listAddress({}), "/historico.html");
});

test("an address leads back to the filters that it was made of", () => {
  const filters = { nome: "Ana & Bia", decisao: "recusado" };
  assert.deepEqual(filtersFrom(listAddress(filters).split("#")[1]), filters);
});
