"""What is seen of a model service that answers everything, and nothing of use."""

import http.server
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from tests.clients import MARIA
from tests.services import Server, evaluation_server


class Nonsense(http.server.BaseHTTPRequestHandler):
    """Says of every path that there is none."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(HTTPStatus.NOT_FOUND)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = _answer  # noqa: N815 - the standard library's names

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def evaluation(tmp_path: Path) -> Iterator[Server]:
    """Start an evaluation service in front of such a model service."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as nonsense:
        threading.Thread(target=nonsense.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{nonsense.server_address[1]}"
        with evaluation_server(tmp_path, url) as server:
            yield server
        nonsense.shutdown()


def test_a_model_that_answers_nonsense_is_seen_everywhere_and_stops_nothing_else(
    evaluation: Server,
) -> None:
    with httpx.Client(base_url=evaluation.url, timeout=20) as client:
        refused = {client.post("/avaliar", json=MARIA).status_code for _ in range(20)}
        waiting = client.post("/avaliar", json=MARIA, headers={"Prefer": "respond-async"})
        health, metrics = client.get("/health/ready"), client.get("/metrics").text

    assert refused == {503}
    assert waiting.status_code == 202
    assert (health.status_code, health.json()["partes"]["modelo"]) == (200, "indisponivel")
    assert "evaluation_model_away 1.0" in metrics
    assert 'evaluation_model_failed_calls_total{error="ModelAnswerError"}' in metrics
    assert "HTTP 404" in evaluation.printed()
    assert evaluation.printed().count("model_call_failed") < 20
