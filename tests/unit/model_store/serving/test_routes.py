"""Earlier versions of the model, over HTTP."""

import asyncio
from http import HTTPStatus

import httpx
import pytest

from model_store import registry
from model_store.errors import CorruptModel, ModelNotFound, ModelStoreError
from model_store.registry import StoredModel
from model_store.serving import routes
from tests.clients import AMOUNTS

TAG = "credit_card_clusters:0123456789ab"


async def ask_as(tag: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=routes.routes(tag))
    async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
        return await client.post(f"/models/{tag}/predict", json=[AMOUNTS])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelNotFound("it is gone"), HTTPStatus.NOT_FOUND),
        (CorruptModel("it is torn"), HTTPStatus.INTERNAL_SERVER_ERROR),
    ],
)
def test_a_version_that_cannot_predict_says_why(
    monkeypatch: pytest.MonkeyPatch, error: ModelStoreError, status: HTTPStatus
) -> None:
    def fail(_: str) -> StoredModel:
        raise error

    monkeypatch.setattr(registry, "load", fail)

    answer = asyncio.run(ask_as(TAG))

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == str(error)
