"""Every route of the application, asked by every role in every way in."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from evaluation_api.access import roles
from evaluation_api.access.gate import Access
from evaluation_api.access.identity import Role
from evaluation_api.access.roles import FREE, TABLE, Rules
from evaluation_api.access.sessions import Sessions
from evaluation_api.app import create_fastapi_app
from tests.access import access, cookie, key
from tests.services import PROJECT

ACCESS = access()
APP = create_fastapi_app(access=ACCESS)
#: The endpoint found no services; or the request was no good, which comes after access.
LET_IN = {200, 308, 400, 404, 415, 422, 500}
BOUND = [name for name in TABLE if TABLE[name]]
WAYS: dict[str, Callable[..., dict[str, str]]] = {"key": key, "session": cookie}


def ask(name: str, headers: dict[str, Any], path: str | None = None) -> httpx.Response:
    return ask_all({name: path or path_of(name)}, headers)[name]


def path_of(name: str) -> str:
    return name.partition(" ")[2].replace("{", "").replace("}", "")


def ask_all(paths: dict[str, str], headers: dict[str, Any]) -> dict[str, httpx.Response]:
    """Ask for each route by a path, with a body of the right type and no sense."""

    async def asking() -> dict[str, httpx.Response]:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return {
                name: await client.request(
                    name.partition(" ")[0], path, headers=headers | media_type(name), content=b"{}"
                )
                for name, path in paths.items()
            }

    return asyncio.run(asking())


def media_type(name: str) -> dict[str, str]:
    return {"Content-Type": "text/csv" if name == "POST /lotes" else "application/json"}


def test_the_table_names_every_route_and_no_other() -> None:
    assert {name for name, _ in roles.named(APP.routes)} == set(TABLE)


def test_the_documents_show_the_table_as_it_is() -> None:
    heads = "| route | " + " | ".join(Role) + " |\n| --- |" + " :-: |" * len(Role)
    rows = [
        f"| `{name}` | " + " | ".join(_mark(allowed, role) for role in Role) + " |"
        for name, allowed in TABLE.items()
    ]
    shown = (PROJECT / "docs/security.md").read_text(encoding="utf-8")

    assert "\n".join(["<!-- roles -->", heads, *rows, "<!-- /roles -->"]) in shown


def _mark(allowed: roles.Roles | None, role: Role) -> str:
    if allowed is FREE:
        return "free"
    if not allowed:
        return "any"
    return "yes" if role in allowed else ""


def test_a_route_that_the_table_does_not_name_keeps_the_application_from_starting() -> None:
    app = create_fastapi_app()
    app.add_api_route("/forgotten", lambda: None)

    with pytest.raises(KeyError, match=r"GET /forgotten: TABLE of evaluation_api\.access\.roles"):
        Rules(app.routes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("role", Role)
def test_a_role_is_let_in_where_the_table_says_so_and_nowhere_else(role: Role, way: str) -> None:
    answered = ask_all({name: path_of(name) for name in BOUND}, WAYS[way](ACCESS, role))

    let_in = {name for name, answer in answered.items() if answer.status_code in LET_IN}
    refused = {name for name, answer in answered.items() if answer.status_code == 403}
    assert let_in == {name for name in BOUND if role in (TABLE[name] or ())}
    assert refused == set(BOUND) - let_in


def test_nobody_is_let_in_without_saying_who_they_are() -> None:
    for refused in ask_all({name: path_of(name) for name in BOUND}, {}).values():
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["codigo"] == "identificacao_necessaria"


def test_pages_descriptions_and_probes_ask_nobody_who_they_are() -> None:
    free = {name: path_of(name) for name in TABLE if TABLE[name] is FREE}

    assert {answer.status_code for answer in ask_all(free, {}).values()} <= LET_IN


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("POST /avaliar", "/avaliar%0A"),
        ("POST /avaliar", "//avaliar"),
        ("POST /avaliar", "/%61valiar"),
        ("GET /avaliacoes", "/avaliacoes%0A"),
        ("HEAD /avaliacoes", "/avaliacoes"),
        ("GET /avaliacoes/{evaluation_id}", "/avaliacoes/busca"),
        ("GET /metrics", "/metrics?a=/health"),
        ("GET /metrics", "/health/../metrics"),
    ],
)
def test_no_other_way_to_write_an_address_is_a_way_around(name: str, path: str) -> None:
    assert ask(name, {}, path).status_code in {401, 404}


def test_several_roles_may_do_what_each_may() -> None:
    both = key(ACCESS, Role.INTEGRATION, Role.OPERATOR)

    assert ask("POST /avaliar", both).status_code in LET_IN
    assert ask("GET /metrics", both).status_code in LET_IN
    assert ask("GET /avaliacoes", both).status_code == 403


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer ccce_made-up"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer \u00e9"},
        {"Cookie": "sessao=made.up.cookie"},
        {"Cookie": "sessao=" + "x" * 5000},
        {"Cookie": "sessao"},
        {"X-Forwarded-User": "ana"},
    ],
)
def test_what_is_made_up_is_nobody(header: dict[str, Any]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in header.items()}

    assert ask("GET /avaliacoes", encoded).status_code == 401


def test_a_cookie_signed_by_another_is_nobodys() -> None:
    other = Access(Sessions("another secret of enough letters"), ACCESS.keyring, ACCESS.limit)

    assert ask("GET /avaliacoes", cookie(other, Role.AUDITOR)).status_code == 401
