"""What every route of the API does with a request before its endpoint sees it, and what it says."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from evaluation_api.app import create_fastapi_app
from evaluation_api.web.problems import MEDIA_TYPE
from tests.clients import MARIA

REVIEW = {"decisao": "aprovado", "justificativa": "Renda comprovada.", "revisor": "Ana"}
JSON = {"Content-Type": "application/json"}
PROBLEM = ("title", "status", "detail", "instance", "type", "codigo")
PROBES = {"/health", "/health/ready", "/health/live"}


class Reached(Exception):  # noqa: N818 - no fault: what every request should come to
    """An endpoint asked for its services, so its request was read and accepted."""


class Services:
    """None of them can be had."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever is asked for
        """Say that somebody got this far."""
        raise Reached(name)


APP = create_fastapi_app()
APP.state.services = Services()


def ask(method: str, path: str, **sent: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
    """Ask an application without services; 500 means that the endpoint was reached."""

    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **sent)

    return asyncio.run(asking())


API = [
    (method, path.format(evaluation_id="1", file_id="1"))
    for path, operations in APP.openapi()["paths"].items()
    for method in operations
    if path not in PROBES
]


def pointers(answer: httpx.Response) -> set[str]:
    assert answer.headers["content-type"] == MEDIA_TYPE, answer.text
    return {error["pointer"] for error in answer.json()["erros"]}


@pytest.mark.parametrize(("method", "path"), API)
def test_a_parameter_that_a_route_does_not_know_is_refused_by_name(method: str, path: str) -> None:
    body = {} if path == "/lotes" else {"json": MARIA}
    refusal = ask(method, path, params={"desconhecido": "1"}, **body)

    assert (refusal.status_code, pointers(refusal)) == (422, {"#/desconhecido"})


@pytest.mark.parametrize("path", ["/avaliacoes?limite=1&limite=2", "/lotes?nome=a&nome=b"])
def test_a_repeated_parameter_is_refused_by_name(path: str) -> None:
    refusal = ask("GET" if "avaliacoes" in path else "POST", path)

    assert (refusal.status_code, len(pointers(refusal))) == (422, 1)
    assert "uma só vez" in refusal.json()["erros"][0]["detail"]


@pytest.mark.parametrize(
    ("path", "sent", "field"),
    [
        ("/avaliar", MARIA, "payments"),
        ("/avaliacoes/1/revisao", REVIEW, "decisao"),
        ("/avaliacoes/busca", {"nome": "Ana"}, "nome"),
    ],
)
def test_a_field_that_stands_twice_in_a_body_is_refused_by_name(
    path: str, sent: dict[str, Any], field: str
) -> None:
    twice = f'{{"{field}": {json.dumps(sent[field])}, {json.dumps(sent)[1:]}'
    refusal = ask("POST", path, content=twice, headers=JSON)

    assert (refusal.status_code, pointers(refusal)) == (422, {f"#/{field}"})
    assert "uma só vez" in refusal.json()["erros"][0]["detail"]


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ('{"colunas": {"nome": "a", "nome": "nome"}}', "#/colunas/nome"),
        ('{"colunas": [0, {"nome": {"a": 1, "b": [], "a": 2}}]}', "#/colunas/1/nome/a"),
    ],
)
def test_a_field_that_stands_twice_inside_another_is_refused_by_name(
    sent: str, pointer: str
) -> None:
    refusal = ask("POST", "/lotes/1/respostas", content=sent, headers=JSON)

    assert (refusal.status_code, pointers(refusal)) == (422, {pointer})
    assert "uma só vez" in refusal.json()["erros"][0]["detail"]


def test_what_is_too_deep_to_be_looked_through_is_refused_as_what_it_is() -> None:
    deep = '{"a":' * 10_000 + "1" + "}" * 10_000
    assert ask("POST", "/lotes/1/respostas", content=deep, headers=JSON).status_code in {400, 422}


@pytest.mark.parametrize("path", [*sorted(PROBES), "/metrics", "/docs/", "/openapi.json"])
def test_probes_and_pages_take_any_query(path: str) -> None:
    assert ask("GET", path, params={"desconhecido": "1"}).status_code != 422


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"#/decisao", "#/justificativa", "#/revisor"}),
        ({"decisao": "talvez", "justificativa": "curta", "revisor": ""}, {*REVIEW}),
        ({**REVIEW, "x": 1}, {"x"}),
        ("Ana", {""}),
    ],
)
def test_a_wrong_review_is_refused_by_field(body: object, wrong: set[str]) -> None:
    refusal = ask("POST", "/avaliacoes/1/revisao", json=body)

    assert refusal.status_code == 422
    assert {name.lstrip("#/") for name in pointers(refusal)} == {w.lstrip("#/") for w in wrong}


@pytest.mark.parametrize("path", ["/avaliar", "/avaliacoes/1/revisao"])
@pytest.mark.parametrize(
    "body", [b"", b'{"name": ', b'{"revisor": "\\ud800"}', '{"name": "é"}'.encode("latin-1")]
)
def test_what_is_no_json_is_said_to_be_none(path: str, body: bytes) -> None:
    refusal = ask("POST", path, content=body, headers=JSON)

    assert (refusal.status_code, refusal.json()["title"]) == (400, "JSON inválido")
    assert [*refusal.json()] == [*PROBLEM]


@pytest.mark.parametrize("path", ["/avaliar", "/avaliacoes/1/revisao", "/avaliacoes/busca"])
def test_a_body_of_very_many_unknown_fields_gets_a_small_answer(path: str) -> None:
    refusal = ask("POST", path, json={f"f{number}": 1 for number in range(6_000)})
    told = refusal.json()

    assert (refusal.status_code, len(told["erros"])) == (422, 20)
    assert f"20 de {told['total_de_erros']}" in told["detail"]
    assert len(refusal.content) < 4096


def test_a_query_of_very_many_unknown_parameters_gets_a_small_answer() -> None:
    refusal = ask("GET", "/politica", params={f"f{number}": 1 for number in range(6_000)})

    assert (refusal.status_code, refusal.json()["total_de_erros"]) == (422, 6_000)
    assert len(refusal.content) < 4096


@pytest.mark.parametrize("path", ["/avaliar", "/avaliacoes/1/revisao"])
def test_a_body_of_more_than_64_kilobytes_is_refused(path: str) -> None:
    refusal = ask("POST", path, content=b" " * 65_537, headers=JSON)

    assert (refusal.status_code, refusal.json()["title"]) == (413, "Pedido grande demais")


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
def test_a_compressed_body_is_refused_with_what_is_taken(coding: str) -> None:
    headers = {**JSON, "Content-Encoding": coding}
    refusal = ask("POST", "/avaliar", content=b"{}", headers=headers)

    assert (refusal.status_code, refusal.json()["codigo"]) == (415, "tipo_nao_aceito")
    assert refusal.headers["accept-encoding"] == "identity"
    assert "application/json" in refusal.headers["accept"]


def test_a_body_that_says_it_is_not_compressed_is_read() -> None:
    headers = {"Content-Encoding": "identity"}

    assert ask("POST", "/avaliar", json=MARIA, headers=headers).status_code == 500
