"""Who is let in through the real nginx files: by key, by cookie, and by no word of their own."""

from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest

from evaluation_api.operations.commands import main
from tests import commands
from tests.clients import MARIA
from tests.gateway import Gateway
from tests.provider import signing_in
from tests.services import Server, eventually

pytestmark = pytest.mark.nginx

#: What gateways of others say of who asks, and this one of nobody.
FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-User": "ana",
    "X-Forwarded-Email": "ana@example.com",
    "X-Remote-User": "ana",
    "X-Forwarded-Groups": "gestor",
    "Forwarded": "for=203.0.113.9",
    "Cookie": "sessao=WyIiLCJhbmEiLFsiZ2VzdG9yIl1d.made.up",
}
BURST = 6


@pytest.fixture(scope="module")
def site(
    model_service: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Gateway]]:
    folder = tmp_path_factory.mktemp("behind")
    server = signing_in(folder, model_service.url)
    server.environment |= {
        "EVALUATION_GATEWAYS": "127.0.0.1",
        "EVALUATION_RATE_PER_SECOND": f"{BURST / 2}",
    }
    (folder / "nginx").mkdir()
    with server, Gateway(folder / "nginx", server.port) as gateway:
        yield server, gateway


def keys(server: Server, *arguments: str) -> str:
    done = commands.run(main, "keys", *arguments, environment=server.environment)
    return done.stdout.strip()


def key(site: tuple[Server, Gateway], name: str) -> dict[str, str]:
    server, gateway = site
    secret = keys(server, "create", name, "--role", "integracao", "auditor")
    header = {"Authorization": f"Bearer {secret}"}
    eventually(lambda: httpx.get(f"{gateway.url}/politica", headers=header).is_success, seconds=60)
    return header


def in_turn(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until the address may: looking whether a key is known yet uses up what it may ask."""
    answers: list[httpx.Response] = []

    def is_heard() -> bool:
        answers.append(ask())
        return answers[-1].status_code != 429

    eventually(is_heard, seconds=60)
    return answers[-1]


def test_a_key_passes_the_gateway_and_who_has_none_is_asked_for_it(
    site: tuple[Server, Gateway],
) -> None:
    url = f"{site[1].url}/avaliar"

    assert httpx.post(url, json=MARIA, headers=key(site, "vendas")).status_code == 200
    assert in_turn(partial(httpx.post, url, json=MARIA)).status_code == 401


def test_a_person_comes_in_and_goes_through_the_gateway(site: tuple[Server, Gateway]) -> None:
    server, gateway = site
    secret = keys(server, "link", "Ana").partition("#")[2]

    with httpx.Client(base_url=gateway.url) as browser:
        entered = in_turn(partial(browser.post, "/entrar", json={"link": secret}))
        assert (entered.status_code, entered.json()["nome"]) == (200, "Ana")
        assert browser.get("/avaliacoes").status_code == 200
        assert browser.post("/sair").status_code == 200
        assert in_turn(partial(browser.get, "/avaliacoes")).status_code == 401
        assert in_turn(partial(browser.get, "/entrar.html")).status_code == 200


def test_what_a_caller_says_of_its_own_identity_and_address_is_believed_by_nobody(
    site: tuple[Server, Gateway],
) -> None:
    url = f"{site[1].url}/avaliacoes"

    with httpx.Client() as caller:
        assert in_turn(partial(caller.get, url, headers=FORGED)).status_code == 401
        claimed = (FORGED | {"X-Forwarded-For": f"203.0.113.{n}"} for n in range(3 * BURST))
        refused = [caller.get(url, headers=headers) for headers in claimed]

    statuses = [answer.status_code for answer in refused]
    # Were each address believed, each would have a rate of its own.
    assert set(statuses) <= {401, 429}
    assert 429 in statuses
    assert {a.json()["codigo"] for a in refused if a.status_code == 429} == {"pedidos_demais"}


def test_a_key_that_is_used_too_often_leaves_another_behind_the_address_alone(
    site: tuple[Server, Gateway],
) -> None:
    noisy, quiet = key(site, "ruidoso"), key(site, "quieto")
    url = f"{site[1].url}/politica"
    with httpx.Client() as caller:
        statuses = [caller.get(url, headers=noisy).status_code for _ in range(3 * BURST)]

        assert caller.get(url, headers=quiet).status_code == 200
    assert 429 in statuses
