"""One browser for the session, one context for each test, and a watch on what pages do.

Whatever a test is about, it fails when a page complains in the console or asks another host.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.e2e.watch import Watch
from tests.services import Server, evaluation_server, free_port

PATIENCE_MILLISECONDS = 20_000

#: Opens a page of a server with a viewport, a colour scheme and whatever else a context takes.
Opener = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put browser tests last: Playwright leaves a running event loop, which asyncio.run refuses."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def browser(chromium_path: Path) -> Iterator[Browser]:
    """Start Chromium; its own sandbox needs rights that a container's root does not have."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(evaluation_service: Server) -> str:
    """Give the address of the pages, with the model at work behind them."""
    return evaluation_service.url


@pytest.fixture(scope="session")
def site_without_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of pages whose model never comes."""
    nobody = f"http://127.0.0.1:{free_port()}"
    server = evaluation_server(tmp_path_factory.mktemp("alone"), nobody)
    try:
        yield server.start().wait_until_ready().url
    finally:
        server.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opener]:
    """Open pages, and fail afterwards when one of them did what no page may do."""
    watches: list[Watch] = []
    with ExitStack() as contexts:

        def open_one(site: str, width: int = 1280, **options: Any) -> Page:  # noqa: ANN401
            size = ViewportSize(width=width, height=900)
            settings = {"locale": "pt-BR", "reduced_motion": "reduce", **options}
            context = contexts.enter_context(
                browser.new_context(base_url=site, viewport=size, **settings)
            )
            context.set_default_timeout(PATIENCE_MILLISECONDS)
            watches.append(Watch(context, urlsplit(site).netloc))
            return context.new_page()

        yield open_one
    assert [complaint for watch in watches for complaint in watch.complaints] == []


@pytest.fixture
def page(open_page: Opener, site: str) -> Page:
    """Open a page as an analyst has it at the desk."""
    return open_page(site)
