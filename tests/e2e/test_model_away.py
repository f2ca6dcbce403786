"""The model goes away and comes back, and no client has to be entered twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import analyst
from tests.e2e.conftest import Opener
from tests.services import Server, evaluation_server, model_server

pytestmark = pytest.mark.browser


@pytest.fixture
def own_model(bentoml_home: Path) -> Iterator[Server]:
    """Start a model service that a test may kill."""
    server = model_server(bentoml_home)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def own_site(own_model: Server, tmp_path: Path) -> Iterator[str]:
    """Start an evaluation service in front of it, and wait for both."""
    server = evaluation_server(tmp_path, own_model.url).start()
    try:
        own_model.wait_until_ready()
        yield server.wait_until_ready().url
    finally:
        server.stop()


def test_an_answer_comes_by_itself_when_the_model_is_back(
    open_page: Opener, own_model: Server, own_site: str
) -> None:
    own_model.kill()
    waits, reloads, reads = (open_page(own_site) for _ in range(3))

    ask_in_vain(waits, "Clara", analyst.IN_DEBT)
    ask_in_vain(reloads, "Davi", analyst.BUYS_AND_PAYS)
    reloads.reload()
    expect(analyst.state(reloads, "pending")).to_contain_text("O pedido de Davi está guardado")
    expect(reloads.locator("#purchases")).to_have_value("5.788,00")
    reads.goto("/historico.html")
    reads.get_by_role("link", name="Clara").click()
    expect(analyst.state(reads, "pending")).to_contain_text("aparecerá aqui automaticamente")

    own_model.start()
    expect_decision(waits, "Recusado")
    expect(waits.locator("[data-status]")).to_contain_text("Clara: Recusado.")
    expect_decision(reloads, "Aprovado")
    expect_decision(reads, "Recusado")
    expect(reads.locator("[data-send-review]")).to_be_enabled()


def ask_in_vain(page: Page, name: str, amounts: tuple[float, ...]) -> None:
    """Enter a client while the model is away."""
    page.goto("/")
    analyst.enter(page, name, amounts)
    analyst.ask(page)
    pending = analyst.state(page, "pending")
    expect(pending.get_by_role("heading")).to_have_text("Aguardando o modelo")
    expect(pending).to_contain_text(f"O pedido de {name} está guardado")


def expect_decision(page: Page, decision: str) -> None:
    """Wait as long as a model service takes to start, on a busy machine too."""
    expect(page.locator("[data-decision] h2")).to_have_text(decision, timeout=90_000)


def test_an_overloaded_service_is_asked_again_by_itself_until_the_analyst_stops_it(
    page: Page,
) -> None:
    busy = {"status": 429, "headers": {"Retry-After": "60"}, "json": {"title": "Muitos pedidos"}}
    page.route("**/avaliar", lambda route: route.fulfill(**busy))
    page.goto("/")
    page.click("[data-example]")
    analyst.ask(page)
    expect(analyst.state(page, "pause")).to_contain_text("Nova tentativa automática em 60 s.")

    page.click("[data-stop]")
    expect(analyst.state(page, "problem")).to_contain_text("Muitos pedidos")
    page.unroute("**/avaliar")
    page.click("[data-again]")
    analyst.answer(page)
