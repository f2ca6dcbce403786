"""An analyst looks at what was decided, and decides otherwise."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e import analyst

pytestmark = pytest.mark.browser


@pytest.fixture
def surname() -> str:
    """Make a name that no other test uses, to filter by."""
    return uuid4().hex[:12]


def test_the_printed_history_says_its_filter_and_keeps_its_columns(page: Page, site: str) -> None:
    analyst.evaluated(site, "Wanderléa Impressa", analyst.IN_DEBT)
    page.goto("/historico.html?nome=impressa&decisao=recusado&perfil=0&de=2026-11-01")
    expect(page.locator("[data-record]")).to_have_count(1)
    words = page.locator("[data-filter-words]")
    expect(words).to_be_hidden()

    page.set_viewport_size({"width": 718, "height": 1000})  # A4 between its margins
    page.emulate_media(media="print")
    expect(words).to_be_visible()
    expect(words).to_have_text(
        "Nome ou protocolo: “impressa”; Decisão do sistema: Recusado; Perfil: 0 · Saldo alto;"
        " De: 1 de novembro de 2026"
    )
    expect(page.locator("thead")).to_be_visible()
    expect(page.locator("td[data-column=Perfil]")).to_have_css("overflow-wrap", "normal")
    page.emulate_media(media="screen")


def test_the_newest_evaluation_stands_first(page: Page, site: str) -> None:
    older = analyst.evaluated(site, "Primeira", analyst.IN_DEBT)
    newer = analyst.evaluated(site, "Segunda", analyst.USES_LITTLE)

    page.goto("/historico.html")
    rows = page.locator("[data-record]")
    expect(rows.nth(0)).to_have_attribute("data-record", newer["id"])
    expect(rows.nth(1)).to_have_attribute("data-record", older["id"])
    expect(rows.nth(0)).to_contain_text("Uso baixo")
    expect(rows.nth(0)).to_contain_text("Aprovado")


def test_filters_choose_by_name_decision_and_profile_and_stay_in_the_address(
    page: Page, site: str, surname: str
) -> None:
    for name, amounts in (("Eva", analyst.IN_DEBT), ("Gil", analyst.USES_LITTLE)):
        analyst.evaluated(site, f"{name} {surname}", amounts)

    page.goto("/historico.html")
    page.fill("#nome", surname.upper())
    page.click("[data-apply-filters]")
    expect(page.locator("[data-record]")).to_have_count(2)
    expect(page.locator("[data-status]")).to_have_text("2 avaliações na lista.")

    page.select_option("#decisao", "recusado")
    page.click("[data-apply-filters]")
    expect(page.locator("[data-record]")).to_have_count(1)
    expect(page.locator("[data-record]")).to_contain_text("Eva")
    expect(page).to_have_url(re.compile(rf"#nome={surname.upper()}&decisao=recusado$"))

    page.select_option("#perfil", label="4 · Compras altas")
    page.click("[data-apply-filters]")
    expect(page.locator("[data-none]")).to_be_visible()
    expect(page.locator("#perfil")).to_have_value("4")
    page.click("[data-clear-filters]")
    expect(page.locator("#nome")).to_have_value("")


def test_a_last_day_before_the_first_is_said_and_leaves_no_list_of_before(
    page: Page, site: str
) -> None:
    analyst.evaluated(site, "Nilo", analyst.IN_DEBT)
    page.goto("/historico.html")
    expect(page.locator("[data-record]").first).to_be_visible()

    page.fill("#de", "2026-11-22")
    page.fill("#ate", "2026-11-21")
    page.click("[data-apply-filters]")

    expect(page.locator("main")).to_contain_text("O último dia não pode ser anterior ao primeiro.")
    expect(page.locator("[data-record]")).to_have_count(0)


def test_filtering_keeps_the_focus_and_the_way_back_keeps_the_filter(
    page: Page, site: str, surname: str
) -> None:
    analyst.evaluated(site, f"Iara {surname}", analyst.IN_DEBT)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("#")[0]))

    page.goto("/historico.html?decisao=recusado")
    page.fill("#nome", surname)
    page.keyboard.press("Enter")
    expect(page.locator("[data-record]")).to_have_count(1)
    expect(page.locator("#nome")).to_be_focused()

    page.get_by_role("link", name="Iara").click()
    analyst.answer(page)
    page.click("[data-back]")
    expect(page).to_have_url(re.compile(rf"#nome={surname}&decisao=recusado$"))
    expect(page.locator("[data-record]")).to_have_count(1)
    assert asked
    assert not [address for address in asked if surname in address], "every proxy writes it down"


def test_the_browsers_back_button_takes_a_filter_back(page: Page, site: str, surname: str) -> None:
    analyst.evaluated(site, f"Jair {surname}", analyst.USES_LITTLE)
    page.goto(f"/historico.html#nome={surname}")
    page.select_option("#decisao", "recusado")
    page.click("[data-apply-filters]")
    expect(page.locator("[data-none]")).to_be_visible()

    page.go_back()
    expect(page.locator("[data-record]")).to_have_count(1)
    expect(page.locator("#decisao")).to_have_value("")


def test_a_long_list_is_shown_in_parts(page: Page, site: str, surname: str) -> None:
    for number in range(21):
        analyst.evaluated(site, f"Cliente {number} {surname}", analyst.USES_LITTLE)

    page.goto(f"/historico.html#nome={surname}")
    expect(page.locator("[data-record]")).to_have_count(20)
    expect(page.locator("[data-status]")).to_have_text("20 avaliações na lista, e há mais.")
    page.click("[data-load-more]")
    expect(page.locator("[data-record]")).to_have_count(21)
    expect(page.locator("[data-load-more]")).to_have_count(0)


def test_reviews_stand_in_order_and_the_machines_decision_stays(
    page: Page, site: str, surname: str
) -> None:
    evaluation = analyst.evaluated(site, f"Hugo {surname}", analyst.IN_DEBT)
    page.goto(f"/historico.html#nome={surname}")
    page.get_by_role("link", name="Hugo").click()
    analyst.answer(page)

    analyst.review(page, "analise_manual", "Falta o comprovante de renda.", "Ana Prado")
    expect(page.locator("[data-status]")).to_have_text("Revisão registrada: Análise manual.")
    expect(page.locator("#revisor")).to_have_value("Ana Prado")
    analyst.review(page, "aprovado", "Renda comprovada por holerite.", "João Lima")

    page.reload()
    expect(page.locator("[data-review] .review-words")).to_have_text(
        ["Falta o comprovante de renda.", "Renda comprovada por holerite."]
    )
    expect(page.locator("[data-final-decision]")).to_have_text("Aprovado")
    expect(page.locator("[data-decision]")).to_contain_text("Decisão original do sistema: recusado")
    expect(page.locator("[data-evaluation-id]")).to_have_text(evaluation["id"])

    page.goto(f"/historico.html#nome={surname}")
    expect(page.locator("[data-record]")).to_contain_text("sistema: recusado")


def test_who_has_not_seen_the_last_review_is_shown_it_with_the_decision_that_counts(
    page: Page, site: str
) -> None:
    evaluation = analyst.evaluated(site, "Íris", analyst.IN_DEBT)
    page.goto(f"/historico.html?id={evaluation['id']}")
    page.check("[data-review-form] [value=recusado]")
    page.fill("#justificativa", "Falta o comprovante de renda.")
    page.fill("#revisor", "Ana Prado")
    analyst.reviewed(site, evaluation["id"], "aprovado", "Renda comprovada por holerite.")

    page.click("[data-send-review]")

    expect(page.locator("[data-error-summary]")).to_contain_text("Há revisões que você não viu")
    expect(page.locator("[data-review]")).to_contain_text("Renda comprovada por holerite.")
    expect(page.locator("[data-final-decision]")).to_have_text("Aprovado")
    expect(page.locator("#justificativa")).to_have_value("Falta o comprovante de renda.")


@pytest.mark.parametrize("width", [1280, 320])
def test_a_recorded_review_brings_the_final_decision_into_view_and_focus(
    page: Page, site: str, width: int
) -> None:
    evaluation = analyst.evaluated(site, "Lara", analyst.IN_DEBT)
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(f"/historico.html?id={evaluation['id']}")
    analyst.answer(page)
    expect(page.locator("[data-protocol]")).to_have_text(
        re.compile(rf"^{evaluation['id'][-8:-4]} {evaluation['id'][-4:]}$", re.IGNORECASE)
    )

    analyst.review(page, "aprovado", "Renda comprovada.", "Ana Prado")

    decision = page.locator("[data-decision=aprovado]")
    expect(decision).to_be_focused()
    expect(decision.locator("[data-confirmation]")).to_be_in_viewport()
    expect(decision.locator("[data-final-decision]")).to_be_in_viewport(ratio=1)
    expect(decision).to_contain_text("Decisão original do sistema: recusado.")
    expect(analyst.answer(page).get_by_role("heading", level=3)).to_contain_text(
        ["Motivos da decisão do sistema", "O que mudaria a decisão do sistema"]
    )


def test_an_answer_of_a_release_without_facts_is_shown_as_it_was_given(
    page: Page, site: str
) -> None:
    identity = analyst.evaluated(site, "Nair", analyst.IN_DEBT)["id"]
    page.route(f"**/avaliacoes/{identity}", without_facts)
    page.goto(f"/historico.html?id={identity}")

    answer = analyst.answer(page)
    expect(answer.locator("[data-final-decision]")).to_have_text("Recusado")
    expect(answer.locator("[data-figures], [data-main-reasons]")).to_have_count(0)
    expect(answer).to_contain_text("O cliente usa")


def without_facts(route: Route) -> None:
    """Answer with the record as the release before would have it."""
    record = route.fetch().json()
    for field in ("fatos", "motivos_principais"):
        del record["avaliacao"][field]
    del record["avaliacao"]["simulacao"]["ate"]
    route.fulfill(json=record)


def test_an_answer_leads_to_its_review(page: Page) -> None:
    page.goto("/")
    page.click("[data-example]")
    analyst.ask(page)
    analyst.answer(page)

    page.click("[data-review-link]")
    expect(page.get_by_role("heading", name="Maria da Silva", level=1)).to_be_visible()
    expect(page.locator("[data-send-review]")).to_be_enabled()


def test_an_evaluation_that_does_not_exist_is_said_to_be_missing(page: Page) -> None:
    page.goto(f"/historico.html?id={uuid4()}")
    expect(analyst.state(page, "problem").get_by_role("heading")).to_be_visible()
    expect(page.locator("[data-problem-code]")).to_have_text(re.compile(r"^[0-9a-f-]{36}$"))
    expect(page.locator("[data-again]")).to_have_count(0)
    expect(page.locator("[data-review-form]")).to_be_hidden()
