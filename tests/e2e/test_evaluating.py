"""An analyst evaluates one client on the first page."""

import re

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from tests.clients import FIVE_CLIENTS
from tests.e2e import analyst
from tests.e2e.conftest import Opener

pytestmark = pytest.mark.browser

#: What the policy calls and decides of each profile, in the order of the five clients.
DECIDED = [
    ("Saldo alto", "Recusado"),
    ("Saques e pagamentos altos", "Aprovado"),
    ("Saques altos", "Recusado"),
    ("Uso baixo", "Aprovado"),
    ("Compras altas", "Aprovado"),
]


@pytest.mark.parametrize(
    ("amounts", "cluster", "profile", "decision"),
    [(*client, *decided) for client, decided in zip(FIVE_CLIENTS, DECIDED, strict=True)],
)
def test_a_client_of_each_profile_gets_its_decision_with_reasons(
    page: Page, amounts: tuple[float, ...], cluster: int, profile: str, decision: str
) -> None:
    page.goto("/")
    analyst.enter(page, "João da Silva", amounts)
    analyst.ask(page)

    answer = analyst.answer(page)
    expect(answer.locator("[data-decision] h2")).to_have_text(decision)
    expect(answer.locator("[data-fact]")).to_have_count(3)
    analyst.unfold(page)
    expect(answer).to_contain_text(f"{profile} (perfil\N{NO-BREAK SPACE}{cluster})")
    expect(answer.locator("[data-reasons] > li")).to_have_count(5)
    expect(answer.locator("[data-neighbourhood] .shares-row")).to_have_count(6)
    expect(page.locator("[data-status]")).to_contain_text(f"João da Silva: {decision}.")


def test_a_refusal_says_what_would_change_it_and_an_approval_does_not(page: Page) -> None:
    page.goto("/")
    analyst.enter(page, "Rita", analyst.IN_DEBT)
    analyst.ask(page)
    refusal = analyst.answer(page)
    expect(refusal.locator("[data-main-reasons] li")).to_have_count(3)
    expect(refusal.locator("[data-fact=parte_paga] .figure-value")).to_have_text("48%")
    expect(refusal.locator("[data-simulation]")).to_contain_text("o pedido seria aprovado")
    analyst.unfold(page)
    direction = "[data-reason={}] .reason-direction"
    expect(refusal.locator(direction.format("balance"))).to_have_text("aproxima do perfil")
    expect(refusal.locator(direction.format("purchases"))).to_have_text("afasta do perfil")

    page.click("[data-another]")
    expect(page.locator("#name")).to_be_focused()
    analyst.enter(page, "Ivo", analyst.BUYS_AND_PAYS)
    analyst.ask(page)
    expect(analyst.answer(page).locator("[data-decision] h2")).to_have_text("Aprovado")
    expect(page.locator("[data-simulation], [data-main-reasons]")).to_have_count(0)


