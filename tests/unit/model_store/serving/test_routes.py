"""Earlier versions of the model, over HTTP."""

import asyncio
import shutil
from pathlib import Path

import httpx

from model_store import promotion, registry, version
from model_store.ledger import Ledger
from model_store.serving import routes
from model_store.serving.live import LiveModel
from tests.clients import AMOUNTS


async def ask_as(tag: str, ledger: Ledger) -> httpx.Response:
    app = routes.create_app(LiveModel(ledger), ledger)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
        return await client.post(f"/models/{tag}/predict", json=[AMOUNTS])


def test_a_version_that_was_never_published_or_cannot_predict_says_why(
    imported: str, models_home: Path, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    promotion.promote(imported, "as the test says", ledger=ledger)
    folder = models_home / imported.partition(":")[2]
    (folder / version.GOLDEN_NAME).write_text("{}")
    shutil.rmtree(ledger.archives)  # out of which it would be mended

    for tag, status in (("latest", 404), (f"{registry.NAME}:0123456789ab", 404), (imported, 500)):
        answer = asyncio.run(ask_as(tag, ledger))

        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert tag in answer.json()["detail"]
