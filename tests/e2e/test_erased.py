"""What the pages show of a person who was taken out of the record: the decision, and no amounts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from evaluation_api.operations.commands import main
from tests import commands
from tests.e2e import analyst, clerk
from tests.e2e.conftest import Opener
from tests.services import Server, evaluation_server, worker_server

pytestmark = pytest.mark.browser

NAME = "Norma Apagada"
GONE = "Dados apagados em"


@pytest.fixture(scope="module")
def server(model_service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start pages over a record of their own."""
    with evaluation_server(tmp_path_factory.mktemp("erased"), model_service.url) as server:
        yield server


@pytest.fixture(scope="module")
def erased(server: Server) -> dict[str, Any]:
    """Return what was answered of a person who was reviewed, and then erased."""
    given = analyst.evaluated(server.url, NAME, analyst.IN_DEBT)
    analyst.reviewed(server.url, given["id"], "aprovado", f"{NAME} mostrou o holerite.")
    erasing = ("person", "erase", given["id"], "--yes")
    assert commands.run(main, *erasing, environment=server.environment).returncode == 0
    return given


@pytest.fixture
def page(open_page: Opener, server: Server) -> Page:
    return open_page(server.url)


def nothing_is_left_in(page: Page) -> None:
    """Fail where the page says who it was, or an amount, or asks for what is not possible."""
    shown = page.locator("main, header, h1").all_inner_texts()
    for never in (NAME, "R$\xa00,00", "R$\xa01.126,00", "peça a correção", "apagado\n"):
        assert not [one for one in shown if never in one], never


def test_the_case_says_when_its_data_were_erased_and_takes_no_review(
    page: Page, erased: dict[str, Any]
) -> None:
    page.goto(f"/historico.html?id={erased['id']}")

    expect(page.get_by_role("heading", level=1)).to_contain_text(GONE)
    expect(page.locator("[data-answer][data-state=erased]")).to_contain_text("Aprovado")
    expect(page.locator("[data-reviews]")).to_contain_text("Justificativa apagada.")
    for hidden in ("[data-review-form]", "[data-request-panel]"):
        expect(page.locator(hidden)).to_be_hidden()
    nothing_is_left_in(page)


def test_the_list_the_report_and_the_form_say_so_too(page: Page, erased: dict[str, Any]) -> None:
    page.goto("/historico.html")
    expect(page.locator(f"[data-record='{erased['id']}']")).to_contain_text(GONE)
    nothing_is_left_in(page)

    page.goto(f"/?id={erased['id']}")
    expect(page.locator("[data-answer][data-state=erased]")).to_contain_text(GONE)
    expect(page.locator("#name")).to_have_value("")
    nothing_is_left_in(page)

    page.goto(f"/avaliacoes/{erased['id']}/dossie")
    expect(page.get_by_role("heading", level=1)).to_contain_text(GONE)
    expect(page.locator("[data-machine]")).to_have_text("Recusado")
    expect(page.locator("main")).not_to_contain_text("Valores informados")
    nothing_is_left_in(page)


def test_programs_are_told_no_amounts_and_review_nothing(
    server: Server, erased: dict[str, Any]
) -> None:
    address = f"{server.url}/avaliacoes/{erased['id']}"
    record = httpx.get(address).json()
    review = {"decisao": "recusado", "justificativa": f"{NAME} outra vez.", "revisor": "Ana"}
    refused = httpx.post(f"{address}/revisao", json=review)

    assert set(record["pedido"].values()) == {"apagado", None}
    assert record["apagado_em"]
    assert (refused.status_code, refused.json()["codigo"]) == (410, "dados_apagados")
    assert httpx.get(address).json() == record
    (listed,) = httpx.get(f"{server.url}/avaliacoes").json()["itens"]
    assert listed["apagado_em"] == record["apagado_em"]


def test_a_file_that_went_with_a_person_offers_nothing_to_take_and_says_why(
    page: Page, server: Server, bentoml_home: Path, tmp_path: Path
) -> None:
    with worker_server(server, bentoml_home):
        clerk.choose(page)
        clerk.send(page)
        clerk.start(page)
        clerk.in_state(page, "Concluído")
    rows = clerk.result(page, tmp_path)
    erasing = ("person", "erase", rows[0]["id"], "--yes")
    assert commands.run(main, *erasing, environment=server.environment).returncode == 0

    page.reload()

    expect(page.get_by_role("heading", name="Arquivo apagado")).to_be_visible()
    expect(page.locator("[data-plot-decisions]")).to_contain_text("Aprovado")
    expect(page.locator("a[download]:visible")).to_have_count(0)


def test_a_case_that_is_erased_under_a_reviewer_is_shown_as_it_is_then(
    page: Page, server: Server
) -> None:
    given = analyst.evaluated(server.url, NAME, analyst.IN_DEBT)
    page.goto(f"/historico.html?id={given['id']}")
    page.check("[data-review-form] [value=aprovado]")
    page.fill("#justificativa", "Mostrou o holerite.")
    page.fill("#revisor", "Ana")
    erasing = ("person", "erase", given["id"], "--yes")
    assert commands.run(main, *erasing, environment=server.environment).returncode == 0

    page.click("[data-send-review]")

    expect(page.get_by_role("heading", level=1)).to_contain_text(GONE)
    expect(page.locator("[data-corrections] > :focus")).to_contain_text("nada foi registrado")
    expect(page.locator("[data-review-form]")).to_be_hidden()
    nothing_is_left_in(page)
