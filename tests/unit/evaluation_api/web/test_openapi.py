"""The description of the API: committed as it is, and what its changes would do to callers."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from evaluation_api.app import create_fastapi_app
from evaluation_api.web.problem_table import documented
from tests.openapi_changes import incompatible
from tests.services import PROJECT

COMMITTED = json.loads((PROJECT / "docs/openapi.json").read_text(encoding="utf-8"))
EVALUATE = COMMITTED["paths"]["/avaliar"]["post"]
SCHEMAS = COMMITTED["components"]["schemas"]


def test_the_committed_description_is_what_the_service_says() -> None:
    assert create_fastapi_app().openapi() == COMMITTED, "it is stale: make openapi"


def test_whoever_asks_for_the_description_gets_it_as_it_was_written_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = create_fastapi_app()
    client = TestClient(app, base_url="http://localhost")
    first = client.get("/openapi.json")
    monkeypatch.setattr(app, "openapi", None)

    assert client.get("/openapi.json").content == first.content
    assert first.json() == COMMITTED


def test_names_are_short_and_in_ascii_and_every_field_of_an_answer_is_described() -> None:
    operations = [one for methods in COMMITTED["paths"].values() for one in methods.values()]
    names = [one["operationId"] for one in operations] + [
        tag for one in operations for tag in one["tags"]
    ]

    assert all(name.isascii() and name.isidentifier() and len(name) <= 20 for name in names)
    assert len({one["operationId"] for one in operations}) == len(operations)
    undescribed = [
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        for field, described in schema.get("properties", {}).items()
        if "description" not in described and "$ref" not in json.dumps(described)
    ]
    assert not undescribed


def test_files_are_called_files_as_on_the_pages() -> None:
    paths = json.dumps(COMMITTED["paths"])
    texts = re.findall(r'"(?:description|summary|title)": "([^"]*)"', paths)
    texts += [schema.get("description", "") for schema in SCHEMAS.values()]
    texts += [text for answer in documented() for text in (answer.title, answer.detail)]
    assert not [text for text in texts if re.search(r"\blotes?\b", text, re.IGNORECASE)]


def test_what_a_caller_must_do_next_is_said_with_the_status() -> None:
    answers = EVALUATE["responses"]

    assert answers.keys() >= {"200", "202", "400", "409", "413", "422", "429", "503"}
    assert answers["202"]["headers"].keys() == {"Location", "Retry-After", "Preference-Applied"}
    assert all("Retry-After" in answers[status]["headers"] for status in ("409", "429", "503"))
    assert answers["401"]["headers"].keys() == {"WWW-Authenticate"}
    assert answers["415"]["headers"].keys() == {"Accept", "Accept-Encoding"}
    assert {*answers["422"]["content"]} == {"application/problem+json"}


def changed(*path: str, to: object = None) -> Callable[[dict[str, Any]], None]:
    """Change one place of a document, or delete it."""

    def change(document: dict[str, Any]) -> None:
        *folders, name = path
        for folder in folders:
            document = document[folder]
        if to is None:
            del document[name]
        else:
            document[name] = to

    return change


ANSWER = ("components", "schemas", "Avaliacao")
BODY = ("components", "schemas", "ApplicantBody")
SEARCH = ("paths", "/avaliacoes", "get", "parameters")
NEEDED = {"in": "query", "name": "conta", "required": True, "schema": {"type": "string"}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed("paths", "/politica"), "GET /politica: is gone"),
        (changed("paths", "/lotes", "post"), "POST /lotes: is gone"),
        (changed(*ANSWER, "properties", "resposta"), "resposta is gone"),
        (changed(*ANSWER, "properties", "cluster", to={"type": "string"}), "may be string"),
        (changed(*ANSWER, "properties", "perfil", to={"type": "null"}), "may be null"),
        (changed(*ANSWER, "required", to=["nome"]), "cluster may be left out"),
        (changed(*BODY, "properties", "balance"), "balance is gone"),
        (changed(*BODY, "properties", "balance", "maximum", to=10), "balance: maximum"),
        (changed(*BODY, "properties", "name", "minLength", to=9), "name: minLength"),
        (changed(*BODY, "properties", "name", to={"type": "null"}), "no longer be string"),
        (
            changed(*BODY, "required", to=[*SCHEMAS["ApplicantBody"]["required"], "x"]),
            "x is needed",
        ),
        (changed("components", "schemas", "Outcome", "enum", to=["aprovado"]), "'recusado'"),
        (changed("components", "schemas", "Outcome", "enum", to=["?"]), "may be '?'"),
        (changed(*SEARCH, to=[]), "query cursor is gone"),
        (
            changed(*SEARCH, to=[*COMMITTED["paths"]["/avaliacoes"]["get"]["parameters"], NEEDED]),
            "query conta is needed",
        ),
    ],
)
def test_a_change_that_breaks_callers_is_found(
    change: Callable[[dict[str, Any]], None], said: str
) -> None:
    now = copy.deepcopy(COMMITTED)
    change(now)

    assert any(said in found for found in incompatible(COMMITTED, now))


def test_saying_more_and_taking_more_breaks_nobody() -> None:
    now = copy.deepcopy(COMMITTED)
    for name in ("Avaliacao", "ApplicantBody"):
        now["components"]["schemas"][name]["properties"]["novo"] = {"type": "string"}
    now["components"]["schemas"]["ApplicantBody"]["properties"]["balance"]["maximum"] = 1e9
    now["paths"]["/novo"] = now["paths"]["/politica"]

    assert incompatible(COMMITTED, now) == []
