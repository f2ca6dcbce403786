"""People come in by one-time links and with a provider's accounts, and go, on two replicas."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from evaluation_api.decision import sentences
from evaluation_api.operations.commands import main
from evaluation_api.record import database
from evaluation_api.record.chain import ChainLog
from tests import commands, provider
from tests.clients import MARIA
from tests.provider import know, signing_in
from tests.services import Server, eventually

ME = "/acesso"


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with provider.provider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(scope="module")
def site(
    model_service: Server, identities: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("people")
    with signing_in(folder, model_service.url, identities) as server:
        yield server


@pytest.fixture
def browser(site: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url) as client:
        yield client


def link(site: Server, name: str, *roles: str) -> str:
    """Have a link made; return what follows the #."""
    command = ("keys", "link", name, "--role", *(roles or ("analista",)))
    done = commands.run(main, *command, environment=site.environment)
    address, _, secret = done.stdout.strip().partition("#")
    assert address == f"{site.environment['EVALUATION_PUBLIC_URL']}/entrar.html"
    return secret


def sign_in_as(browser: httpx.Client, person: str, action: str = "") -> httpx.Response:
    """Go to the provider, say who one is, or deny, and come back."""
    led = browser.get("/entrar/oidc/inicio")
    assert led.status_code == 302
    said = {"sub": person} | ({"action": action} if action else {})
    back = browser.post(led.headers["location"], data=said)
    return browser.get(back.headers["location"])


def test_nobody_is_signed_in_before_they_are(browser: httpx.Client) -> None:
    told = browser.get(ME).json()

    assert (told["aberto"], told["nome"], told["papeis"], told["provedor"]) == (
        False,
        None,
        [],
        True,
    )
    assert "POST /avaliar" not in told["pode"]


def test_a_link_signs_in_once_and_the_cookie_is_for_the_server_alone(
    site: Server, browser: httpx.Client
) -> None:
    secret = link(site, "Ana Souza", "revisor", "gestor")

    entered = browser.post("/entrar", json={"link": secret})

    assert entered.json()["nome"] == "Ana Souza"
    cookie = entered.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=28800"):
        assert part in cookie
    assert "Secure" not in cookie  # by plain HTTP, as this one is reached
    told = browser.get(ME).json()
    assert (told["nome"], told["papeis"]) == ("Ana Souza", ["gestor", "revisor"])
    assert "POST /avaliacoes/{evaluation_id}/revisao" in told["pode"]
    assert browser.get("/avaliacoes").status_code == 200

    again = httpx.post(f"{site.url}/entrar", json={"link": secret})
    assert (again.status_code, again.json()["codigo"]) == (401, "link_sem_validade")
    assert "set-cookie" not in again.headers


def test_who_signs_out_is_out_on_every_replica(
    site: Server, browser: httpx.Client, model_service: Server
) -> None:
    browser.post("/entrar", json={"link": link(site, "Bia", "auditor")})
    stolen = {"Cookie": f"sessao={browser.cookies['sessao']}"}

    with signing_in(site.log.parent, model_service.url) as other:
        assert httpx.get(f"{other.url}/avaliacoes", headers=stolen).status_code == 200
        left = browser.post("/sair")

        assert left.json()["nome"] is None
        assert browser.get("/avaliacoes").status_code == 401
        assert httpx.get(f"{site.url}/avaliacoes", headers=stolen).status_code == 401
        eventually(
            lambda: httpx.get(f"{other.url}/avaliacoes", headers=stolen).status_code == 401,
            seconds=5,
        )


