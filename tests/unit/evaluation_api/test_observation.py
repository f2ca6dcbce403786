"""What every request gets, the one that nobody foresaw included."""

import asyncio
import logging

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect

from evaluation_api import problems
from evaluation_api.observation import Observation


def app_that_breaks() -> FastAPI:
    app = FastAPI()
    app.add_middleware(Observation, unexpected=problems.unexpected)
    problems.install(app)

    @app.get("/")
    async def break_down() -> None:
        raise ZeroDivisionError("amount 1234.56 of Maria")

    return app


def test_a_defect_is_a_problem_with_id_and_headers_and_says_nothing_of_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app_that_breaks())
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/", headers={"X-Request-ID": "pedido-7"})

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
