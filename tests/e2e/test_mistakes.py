"""An analyst mistypes, and is told what, where and how to put it right."""

import json

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e import analyst

pytestmark = pytest.mark.browser

MESSAGES = {
    "name": {
        "": "Informe o nome do cliente.",
        "   ": "Informe o nome do cliente.",
        "á" * 121: "Use no máximo 120 caracteres no nome.",
        "a\x07b": "Use apenas caracteres legíveis.",
    },
    "balance": {
        "": "Informe um valor. Se não houver, digite 0.",
        "mil": "Digite só o número, como em 1.234,56.",
    },
    "purchases": {
        "1e5": "Digite só o número, como em 1.234,56.",
        "12.34.56": "Digite só o número, como em 1.234,56.",
    },
    "cash_advance": {
        "-5": "O valor não pode ser negativo.",
        "10,123": "Use no máximo duas casas depois da vírgula, como em 1.234,56.",
    },
    "credit_limit": {
        "": "Informe um valor maior que zero.",
        "0": "Informe um valor maior que zero.",
        "R$ 0,00": "Informe um valor maior que zero.",
    },
    "payments": {"10000000,01": "O maior valor aceito é R$\N{NO-BREAK SPACE}10.000.000,00."},
}


@pytest.mark.parametrize("field", MESSAGES)
def test_a_mistake_is_told_beside_its_field_and_in_the_summary_and_nothing_is_sent(
    page: Page, field: str
) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.goto("/")
    page.click("[data-example]")
    for typed, message in MESSAGES[field].items():
        page.fill(f"#{field}", typed)
        analyst.ask(page)

        expect(page.locator(f"[data-error={field}]")).to_have_text(f"Erro: {message}")
        expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
        expect(page.locator(f"#{field}")).to_have_value(typed)
        expect(page.locator("[data-error-summary]")).to_be_focused()
        expect(page.locator("[data-error-summary] li")).to_have_count(1)
        expect(page.locator("[data-error-summary]")).to_contain_text(message)
        assert page.title() == "Erro: Avaliar cliente · Avaliação de crédito"
    assert "POST" not in sent


def test_the_summary_leads_to_each_field_and_a_corrected_form_is_answered(page: Page) -> None:
    page.goto("/")
    analyst.ask(page)
    expect(page.locator("[data-error-summary] a")).to_have_count(6)

    page.get_by_role("link", name="Saques (R$)").click()
    expect(page.locator("#cash_advance")).to_be_focused()
    page.keyboard.type("0")
    expect(page.locator("[data-error=cash_advance]")).to_be_empty()

    page.click("[data-example]")
    analyst.ask(page)
    analyst.answer(page)
    expect(page.locator("[data-error-summary]")).to_be_hidden()
    assert not page.title().startswith("Erro")


def test_every_pointer_of_the_server_lands_on_its_field(page: Page) -> None:
    wrong = {"balance": -1, "purchases": "x", "cash_advance": None, "credit_limit": 0, "sexo": "F"}
    page.route("**/avaliar", lambda route: send_instead(route, wrong))
    page.goto("/")
    page.click("[data-example]")
    analyst.ask(page)

    expect(page.locator("[data-error=balance]")).to_have_text(
        "Erro: O valor não pode ser negativo."
    )
    for field in ("purchases", "cash_advance"):
        expect(page.locator(f"[data-error={field}]")).to_have_text(
            "Erro: Informe um número, sem aspas."
        )
    expect(page.locator("[data-error=credit_limit]")).to_contain_text("maior que zero")
    expect(page.locator("[aria-invalid]")).to_have_count(4)
    expect(page.locator("[data-error-summary] li").last).to_contain_text("“sexo” não é aceito")
    expect(page.locator("[data-error-summary] a")).to_have_count(4)


def test_a_review_says_what_it_lacks(page: Page, site: str) -> None:
    evaluation = analyst.evaluated(site, "Nina", analyst.IN_DEBT)
    page.goto(f"/historico.html?id={evaluation['id']}")
    page.fill("#justificativa", "curta")
    page.click("[data-send-review]")

    expect(page.locator("[data-error=decisao]")).to_have_text("Erro: Escolha uma decisão.")
    expect(page.locator("[data-error=justificativa]")).to_have_text(
        "Erro: Explique em pelo menos 10 caracteres."
    )
    expect(page.locator("[data-error=revisor]")).to_have_text("Erro: Informe o nome do revisor.")
    expect(page.get_by_role("group", name="Sua decisão")).to_have_accessible_description(
        "Erro: Escolha uma decisão."
    )
    expect(page.locator("[data-error-summary]")).to_be_focused()
    expect(page.locator("[data-review]")).to_have_count(0)


def send_instead(route: Route, changes: dict[str, object]) -> None:
    """Change the body on its way, past everything that the form checks."""
    body = {**(route.request.post_data_json or {}), **changes}
    route.continue_(post_data=json.dumps(body))
