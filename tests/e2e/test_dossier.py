"""The dossier: one evaluation on a page of its own, to print and to keep."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import analyst
from tests.e2e.conftest import Opener

pytestmark = pytest.mark.browser


def test_an_answer_leads_to_its_dossier_and_back(page: Page) -> None:
    page.goto("/")
    analyst.enter(page, "Bento Reis", analyst.IN_DEBT)
    analyst.ask(page)
    analyst.answer(page)
    identity = analyst.identity(page)
    assert "R$ " not in page.locator("main").inner_text(), "an amount breaks after its currency"

    page.click("[data-dossier]")
    expect(page.get_by_role("heading", level=1)).to_have_text("Bento Reis")
    expect(page.locator("[data-final]")).to_contain_text("sem revisão humana")
    assert "R$ " not in page.locator("main").inner_text(), "an amount breaks after its currency"
    for said in (identity, "R$ 1.126,00", "Saldo alto (perfil 0)", "seria aprovado"):
        expect(page.locator("main")).to_contain_text(said)
    expect(page.locator(".factors > li")).to_have_count(5)

    page.get_by_role("link", name="Voltar à avaliação").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bento Reis")
    expect(page.locator("[data-review-form]")).to_be_visible()


def test_the_way_back_from_a_dossier_shows_the_review_made_before(page: Page, site: str) -> None:
    identity = analyst.evaluated(site, "Raul", analyst.IN_DEBT)["id"]
    page.goto(f"/historico.html?id={identity}")
    analyst.answer(page)
    analyst.review(page, "aprovado", "Renda comprovada.", "Ana Prado")
    page.click("[data-dossier]")
    expect(page.locator("[data-final]")).to_contain_text("Aprovado")

    page.go_back()
    expect(page.locator("[data-review]")).to_contain_text("Renda comprovada.")
    expect(page.locator("[data-final-decision]")).to_have_text("Aprovado")


def test_a_dossier_tells_the_final_decision_from_the_machines(page: Page, site: str) -> None:
    identity = analyst.evaluated(site, "Sara", analyst.IN_DEBT)["id"]
    analyst.reviewed(site, identity, "analise_manual", "Falta um documento.\nPedido por carta.")
    analyst.reviewed(site, identity, "aprovado", "Documento entregue.")

    page.goto(f"/avaliacoes/{identity}/dossie")
    expect(page.locator("[data-final] .badge")).to_have_text("Aprovado")
    expect(page.locator("[data-final]")).to_contain_text("Decisão original do sistema: recusado.")
    expect(page.locator("[data-machine]")).to_have_text("Recusado")
    expect(page.locator(".reviews blockquote")).to_have_text(
        ["Falta um documento.\nPedido por carta.", "Documento entregue."], use_inner_text=True
    )


def test_a_dossier_prints_itself_on_white_paper_without_its_buttons(page: Page, site: str) -> None:
    identity = analyst.evaluated(site, "Tom", analyst.USES_LITTLE)["id"]
    page.add_init_script("window.print = () => { document.title = 'printed' }")
    page.goto(f"/avaliacoes/{identity}/dossie")
    page.get_by_role("button", name="Imprimir").click()
    expect(page).to_have_title("printed")

    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("nav")).to_be_hidden()
    expect(page.locator("h1")).to_have_css("color", "rgb(20, 38, 43)")


def test_the_dossier_of_a_waiting_client_says_so(
    open_page: Opener, site_without_model: str
) -> None:
    page = open_page(site_without_model)
    waiting = analyst.evaluated(site_without_model, "Ugo", analyst.IN_DEBT, Prefer="respond-async")
    page.goto(f"/avaliacoes/{waiting['id']}/dossie")
    expect(page.locator("[data-final]")).to_have_text("Aguardando o modelo")
    expect(page.locator("main")).to_contain_text("aguarda o modelo")