def test_who_came_in_who_went_and_who_read_what_is_in_the_chain(
    site: Server, browser: httpx.Client
) -> None:
    """Whoever follows an evaluation of their own leaves nothing."""
    browser.post("/entrar", json={"link": link(site, "Rita", "auditor")}).raise_for_status()
    with httpx.Client(base_url=site.url) as maker:
        entered = maker.post("/entrar", json={"link": link(site, "Olga", "analista")})
        assert entered.status_code == 200
        given = maker.post("/avaliar", json=MARIA).raise_for_status().json()["id"]
        for reader in (maker, browser):
            reader.get(f"/avaliacoes/{given}").raise_for_status()
        maker.post("/sair").raise_for_status()
    engine = database.connect(site.environment["EVALUATION_DATABASE_URL"])

    def noted(kind: str) -> list[tuple[str, str]]:
        bodies = [json.loads(body) for body in ChainLog(engine).bodies()]
        return [(one["who"], one["from"]) for one in bodies if one["kind"] == kind]

    rita, olga = ("link:Rita", "127.0.0.1"), ("link:Olga", "127.0.0.1")
    eventually(lambda: rita in noted("read"), 5)
    assert olga not in noted("read")
    eventually(lambda: {rita, olga} <= set(noted("sign_in")), 5)
    eventually(lambda: olga in noted("revoked"), 5)
    engine.dispose()


def test_a_person_who_is_revoked_is_out(site: Server, browser: httpx.Client) -> None:
    browser.post("/entrar", json={"link": link(site, "Caio")})

    commands.run(main, "keys", "revoke", "Caio", environment=site.environment)

    eventually(lambda: browser.get("/avaliacoes").status_code == 401, seconds=5)


def test_a_name_is_the_same_however_its_accents_are_typed(
    site: Server, identities: Server, browser: httpx.Client
) -> None:
    """As macOS types them, and as all others do."""
    apart, whole = "e\u0301lio@example.com", "\u00e9lio@example.com"
    know(identities, "elio", ["credito"], email=apart)
    sign_in_as(browser, "elio")
    assert browser.get(ME).json()["nome"] == whole

    done = commands.run(main, "keys", "revoke", apart, environment=site.environment)

    assert (done.returncode, done.stderr[:7]) == (0, "1 ended")


def test_no_other_page_signs_anybody_in_or_out(site: Server, browser: httpx.Client) -> None:
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}

    for path in ("/entrar", "/sair"):
        refused = browser.post(path, json={"link": link(site, "Davi")}, headers=foreign)
        assert (refused.status_code, refused.json()["codigo"]) == (403, "pedido_de_outra_pagina")


def test_a_person_comes_in_with_the_roles_of_their_groups(
    identities: Server, browser: httpx.Client
) -> None:
    know(identities, "elisa", ["todos", "credito-chefia", "ti"])

    landed = sign_in_as(browser, "elisa")

    assert (landed.status_code, landed.headers["location"]) == (303, "/")
    told = browser.get(ME).json()
    assert told["nome"] == "elisa@example.com"
    assert told["papeis"] == ["gestor", "operador", "revisor"]


def test_who_has_a_link_that_is_named_like_an_account_is_another_in_the_record(
    site: Server, identities: Server, browser: httpx.Client
) -> None:
    """Pages show both by the name alone."""
    know(identities, "katia", ["credito"])
    sign_in_as(browser, "katia")
    with httpx.Client(base_url=site.url) as linked:
        linked.post("/entrar", json={"link": link(site, "katia@example.com")})
        names = [one.get(ME).json()["nome"] for one in (browser, linked)]
        for one in (browser, linked):
            one.post("/avaliar", json=MARIA).raise_for_status()
    engine = database.connect(site.environment["EVALUATION_DATABASE_URL"])
    made_by = [
        row[0]
        for row in engine.connect().exec_driver_sql(
            "SELECT made_by FROM evaluations WHERE made_by LIKE '%:katia@example.com%' ORDER BY id"
        )
    ]
    engine.dispose()

    assert names == ["katia@example.com"] * 2
    assert re.sub("#.{9}$", "#...", made_by[0]) == "conta:katia@example.com#..."
    assert made_by[1] == "link:katia@example.com"


def test_a_person_of_hundreds_of_groups_has_a_cookie_as_small_as_any(
    identities: Server, browser: httpx.Client
) -> None:
    know(identities, "fabio", [f"grupo-de-nome-comprido-{n}" for n in range(900)] + ["credito"])

    landed = sign_in_as(browser, "fabio")

    assert landed.status_code == 303
    assert len(landed.headers["set-cookie"]) < 500
    assert browser.get(ME).json()["papeis"] == ["analista"]


