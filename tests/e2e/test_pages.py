"""Promises of the pages as a whole: what they show, weigh and need, and whom they ask."""

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.e2e import analyst
from tests.e2e.conftest import Opener
from tests.e2e.window import Window
from tests.services import free_port

pytestmark = pytest.mark.browser

HOSTILE_NAME = "<script>document.title='stolen'</script><img src=x onerror=alert(1)>"
FIRST_PAGE_BYTES = 300_000

#: Weigh what the browser was sent, headers included (Resource Timing, section 4.3).
TRANSFERRED = """() => [...performance.getEntriesByType("navigation"),
    ...performance.getEntriesByType("resource")].reduce((sum, e) => sum + e.transferSize, 0)"""
#: Note what moves without being asked to (Layout Instability, section 2): how much, and what.
KEEP_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        const unasked = list.getEntries().filter(({ hadRecentInput }) => !hadRecentInput);
        for (const { value, sources } of unasked)
            shifts.push([value, ...sources.map(({ node }) => node?.className)]);
    }).observe({ type: "layout-shift", buffered: true });
"""
#: What has changed is on the screen, and whoever watches for shifts has heard of it.
TWO_FRAMES = "() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
#: The words below these places that stand on more than one line.
BROKEN_WORDS = """(places) => {
    const broken = [];
    const range = document.createRange();
    for (const place of document.querySelectorAll(places)) {
        const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
        while (texts.nextNode())
            for (const { 0: word, index } of texts.currentNode.data.matchAll(/\\p{L}+/gu)) {
                range.setStart(texts.currentNode, index);
                range.setEnd(texts.currentNode, index + word.length);
                if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1)
                    broken.push(word);
            }
    }
    return broken;
}"""
USABLE = "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def test_the_watch_over_every_test_hears_what_no_page_may_do(browser: Browser, site: str) -> None:
    window = Window(browser, site)
    page = window.open()
    page.evaluate("console.error('told')")
    page.evaluate(f"fetch('http://127.0.0.1:{free_port()}/').catch(() => {{}})")
    with page.context.expect_event("weberror"):
        page.evaluate("setTimeout(() => { throw new Error('thrown') })")

    complaints = window.leave()

    assert {complaint.split(":")[0] for complaint in complaints} == {
        "another host",
        "console",
        "script",
    }


def test_the_criteria_are_the_policys(page: Page) -> None:
    page.goto("/criterios.html")

    expect(page.locator("[data-profile] h3")).to_have_text(
        [
            "0 · Saldo alto",
            "1 · Saques e pagamentos altos",
            "2 · Saques altos",
            "3 · Uso baixo",
            "4 · Compras altas",
        ]
    )
    manual, approved, refused = "Análise manual", "Aprovado", "Recusado"
    either, only_by_facts = [manual, manual, refused], [approved, manual, manual]
    expect(page.locator("[data-profile] .badge-decision")).to_have_text(
        [*either, *only_by_facts, *either, *only_by_facts, *only_by_facts]
    )
    expect(page.locator("[data-section-facts]")).to_contain_text("a partir de 60% do limite")
    expect(page.locator("[data-promise]")).to_contain_text("modelo em serviço")
    expect(page.locator("[data-profile] svg[role=img]")).to_have_count(5)
    expect(page.locator("[data-criteria]")).to_contain_text("Em vigor desde26 de novembro de 2026")
    expect(page.locator("[data-criteria]")).to_contain_text("Saques acima de 20 vezes o limite")


def test_the_criteria_lead_to_earlier_policies_and_back(page: Page) -> None:
    before = {"versao": "0ld", "nome": "Política de antes", "vigente_desde": "2026-11-22"}

    def answer(route: Route) -> None:
        in_force = route.fetch(url=route.request.url.partition("?")[0]).json()
        shown = in_force | (before if route.request.url.endswith("?versao=0ld") else {})
        versions = [{**before, "usada_desde": "2026-11-22T12:00:00.000Z"}]
        route.fulfill(json=shown | {"versoes": versions})

    page.route("**/politica*", answer)
    page.goto("/criterios.html")
    page.get_by_role("link", name="Política de antes").click()
    expect(page.locator("[data-which]")).to_contain_text("política anterior")
    expect(page.locator("[data-criteria]")).to_contain_text("22 de novembro de 2026")
    page.get_by_role("link", name="Ver a política em vigor").click()
    expect(page.locator("[data-which]")).to_contain_text("política em vigor")


def test_the_criteria_stand_without_the_models_picture(
    open_page: Opener, site_without_model: str
) -> None:
    page = open_page(site_without_model)
    page.goto("/criterios.html")
    expect(page.locator("[data-profile]")).to_have_count(5)
    expect(page.locator("[data-profile] svg[role=img]")).to_have_count(0)


def test_the_navigation_leads_to_every_page_and_back_leads_back(page: Page) -> None:
    page.goto("/")
    for name in ("Histórico", "Critérios", "Avaliar"):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(page.locator("[aria-current=page]")).to_have_text(name)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Critérios")


def test_a_hostile_name_is_text_on_every_page(page: Page) -> None:
    page.goto("/")
    analyst.enter(page, HOSTILE_NAME, analyst.IN_DEBT)
    analyst.ask(page)
    answer = analyst.answer(page)
    expect(answer.locator("[data-whose]")).to_have_text(HOSTILE_NAME)
    identity = analyst.identity(page)

    page.goto("/historico.html")
    expect(page.locator(f"[data-record='{identity}'] a")).to_have_text(HOSTILE_NAME)
    page.goto(f"/historico.html?id={identity}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE_NAME)
    analyst.review(page, "recusado", f"{HOSTILE_NAME} não existe", HOSTILE_NAME)
    expect(page.locator("[data-review]")).to_contain_text(f"{HOSTILE_NAME} não existe")
    page.goto(f"/avaliacoes/{identity}/dossie")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE_NAME)
    expect(page.locator("img[src=x]")).to_have_count(0)
    assert page.title() == f"Relatório da decisão de {HOSTILE_NAME}"


def test_a_client_is_evaluated_and_reviewed_by_keyboard_alone(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    walk_to(page, page.locator("#name"))
    for text in ("Vera Luz", "1126", "0", "504", "1200", "599"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    expect(page.locator("[data-submit]")).to_be_focused()
    page.keyboard.press("Enter")
    analyst.answer(page)
    expect(page.locator("[data-submit]")).to_be_focused()

    walk_to(page, page.locator("[data-review-link]"))
    page.keyboard.press("Enter")
    expect(page.locator("[data-send-review]")).to_be_enabled()
    walk_to(page, page.locator("#decisao-aprovado"))
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#decisao-recusado")).to_be_checked()
    walk_to(page, page.locator("#justificativa"))
    page.keyboard.type("Confirmo a recusa.")
    page.keyboard.press("Tab")
    page.keyboard.type("Ana Prado")
    page.keyboard.press("Enter")
    expect(page.locator("[data-review]")).to_contain_text("Confirmo a recusa.")


@pytest.mark.parametrize("address", ["/", "/historico.html", "/criterios.html", "/docs/"])
def test_without_javascript_a_page_says_what_it_needs(
    open_page: Opener, site: str, address: str
) -> None:
    page = open_page(site, java_script_enabled=False)
    page.goto(address)
    expect(page.locator("noscript")).to_be_visible()
    assert "precisa de JavaScript" in page.inner_text("noscript")
    expect(page.locator("[data-submit]:enabled")).to_have_count(0)


@pytest.mark.parametrize(
    ("address", "module"),
    [
        ("/", "answer.js"),
        ("/lote.html", "file-drop.js"),
        ("/historico.html", "list.js"),
        ("/criterios.html", "charts.js"),
    ],
)
def test_a_page_whose_modules_do_not_come_says_so_and_can_be_loaded_again(
    browser: Browser, site: str, address: str, module: str
) -> None:
    window = Window(browser, site)
    page = window.open()
    page.route(f"**/js/{module}", lambda route: route.abort())
    pass_time_faster(page)
    page.goto(address)
    words = page.locator("[data-not-arrived]")
    expect(words).to_be_visible()
    expect(words).to_contain_text("não carregou por inteiro")

    page.unroute(f"**/js/{module}")
    page.get_by_role("link", name="Recarregar").click()
    expect(page.locator("main:not([data-loading])")).to_be_visible()
    expect(page.locator("[data-not-arrived]")).to_have_count(0)
    assert [complaint.partition(":")[0] for complaint in window.leave()] == ["console"]


def pass_time_faster(page: Page) -> None:
    """Have what style sheets wait for come ten times as soon."""
    styles = page.context.new_cdp_session(page)
    styles.send("Animation.enable")
    styles.send("Animation.setPlaybackRate", {"playbackRate": 10})


@pytest.mark.parametrize("address", ["/nada", "/avaliacoes/nenhuma/dossie"])
def test_a_wrong_address_is_a_page_that_leads_on(browser: Browser, site: str, address: str) -> None:
    window = Window(browser, site)
    page = window.open()
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_contain_text("não encontrada")
    expect(page.locator("[data-problem-code]")).not_to_be_empty()
    page.get_by_role("main").get_by_role("link", name="Histórico").click()
    expect(page.locator("[aria-current=page]")).to_have_text("Histórico")
    assert all("404" in complaint for complaint in window.leave())


def test_names_ids_and_versions_stand_by_themselves_and_are_never_translated(
    page: Page, site: str
) -> None:
    backwards = "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} 1"
    identity = analyst.evaluated(site, backwards, analyst.IN_DEBT)["id"]
    page.goto("/historico.html")
    own = page.locator(f"[data-record='{identity}'] bdi[translate=no]")
    expect(own).to_have_text(backwards)

    page.goto(f"/historico.html?id={identity}")
    analyst.answer(page)
    for place in ("[data-client]", "[data-whose]", ".shares-client"):
        expect(page.locator(f"{place} bdi[translate=no]")).to_have_text(backwards)
    expect(page.locator("code:not([translate=no]), .protocol:not([translate=no])")).to_have_count(0)

    page.goto(f"/avaliacoes/{identity}/dossie")
    expect(page.locator("h1 bdi[translate=no]")).to_have_text(backwards)
    expect(page.locator("code:not([translate=no]), .protocol:not([translate=no])")).to_have_count(0)


def test_the_interactive_description_is_linked_and_dark_where_it_is_dark(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/")
    page.get_by_role("link", name="API para outros sistemas").click()
    expect(page.locator(".opblock").first).to_be_visible()
    expect(page.locator("html")).to_have_class("dark-mode")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).not_to_have_class("dark-mode")


def test_the_interactive_description_breaks_no_word_on_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 900})
    page.goto("/docs/")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.evaluate(BROKEN_WORDS, "#api .opblock-tag, #api .opblock-summary-description") == []


def test_the_interactive_description_shows_where_the_keyboard_is(page: Page) -> None:
    page.goto("/docs/")
    page.get_by_role("button", name="Acesso", exact=True).focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_text("Acesso")
    expect(focused).to_have_css("outline-style", "solid")


def test_the_interactive_description_works_without_any_other_host(page: Page) -> None:
    page.goto("/docs/")
    page.locator("#operations-default-evaluate_avaliar_post, .opblock").first.click()
    expect(page.get_by_role("button", name="Try it out")).to_be_visible()
    expect(page.locator(".opblock-summary-path", has_text="/revisao")).to_be_visible()


def test_the_first_page_is_light_and_soon_usable(open_page: Opener, site: str) -> None:
    usable_milliseconds = []
    for _ in range(3):
        page = open_page(site, first_visit=True)
        page.goto("/", wait_until="load")
        expect(page.locator("[data-submit]")).to_be_enabled()
        assert 10_000 < page.evaluate(TRANSFERRED) < FIRST_PAGE_BYTES
        usable_milliseconds.append(page.evaluate(USABLE))
    assert min(usable_milliseconds) < 3_000


@pytest.mark.parametrize(
    ("address", "last"),
    [
        ("/", "[data-submit]:enabled"),
        ("/lote.html", "[data-earlier] > *"),
        ("/historico.html", "[data-record]"),
        ("/criterios.html", "[data-profile]"),
    ],
)
def test_nothing_on_a_page_jumps_while_it_loads(
    page: Page, site: str, address: str, last: str
) -> None:
    analyst.evaluated(site, "Nara", analyst.USES_LITTLE)
    page.add_init_script(KEEP_SHIFTS)
    page.goto(address)
    expect(page.locator(last).first).to_be_visible()
    page.evaluate(TWO_FRAMES)

    assert page.evaluate("shifts") == []
    page.evaluate("document.body.style.paddingTop = '300px'")
    page.evaluate(TWO_FRAMES)
    assert page.evaluate("shifts.length") > 0, "a jump would have been seen"


def test_nothing_jumps_while_an_evaluation_loads(page: Page, site: str) -> None:
    identity = analyst.evaluated(site, "Nilo", analyst.IN_DEBT)["id"]
    page.add_init_script(KEEP_SHIFTS)
    page.goto(f"/historico.html?id={identity}")
    analyst.answer(page)
    page.evaluate(TWO_FRAMES)

    assert page.evaluate("shifts") == []


def walk_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus; every stop on the way must show that it has it."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            break
        expect(page.locator(":focus-visible")).not_to_have_css("outline-style", "none")
    expect(target).to_be_focused()
    expect(target).not_to_have_css("outline-style", "none")
