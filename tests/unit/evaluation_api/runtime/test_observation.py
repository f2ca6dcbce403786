"""What every request gets, the one that nobody foresaw included."""

import asyncio
import logging

import httpx
import pytest
from starlette.requests import ClientDisconnect

from evaluation_api.app import create_fastapi_app
from evaluation_api.runtime import metrics
from evaluation_api.web import problems
from tests.clients import FIVE_CLIENTS, asked


class Broken:
    """Services none of which can be had."""

    def __getattr__(self, name: str) -> None:
        """Fail, as a defect would."""
        raise ZeroDivisionError("amount 1234.56 of Maria")


@pytest.mark.parametrize(("method", "path"), [("POST", "/avaliar"), ("GET", "/politica")])
def test_a_defect_is_a_problem_with_id_and_headers_and_says_nothing_of_itself(
    caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    app = create_fastapi_app()
    app.state.services = Broken()

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"X-Request-ID": "pedido-7"}
            return await client.request(
                method, path, json=asked(FIVE_CLIENTS[0][0]), headers=headers
            )

    with caplog.at_level(logging.ERROR):
        answer = asyncio.run(ask())

    assert answer.status_code == 500
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert answer.headers["x-request-id"] == answer.json()["instance"] == "pedido-7"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Maria" not in answer.text
    assert [record.getMessage() for record in caplog.records] == ["unexpected_error"]
    assert caplog.records[0].exc_info


def test_a_caller_who_hangs_up_while_sending_is_no_fault_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        answer = problems.unexpected(ClientDisconnect())

    assert answer.status_code == 400
    assert not caplog.records


def test_a_method_that_no_route_takes_is_no_series_of_its_own() -> None:
    for method in ("PROPFIND", "PURGE", "M-SEARCH"):
        metrics.observe({"type": "http", "method": method}, 405, 0.001)
    metrics.observe({"type": "http", "method": "HEAD"}, 405, 0.001)

    samples = [sample.labels for metric in metrics.REQUESTS.collect() for sample in metric.samples]
    methods = {labels["method"] for labels in samples if labels["status"] == "405"}
    assert {"HEAD", "other"} <= methods <= {"GET", "HEAD", "POST", "other"}
