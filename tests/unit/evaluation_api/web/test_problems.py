"""Every problem has a code, and a paragraph that its type leads to; the gateway's have them too."""

import asyncio
import json
import re
from http import HTTPStatus
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from evaluation_api.app import create_fastapi_app
from evaluation_api.decision.errors import RecordUnavailableError, RecordUncertainError
from evaluation_api.record.outage import Outage
from evaluation_api.web import problem_table, problems
from tests.services import PROJECT

CODES = {answer.code: answer for answer in problem_table.documented()}
APP = create_fastapi_app()


def ask(method: str, path: str, app: FastAPI = APP) -> httpx.Response:
    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path)

    return asyncio.run(asking())


def test_every_problem_has_a_code_of_its_own_and_a_paragraph_under_it() -> None:
    page = ask("GET", problems.PAGE)

    assert page.status_code == 200
    assert re.findall(r'<section id="([a-z_0-9]+)">', page.text) == [*CODES]
    assert len({answer.title for answer in CODES.values()}) == len(CODES)
    assert all(answer.detail in page.text for answer in CODES.values())


def test_a_problem_leads_to_its_paragraph() -> None:
    told = ask("GET", "/nada").json()

    assert (told["codigo"], told["type"]) == (
        "pagina_nao_encontrada",
        "/docs/problemas#pagina_nao_encontrada",
    )


@pytest.mark.parametrize(
    ("error", "told_as"),
    [(RecordUnavailableError, "refused_ids"), (RecordUncertainError, "uncertain_ids")],
)
def test_who_is_answered_that_there_is_no_record_is_counted_once_in_the_outage(
    caplog: pytest.LogCaptureFixture, error: type[RecordUnavailableError], told_as: str
) -> None:
    class Executor:
        async def run_read(self, *_: object) -> None:
            raise error("the disk is gone")

    app, policies = create_fastapi_app(), SimpleNamespace(used=None)
    app.state.services = SimpleNamespace(executor=Executor(), policies=policies)
    app.state.outage = outage = Outage(settled_seconds=0)
    outage.begin(RecordUnavailableError("the disk is gone"))

    answers = [ask("GET", "/politica", app) for _ in range(2)]
    for _ in range(2):
        outage.end()

    told = vars(caplog.records[-1])
    assert told[told_as].split() == [answer.json()["instance"] for answer in answers]
    assert told["refused"] + told["uncertain"] == 2


def test_a_method_that_is_not_taken_is_answered_with_all_that_are() -> None:
    paths = [
        ("PUT", "/lotes"),
        ("DELETE", "/avaliar"),
        ("PUT", "/avaliacoes/busca"),
        ("POST", "/politica"),
        ("POST", "/docs/"),
    ]

    assert [ask(*one).headers["allow"] for one in paths] == [
        "GET, HEAD, POST",
        "POST",
        "POST",
        "GET, HEAD",
        "GET, HEAD",
    ]


def test_the_gateway_tells_of_a_problem_what_the_table_says() -> None:
    source = (PROJECT / "deploy/nginx/problems.conf").read_text("utf-8")
    told = [json.loads(body) for body in re.findall(r"return \d+ '(\{.*\})';", source)]

    assert len(told) == 10
    for problem in told:
        known = CODES[problem["codigo"]]
        assert problem["type"] == f"{problems.PAGE}#{known.code}"
        assert (problem["title"], problem["status"]) == (known.title, known.status)


def test_the_description_of_the_api_names_the_codes_of_each_route() -> None:
    for operations in APP.openapi()["paths"].values():
        for operation in operations.values():
            told = {
                code: re.findall(r"\((\w+)\)", answer["description"])
                for code, answer in operation["responses"].items()
                if "application/problem+json" in answer.get("content", {}) and code != "default"
            }
            assert all(codes and {*codes} <= CODES.keys() for codes in told.values())


def test_no_read_is_told_that_nothing_was_recorded() -> None:
    reads = [one["get"] for one in APP.openapi()["paths"].values() if "get" in one]
    told = {
        code
        for read in reads
        for answer in read["responses"].values()
        for code in re.findall(r"\((\w+)\)", answer["description"])
    }

    assert {"dados_nao_aceitos", "muitos_pedidos", "sem_permissao"} <= told
    assert [code for code in told if "foi registrad" in CODES[code].detail] == []


@pytest.mark.parametrize("status", [503, 408, 431, 400])
def test_each_refusal_names_a_request_of_its_own_in_its_head_and_in_its_body(status: int) -> None:
    told = [problems.refusal(HTTPStatus(status)) for _ in range(3)]

    heads, bodies = zip(*(one.split(b"\r\n\r\n") for one in told), strict=True)
    named = [re.findall(rb"x-request-id: ([0-9a-f-]{36})\r\n", head) for head in heads]
    assert [[json.loads(body)["instance"].encode()] for body in bodies] == named
    assert len({name for (name,) in named}) == len(told)
    for head, body in zip(heads, bodies, strict=True):
        assert b"content-length: %d\r\n" % len(body) in head
