"""One browser for the session, pages of their own for each test, and a watch on what they do.

Whatever a test is about, it fails when a page complains in the console or asks another host.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.window import PATIENCE_MILLISECONDS, Window
from tests.services import Server, evaluation_server, free_port, worker_server

#: Opens a page of a server, with whatever a context of Playwright's takes.
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


@pytest.fixture(scope="module")
def keeping_browser(browser: Browser, chromium_path: Path) -> Iterator[Browser]:
    """Start a Chromium that keeps pages, as people's do and Playwright's do not."""
    keeping = browser.browser_type.launch(
        executable_path=chromium_path,
        args=["--no-sandbox"],
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield keeping
    keeping.close()


@pytest.fixture(scope="session")
def site(
    model_service: Server, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the address of the pages, with the model and a worker at work behind them.

    The record is their own: pages tell what files of other tests have decided and answered.
    """
    server = evaluation_server(tmp_path_factory.mktemp("site"), model_service.url)
    with server, worker_server(server, bentoml_home) as worker:
        assert worker.is_ready()
        yield server.url


@pytest.fixture(scope="session")
def site_without_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of pages whose model never comes."""
    nobody, folder = f"http://127.0.0.1:{free_port()}", tmp_path_factory.mktemp("alone")
    with evaluation_server(folder, nobody) as server:
        worker = worker_server(server, folder, CREDIT_CARD_MODEL_TAG="credit_card_clusters:nenhum")
        with worker:
            yield server.url


@pytest.fixture(scope="session")
def site_without_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of pages behind which nobody works on files."""
    nobody = f"http://127.0.0.1:{free_port()}"
    with evaluation_server(tmp_path_factory.mktemp("workless"), nobody) as server:
        yield server.url


@pytest.fixture(scope="session")
def kept_windows(browser: Browser) -> Callable[[str], Window]:
    """Keep a window open at each site, for every test that needs none of its own."""
    return functools.cache(lambda site: Window(browser, site).keep())


@pytest.fixture
def open_page(browser: Browser, kept_windows: Callable[[str], Window]) -> Iterator[Opener]:
    """Open pages, and fail afterwards when one of them did what no page may do.

    A first visit, or one with options for the browser's context, gets a window of its own.
    """
    windows: list[Window] = []

    def open_one(site: str, *, first_visit: bool = False, **options: Any) -> Page:  # noqa: ANN401
        own = first_visit or options
        windows.append(Window(browser, site, **options) if own else kept_windows(site))
        return windows[-1].open()

    yield open_one
    assert [complaint for window in windows for complaint in window.leave()] == []


@pytest.fixture
def page(open_page: Opener, site: str) -> Page:
    """Open a page as an analyst has it at the desk."""
    return open_page(site)
