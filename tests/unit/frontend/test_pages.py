"""What every page promises before a browser runs it: its policy, its weight, its navigation."""

import gzip
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

FRONTEND = Path(__file__).parents[3] / "frontend"
PAGES = sorted(FRONTEND.glob("*.html"))
SOURCES = sorted(path for path in FRONTEND.rglob("*.*") if "vendor" not in path.parts)

#: As it is sent. The promise is 300 KB; a third of it leaves room for slow lines.
FIRST_PAGE_BYTES = 100_000

ANOTHER_HOST = re.compile(r"""(["'(]|=\s*)(https?:)?//[a-z]""")
HTML_FROM_STRINGS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|setAttribute\(\"style\""
)
STATIC_IMPORT = re.compile(r'^import [^"]*"\./(?P<module>[^"]+)"', re.MULTILINE)

Element = tuple[str, dict[str, str | None]]


class Elements(HTMLParser):
    """Collects each start tag of a page with its attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[Element] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element with this tag."""
        return [attributes for name, attributes in self.found if name == tag]


def navigation(page: Path) -> list[str]:
    """Return the navigation's lines, without the mark of the current page."""
    block = page.read_text(encoding="utf-8").split("<nav", 1)[1].split("</nav>", 1)[0]
    return block.replace(' aria-current="page"', "").splitlines()


def modules_from(entry: str) -> set[str]:
    """Follow static imports from one module: what the browser loads before the page works."""
    found = {entry}
    for match in STATIC_IMPORT.finditer((FRONTEND / "js" / entry).read_text(encoding="utf-8")):
        found |= modules_from(match["module"])
    return found


def first_page_files() -> Iterator[Path]:
    """List what the browser transfers for the page *Avaliar*, each file once."""
    yield FRONTEND / "index.html"
    elements = Elements(FRONTEND / "index.html")
    for link in elements.named("link"):
        yield FRONTEND / str(link["href"]).lstrip("/")
    for module in modules_from("evaluate.js"):
        yield FRONTEND / "js" / module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_keeps_the_content_security_policy(page: Path) -> None:
    elements = Elements(page)
    attributes = {name for _, found in elements.found for name in found}

    assert all("src" in script for script in elements.named("script"))
    assert not elements.named("style")
    assert "style" not in attributes
    assert not {name for name in attributes if name.startswith("on")}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_nothing_asks_another_host_or_makes_html_from_strings(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    without_namespaces = re.sub(r"http://www\.w3\.org/\d+/svg", "", text)

    assert not ANOTHER_HOST.search(without_namespaces)
    assert not HTML_FROM_STRINGS.search(text)


def test_what_is_looked_for_would_be_found() -> None:
    for line in ('from "https://x.example"', "url(//x.example/a.png)", "src=http://x.example"):
        assert ANOTHER_HOST.search(line)
    for line in ("node.innerHTML = text", 'node.setAttribute("style", "color:red")', "eval(text)"):
        assert HTML_FROM_STRINGS.search(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_introduces_itself_and_keeps_room_for_its_pictures(page: Path) -> None:
    elements = Elements(page)
    metas = {meta.get("name"): meta.get("content") for meta in elements.named("meta")}

    assert [html["lang"] for html in elements.named("html")] == ["pt-BR"]
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["description"]
    assert "<title>" in page.read_text(encoding="utf-8")
    assert all({"alt", "width", "height"} <= set(image) for image in elements.named("img"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_has_the_same_navigation_and_marks_itself(page: Path) -> None:
    if page.name == "entrar.html":  # whoever reads it may not go anywhere yet
        assert "<nav" not in page.read_text(encoding="utf-8")
        return
    links = Elements(page).named("a")
    current = [link["href"] for link in links if link.get("aria-current") == "page"]

    assert navigation(page) == navigation(FRONTEND / "index.html")
    assert current == ["/" if page.name == "index.html" else f"/{page.name}"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_address_in_a_page_leads_to_a_file(page: Path) -> None:
    elements = Elements(page)
    addresses = [found.get("href") or found.get("src") for _, found in elements.found]
    found = [address for address in addresses if address and address.startswith("/")]
    paths = [path for path in found if path != "/docs/"]  # the evaluation service's own

    assert paths
    for path in paths:
        assert (FRONTEND / (path.lstrip("/") or "index.html")).is_file(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_field_has_a_label_and_every_reference_its_element(page: Path) -> None:
    elements = Elements(page)
    ids = [found["id"] for _, found in elements.found if "id" in found]
    labelled = {label.get("for") for label in elements.named("label")}
    references = [
        reference
        for _, found in elements.found
        for name in ("aria-describedby", "aria-labelledby", "for")
        for reference in (found.get(name) or "").split()
    ]

    assert len(ids) == len(set(ids))
    assert set(references) <= set(ids)
    for tag in ("input", "select", "textarea"):
        assert {field.get("id") for field in elements.named(tag)} <= labelled


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_what_it_needs_where_scripts_are_off(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    without_scripts = text.split("<noscript>", 1)[1].split("</noscript>", 1)[0]
    assert "precisa de JavaScript" in without_scripts


def test_the_first_page_weighs_under_100_kilobytes_compressed() -> None:
    sent = sum(len(gzip.compress(path.read_bytes())) for path in first_page_files())
    assert FIRST_PAGE_BYTES / 10 < sent < FIRST_PAGE_BYTES