def test_on_a_low_screen_the_decision_comes_into_view_and_the_next_client_is_a_key_away(
    page: Page,
) -> None:
    page.set_viewport_size({"width": 1280, "height": 600})
    page.goto("/")
    page.click("[data-example]")
    page.focus("[data-submit]")
    page.keyboard.press("Enter")

    answer = analyst.answer(page)
    expect(answer.locator("[data-decision] h2")).to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(page.locator("[data-another]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_be_focused()


def test_a_client_outside_the_training_range_is_left_to_a_person(page: Page) -> None:
    page.goto("/")
    analyst.enter(page, "Fábio", (25_000, 500, 100, 3_000, 20_000))
    analyst.ask(page)

    answer = analyst.answer(page)
    expect(answer.locator("[data-decision] h2")).to_have_text("Análise manual")
    expect(answer).to_contain_text("Por que o caso vai para análise manual")
    expect(answer.locator("[data-observations]")).to_contain_text("fora da faixa do modelo")


def test_the_example_fills_the_form_and_shows_the_use_of_the_limit(page: Page) -> None:
    page.goto("/")
    page.click("[data-example]")

    expect(page.locator("#credit_limit")).to_have_value("3.854,00")
    meter = page.get_by_role("meter", name="Uso do limite")
    expect(meter).to_have_attribute("aria-valuenow", "27")
    expect(meter).to_have_attribute("aria-valuetext", "27% (baixo)")


def test_an_amount_that_can_be_read_in_two_ways_says_how_it_was_read(page: Page) -> None:
    page.goto("/")
    page.fill("#purchases", "1.234")
    expect(page.locator("[data-reading=purchases]")).to_have_text(
        "lido como R$\N{NO-BREAK SPACE}1.234,00"
    )

    page.fill("#purchases", "1.234,5")
    expect(page.locator("[data-reading=purchases]")).to_be_empty()


def test_a_double_click_sends_once(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if is_evaluation(request) else None)

    page.goto("/")
    page.click("[data-example]")
    page.dblclick("[data-submit]")
    analyst.answer(page)

    assert len(sent) == 1


def test_enter_pressed_again_when_the_answer_is_there_makes_no_second_record(
    page: Page, site: str
) -> None:
    page.goto("/")
    analyst.enter(page, "Zilda Duas Vezes", analyst.USES_LITTLE)
    page.focus("#payments")
    for _ in range(2):
        with page.expect_response(lambda response: is_evaluation(response.request)):
            page.keyboard.press("Enter")
        expect(page.locator("[data-submit]")).to_be_enabled()
    analyst.answer(page)

    found = httpx.get(f"{site}/avaliacoes", params={"nome": "Zilda Duas Vezes"}).json()
    assert [item["id"] for item in found["itens"]] == [analyst.identity(page)]


def test_a_form_touched_since_is_a_new_evaluation_even_of_the_same_client(page: Page) -> None:
    page.goto("/")
    page.click("[data-example]")
    analyst.ask(page)
    analyst.answer(page)
    first = page.url

    page.fill("#payments", "1")
    page.fill("#payments", "3233")
    with page.expect_request(is_evaluation) as again:
        analyst.ask(page)
    expect(page).not_to_have_url(first)
    assert re.fullmatch(r"[0-9a-f-]{36}", again.value.headers["idempotency-key"])


def test_a_figure_marks_what_its_reason_cites(page: Page) -> None:
    page.goto("/")
    analyst.enter(page, "Rui", (999, 1500, 0, 1000, 0))
    analyst.ask(page)
    answer = analyst.answer(page)

    used, paid = (answer.locator(f"[data-fact={code}]") for code in ("uso_do_limite", "parte_paga"))
    expect(used.locator(".figure-bound")).to_have_text(
        "referência: até 30%; uso alto a partir de 60%"
    )
    expect(used.locator(".bar-bound")).to_have_count(2)
    expect(paid.locator(".figure-bound")).to_have_text(
        "referência: 10% ou mais; pouco pago abaixo de 50%"
    )
    expect(answer.locator("[data-fact=saques] .bar-bound")).to_have_count(1)


def test_back_shows_the_answer_before(page: Page) -> None:
    page.goto("/")
    for name, amounts in (("Ana", analyst.IN_DEBT), ("Bia", analyst.USES_LITTLE)):
        analyst.enter(page, name, amounts)
        analyst.ask(page)
        expect(page.locator("[data-whose]")).to_have_text(name)
        expect(page.locator("[data-submit]")).to_be_enabled()

    page.go_back()
    expect(page.locator("[data-whose]")).to_have_text("Ana")
    expect(page.locator("#name")).to_have_value("Ana")
    page.go_back()
    analyst.state(page, "empty")


def test_an_answers_address_can_be_sent_to_a_colleague(open_page: Opener, site: str) -> None:
    page = open_page(site)
    page.goto("/")
    analyst.enter(page, "Téo", analyst.PREFERS_CASH)
    analyst.ask(page)
    analyst.answer(page)

    colleague = open_page(site)
    colleague.goto(page.url)
    answer = analyst.answer(colleague)
    expect(answer.locator("[data-whose]")).to_have_text("Téo")
    expect(colleague.locator("#balance")).to_have_value("2.271,00")


def test_without_a_network_nothing_typed_is_lost_and_one_evaluation_is_made(page: Page) -> None:
    keys: list[str] = []
    page.goto("/")
    analyst.enter(page, "Lia", analyst.USES_LITTLE)
    page.on("request", lambda sent: keys.append(sent.headers.get("idempotency-key", "")))

    page.context.set_offline(True)
    analyst.ask(page)
    expect(analyst.state(page, "problem")).to_contain_text("Sem resposta do serviço")
    expect(page.locator("#name")).to_have_value("Lia")

    page.context.set_offline(False)
    page.click("[data-again]")
    analyst.answer(page)
    first, second = [key for key in keys if key]
    assert first == second


def is_evaluation(request: Request) -> bool:
    """Tell a request for a decision from every other."""
    return request.url.endswith("/avaliar")
