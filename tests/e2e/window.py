"""A browser window at one site, and a watch on what its pages do."""

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, ViewportSize

from tests.e2e.watch import Watch

PATIENCE_MILLISECONDS = 20_000
DESK = ViewportSize(width=1280, height=900)

#: A page to keep open: as long as there is one, the next is there in half the time.
ANCHOR = "/criterios.html"


class Window:
    """A browser context and the pages that one test opens in it."""

    def __init__(self, browser: Browser, site: str, **options: Any) -> None:  # noqa: ANN401
        """Open a window without pages; options: whatever a context of Playwright's takes."""
        settings = {"locale": "pt-BR", "reduced_motion": "reduce", "viewport": DESK, **options}
        self._context = browser.new_context(base_url=site, **settings)
        self._context.set_default_timeout(PATIENCE_MILLISECONDS)
        self._watch = Watch(self._context, urlsplit(site).netloc)
        self._anchor: Page | None = None

    def keep(self) -> "Window":
        """Stay ready for the next test."""
        self._anchor = self._context.new_page()
        self._anchor.goto(ANCHOR)
        return self

    def open(self) -> Page:
        """Open a page; what a page stores for its session, no other page sees."""
        return self._context.new_page()

    def leave(self) -> list[str]:
        """Close what a test has opened, and return what there is to complain of."""
        for page in self._context.pages:
            if page is not self._anchor:
                page.close()
        self._context.set_offline(offline=False)
        if self._anchor is None:
            self._context.close()
        return self._watch.take()
