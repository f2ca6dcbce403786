"""Who is signed in, as the pages show it; what they offer each role; coming in, and going."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from evaluation_api.operations.commands import main
from tests import commands, provider
from tests.e2e import clerk
from tests.e2e.analyst import BUYS_AND_PAYS, answer, ask, enter
from tests.e2e.conftest import Opener
from tests.provider import know, signing_in
from tests.services import Server

pytestmark = pytest.mark.browser

REVIEW_FORM = "[data-review-form]"


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with provider.provider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(scope="module")
def closed_site(
    model_service: Server, identities: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Start pages that ask who one is."""
    folder = tmp_path_factory.mktemp("closed")
    with signing_in(folder, model_service.url, identities) as server:
        yield server


def link(site: Server, name: str, *roles: str) -> str:
    """Return an address that signs somebody in once."""
    command = ("keys", "link", name, "--role", *roles)
    return commands.run(main, *command, environment=site.environment).stdout.strip()


def sign_in(page: Page, site: Server, name: str, *roles: str) -> None:
    """Come in by a link, and wait until the page says who one is."""
    page.goto(link(site, name, *roles))
    page.get_by_role("button", name="Entrar com este link").click()
    expect(page.locator("[data-who]")).to_contain_text(name)


@contextmanager
def own_window(browser: Browser, site: Server) -> Iterator[Page]:
    """Open a window that may go to a provider's page, too."""
    with browser.new_context(base_url=site.url, locale="pt-BR") as context:
        yield context.new_page()


def offered(page: Page) -> list[str]:
    """Return what the head of the page leads to."""
    expect(page.locator("[data-who] button")).to_be_visible()
    return page.locator(".site-nav li:visible").all_inner_texts()


def test_where_access_is_open_the_page_says_so(page: Page) -> None:
    page.goto("/")

    expect(page.locator("[data-who]")).to_have_text("Acesso aberto: ninguém precisa se identificar")
    expect(page.locator(".site-nav li:visible")).to_have_count(4)


def test_a_link_signs_in_an_analyst_who_evaluates_and_reviews_nothing(
    browser: Browser, closed_site: Server
) -> None:
    with own_window(browser, closed_site) as page:
        page.goto("/")
        expect(page).to_have_url(f"{closed_site.url}/entrar.html")
        expect(page.get_by_text("Entrar com a conta da empresa")).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{closed_site.url}/entrar.html#main")

        page.goto(link(closed_site, "Ana Souza", "analista"))
        expect(page).to_have_url(f"{closed_site.url}/entrar.html")
        page.get_by_role("button", name="Entrar com este link").click()

        expect(page.locator("[data-who]")).to_contain_text("Ana Souza")
        assert offered(page) == ["Avaliar", "Arquivos", "Histórico", "Critérios"]
        enter(page, "Maria", BUYS_AND_PAYS)
        ask(page)
        answer(page)
        expect(page.locator("[data-review-link]")).to_be_hidden()
        page.goto("/historico.html")
        page.get_by_role("link", name="Maria").first.click()
        expect(page.get_by_role("heading", name="Revisões")).to_be_visible()
        expect(page.locator(REVIEW_FORM)).to_be_hidden()

        page.locator("[data-leave]").click()
        expect(page).to_have_url(f"{closed_site.url}/entrar.html")
        page.goto("/historico.html")
        expect(page).to_have_url(f"{closed_site.url}/entrar.html")


def test_a_reviewer_who_signed_in_is_shown_who_signs_and_not_asked_for_a_name(
    browser: Browser, closed_site: Server
) -> None:
    with own_window(browser, closed_site) as page:
        sign_in(page, closed_site, "Ana", "analista")
        enter(page, "Joana", BUYS_AND_PAYS)
        ask(page)
        answer(page)
    with own_window(browser, closed_site) as page:
        sign_in(page, closed_site, "Davi Lima", "revisor")
        page.goto("/historico.html")
        page.get_by_role("link", name="Joana").first.click()

        expect(page.locator("[data-signs]")).to_have_text("Quem assina: Davi Lima")
        expect(page.get_by_label("Nome do revisor")).to_have_count(0)
        page.check("[data-review-form] [value=aprovado]")
        page.fill("#justificativa", "Renda comprovada por holerite.")
        page.click("[data-send-review]")
        expect(page.locator("[data-review]")).to_contain_text("Davi Lima")


