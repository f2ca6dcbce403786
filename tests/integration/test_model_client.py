"""The model service asked over our own transport and over httpx's: the answers are the same."""

import asyncio
from typing import Any

import httpx

from evaluation_api.app import model_for
from evaluation_api.decision.domain import CardUsage
from evaluation_api.settings import Settings
from tests.clients import FIVE_CLIENTS
from tests.evaluations import POLICY
from tests.services import CERTIFICATES, Server

USAGES = [CardUsage(*map(float, amounts)) for amounts, _ in FIVE_CLIENTS]


async def everything(url: str, transport: httpx.AsyncBaseTransport | None) -> list[Any]:
    async with model_for(POLICY, Settings(model_url=url), transport) as model:
        described = await model.describe()
        return [
            described,
            await asyncio.gather(*map(model.predict, USAGES)),
            await model.predict_each(USAGES),
            await model.predict_as(described.model.tag, USAGES),
        ]


def test_our_transport_and_httpxs_are_answered_the_same(model_service: Server) -> None:
    ours = asyncio.run(everything(model_service.url, None))
    httpxs = asyncio.run(
        everything(model_service.url, httpx.AsyncHTTPTransport(verify=CERTIFICATES))
    )

    assert ours == httpxs
    assert [one.cluster for one in ours[1]] == [cluster for _, cluster in FIVE_CLIENTS]
