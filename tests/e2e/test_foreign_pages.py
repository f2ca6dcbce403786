"""What a page of another origin can do to the service from somebody's browser."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.services import CERTIFICATES, Server, evaluation_server, free_port

pytestmark = pytest.mark.browser

PLACES = 4
#: No permission is asked for it; whatever comes of it, the page opens the next.
OPEN_WEBSOCKETS = """async ([address, count]) => {
    for (let number = 0; number < count; number += 1) {
        await new Promise((done) => {
            const socket = new WebSocket(address);
            socket.onopen = () => socket.close();
            socket.onerror = done;
            socket.onclose = done;
        });
    }
}"""


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Server]:
    nobody = f"http://127.0.0.1:{free_port()}"
    with evaluation_server(tmp_path, nobody, EVALUATION_MAX_IN_FLIGHT=str(PLACES)) as server:
        yield server


def test_websockets_of_a_foreign_page_take_no_place(browser: Browser, crowded: Server) -> None:
    assert importlib.util.find_spec("wsproto"), "with it, uvicorn would take them"
    with browser.new_context() as context:
        page = context.new_page()
        page.goto("data:text/html,foreign")
        page.evaluate(OPEN_WEBSOCKETS, [f"ws://127.0.0.1:{crowded.port}/politica", 3 * PLACES])

    with httpx.Client(base_url=crowded.url, verify=CERTIFICATES) as http:
        assert http.get("/politica").status_code == 200
        assert "evaluation_reads_in_flight 0.0" in http.get("/metrics").text