def test_a_file_is_shown_to_an_auditor_who_is_offered_no_step_of_it(
    browser: Browser, closed_site: Server
) -> None:
    with own_window(browser, closed_site) as page:
        sign_in(page, closed_site, "Ana", "analista")
        clerk.choose(page)
        clerk.send(page)
        page.wait_for_url("**id=*")
        expect(page.locator("[data-cancelar]")).to_be_visible()
        address = page.url
    with own_window(browser, closed_site) as page:
        sign_in(page, closed_site, "Rui", "auditor")
        page.goto(address)

        clerk.in_state(page, "Em conferência")
        expect(page.locator("[data-cancelar]")).to_be_hidden()
        page.goto("/lote.html")
        expect(page.locator("[data-earlier-batch]")).to_be_visible()
        expect(page.locator("[data-upload]")).to_be_hidden()


def test_who_goes_back_after_somebody_went_away_is_shown_nothing_of_theirs(
    keeping_browser: Browser, closed_site: Server
) -> None:
    with own_window(keeping_browser, closed_site) as page:
        sign_in(page, closed_site, "Ana", "analista")
        enter(page, "Joana de Antes", BUYS_AND_PAYS)
        ask(page)
        answer(page)
        page.goto("/historico.html")
        page.get_by_role("link", name="Joana de Antes").first.click()
        expect(page.get_by_role("heading", name="Joana de Antes")).to_be_visible()
        page.goto("/criterios.html")
        page.go_back(wait_until="commit")
        expect(page.get_by_role("heading", name="Joana de Antes")).to_be_visible()

        page.get_by_role("button", name="Sair").click()
        page.wait_for_url("**/entrar.html")
        page.go_back(wait_until="commit")

        page.wait_for_url("**/entrar.html")
        expect(page.get_by_text("Joana de Antes")).to_have_count(0)


def test_who_could_not_go_away_is_told_so_and_may_try_again(
    browser: Browser, closed_site: Server
) -> None:
    away = {"title": "Registro indisponível", "status": 503, "detail": "Tente de novo."}
    with own_window(browser, closed_site) as page:
        sign_in(page, closed_site, "Ana", "analista")
        page.route("**/sair", lambda route: route.fulfill(status=503, json=away))
        page.get_by_role("button", name="Sair").click()

        told = page.get_by_role("alert").filter(has_text="Você ainda não saiu")
        expect(told).to_contain_text("Registro indisponível")
        page.unroute("**/sair")
        page.get_by_role("button", name="Sair").click()
        page.wait_for_url("**/entrar.html")


def test_a_used_link_says_so(browser: Browser, closed_site: Server) -> None:
    address = link(closed_site, "Bia", "revisor")
    with own_window(browser, closed_site) as page:
        page.goto(address)
        page.get_by_role("button", name="Entrar com este link").click()
        expect(page.locator("[data-who]")).to_contain_text("Bia")
    with own_window(browser, closed_site) as page:
        page.goto(address)
        page.get_by_role("button", name="Entrar com este link").click()

        expect(page.get_by_role("heading", name="Link sem validade")).to_be_visible()


#: By group: the first page that is of use, and what its head offers.
OFFERS = {
    "credito-chefia": ("/", ["Avaliar", "Arquivos", "Histórico", "Critérios"]),
    "ti": ("/criterios.html", ["Critérios"]),
}


@pytest.mark.parametrize("group", OFFERS)
def test_a_provider_signs_people_in_who_are_offered_what_their_groups_may_do(
    browser: Browser, closed_site: Server, identities: Server, group: str
) -> None:
    know(identities, "carlos", [group])
    first, offers = OFFERS[group]
    with own_window(browser, closed_site) as page:
        page.goto("/historico.html")
        page.get_by_role("link", name="Entrar com a conta da empresa").click()
        page.fill("input[name=sub]", "carlos")
        page.get_by_role("button", name="Authorize").click()

        expect(page.locator("[data-who]")).to_contain_text("carlos@example.com")
        expect(page).to_have_url(f"{closed_site.url}{first}")
        assert offered(page) == offers


def test_the_page_to_come_in_by_is_a_page_like_the_others(
    open_page: Opener, closed_site: Server
) -> None:
    page = open_page(closed_site.url, first_visit=True)
    page.goto("/entrar.html")

    expect(page.get_by_role("heading", name="Entrar")).to_be_visible()
    expect(page.locator("[data-not-arrived]")).to_have_count(0)
