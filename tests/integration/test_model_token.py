"""The model service and whoever asks it, with the token that they share and without."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients import MARIA
from tests.services import Server, evaluation_server, model_server

TOKEN = "of the evaluation service and the worker"  # noqa: S105 - of nothing


@pytest.fixture(scope="module")
def model_with_token(bentoml_home: Path) -> Iterator[Server]:
    with model_server(bentoml_home, MODEL_SERVICE_TOKEN=TOKEN) as server:
        yield server


def test_a_service_with_the_token_is_answered_and_one_without_is_not(
    model_with_token: Server, tmp_path: Path
) -> None:
    with (
        evaluation_server(tmp_path, model_with_token.url, MODEL_SERVICE_TOKEN=TOKEN) as known,
        evaluation_server(tmp_path, model_with_token.url) as unknown,
    ):
        answered = httpx.post(f"{known.url}/avaliar", json=MARIA)
        refused = httpx.post(f"{unknown.url}/avaliar", json=MARIA)

        assert answered.status_code == 200
        assert httpx.get(f"{known.url}/modelo").status_code == 200
        assert (refused.status_code, refused.json()["codigo"]) == (503, "avaliacao_indisponivel")
        assert httpx.post(f"{model_with_token.url}/predict", json=[]).status_code == 401
        assert TOKEN not in known.printed() + model_with_token.printed()


def test_a_service_with_a_token_asks_a_model_service_that_knows_of_none(
    model_service: Server, tmp_path: Path
) -> None:
    with evaluation_server(tmp_path, model_service.url, MODEL_SERVICE_TOKEN=TOKEN) as known:
        assert httpx.post(f"{known.url}/avaliar", json=MARIA).status_code == 200