@pytest.mark.parametrize(
    ("groups", "claims", "told"),
    [
        (["todos"], {}, sentences.NO_GROUP),
        ([], {}, sentences.NO_GROUP),
        (None, {}, sentences.NO_GROUP),
        ({"credito": True}, {}, sentences.NO_GROUP),
        ([["credito"]], {}, sentences.NO_GROUP),
        (["credito"], {"email_verified": False}, sentences.UNVERIFIED_ADDRESS),
        (["credito"], {"email": ""}, sentences.no_name("email")),
        (["credito"], {"email": "x" * 121}, sentences.no_name("email")),
        (["credito"], {"email": 7}, sentences.no_name("email")),
        (["credito"], {"email": "ana\u202e@example.com"}, sentences.no_name("email")),
    ],
)
def test_who_has_no_role_or_no_name_here_does_not_come_in_and_is_told_why(
    identities: Server,
    browser: httpx.Client,
    groups: object,
    claims: dict[str, object],
    told: str,
) -> None:
    know(identities, "gil", groups, **claims)

    refused = sign_in_as(browser, "gil")

    assert (refused.status_code, refused.json()["codigo"]) == (403, "sem_permissao")
    assert refused.json()["detail"] == told
    assert "sessao" not in browser.cookies


def test_who_changes_their_mind_at_the_provider_does_not_come_in(
    identities: Server, browser: httpx.Client
) -> None:
    know(identities, "helena", ["credito"])

    refused = sign_in_as(browser, "helena", action="deny")

    assert refused.status_code == 401
    assert "sessao" not in browser.cookies


@pytest.mark.parametrize("query", ["", "?code=made-up", "?code=made-up&state=made-up"])
def test_nobody_comes_back_who_was_not_sent(browser: httpx.Client, query: str) -> None:
    browser.get("/entrar/oidc/inicio")

    assert browser.get(f"/entrar/oidc/retorno{query}").status_code == 401


def test_an_answer_of_the_provider_is_of_use_to_the_browser_that_asked_and_once(
    identities: Server, browser: httpx.Client
) -> None:
    know(identities, "ivo", ["credito"])
    led = browser.get("/entrar/oidc/inicio")
    back = browser.post(led.headers["location"], data={"sub": "ivo"}).headers["location"]

    assert httpx.get(back).status_code == 401  # another browser, which has no state of it
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 401


def test_the_flow_is_by_code_with_pkce_and_a_nonce(browser: httpx.Client) -> None:
    asked = httpx.URL(browser.get("/entrar/oidc/inicio").headers["location"]).params

    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) >= 43
    assert asked["nonce"]
    assert asked["state"]


def test_a_provider_that_is_away_is_a_problem_and_keys_go_on(
    model_service: Server, tmp_path: Path
) -> None:
    nobody = Server([], "", tmp_path / "log", port=9)
    server = signing_in(tmp_path, model_service.url, nobody)
    server.environment["EVALUATION_PUBLIC_URL"] = "https://clientes.example"
    with server:
        refused = httpx.get(f"{server.url}/entrar/oidc/inicio", timeout=20)

        assert (refused.status_code, refused.json()["codigo"]) == (503, "provedor_indisponivel")
        entered = httpx.post(f"{server.url}/entrar", json={"link": link(server, "Joana")})
        assert entered.status_code == 200
        assert "Secure" in entered.headers["set-cookie"]  # as it is reached by HTTPS
        kept = entered.headers["set-cookie"].partition(";")[0]
        assert kept.startswith("__Host-sessao=")
        set_by_others = kept.removeprefix("__Host-")
        for cookie, name in ((kept, "Joana"), (set_by_others, None)):
            told = httpx.get(f"{server.url}{ME}", headers={"Cookie": cookie}).json()
            assert told["nome"] == name
