"""Going back to a page that the browser kept as it was, its scripts too."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import analyst, clerk
from tests.e2e.window import Window

pytestmark = pytest.mark.browser

#: Whether this document was brought back, and not loaded.
NOTE_RETURNS = """window.returned = false;
    window.addEventListener("pageshow", ({ persisted }) => { window.returned ||= persisted; });"""


@pytest.fixture
def page(keeping_browser: Browser, site: str) -> Iterator[Page]:
    window = Window(keeping_browser, site)
    page = window.open()
    page.add_init_script(NOTE_RETURNS)
    yield page
    assert window.leave() == []


def go_back(page: Page) -> None:
    page.go_back(wait_until="commit")  # what is brought back is not loaded again
    assert page.evaluate("window.returned"), "the page was loaded anew"


def test_after_an_upload_the_button_lives_again_and_the_file_is_listed(page: Page) -> None:
    clerk.choose(page, name="de volta.csv")
    expect(page.locator("[data-earlier] > *")).to_be_visible()
    clerk.send(page)
    expect(page.locator("[data-preview] table")).to_be_visible()

    go_back(page)

    expect(page.locator("[data-upload]")).to_be_enabled()
    expect(page.locator("[data-upload]")).to_have_text("Enviar e conferir")
    expect(page.locator("[data-earlier-batch]").first).to_contain_text("de volta.csv")


def test_after_a_review_the_history_and_the_answer_show_it_and_what_was_typed_stays(
    page: Page, site: str
) -> None:
    identity = analyst.evaluated(site, "Volta", analyst.IN_DEBT)["id"]
    page.goto("/historico.html")
    expect(page.locator(f"[data-record='{identity}']")).to_contain_text("Recusado")
    page.goto(f"/?id={identity}")
    analyst.answer(page)
    page.fill("#name", "Outra pessoa")
    page.click("[data-review-link]")
    analyst.review(page, "aprovado", "Dívida quitada ontem.", "Ana Prado")

    go_back(page)
    expect(page.locator("[data-decision] h2")).to_have_text("Aprovado")
    expect(page.locator("#name")).to_have_value("Outra pessoa")
    go_back(page)
    expect(page.locator(f"[data-record='{identity}']")).to_contain_text("Aprovado")
