"""The model service, asked by columns, says what the model in the store says: to the last bit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from evaluation_api.decision.errors import (
    ModelAnswerError,
    ModelError,
    ModelRefusalError,
    ModelUnavailableError,
    ModelVersionGoneError,
)
from model_store import publications, registry
from model_store.serving import npy
from portfolio.profiler import StoredProfiler
from portfolio.served import ServedProfiler, connect
from tests.evaluations import POLICY
from tests.services import Server
from tests.unit.model_store.amounts import spread

CLIENTS = spread(2500)
SHA256 = "a" * 64
DESCRIPTION = {"tag": f"{registry.NAME}:aaaaaaaaaaaa", "sha256": SHA256, "features": []}


@pytest.fixture
def stored(bentoml_home: Path, monkeypatch: pytest.MonkeyPatch) -> StoredProfiler:
    monkeypatch.setenv("BENTOML_HOME", str(bentoml_home))
    return StoredProfiler(publications.load(publications.choose()))


@pytest.fixture
def served(model_service: Server) -> Iterator[ServedProfiler]:
    with connect(model_service.url) as http:
        yield ServedProfiler(http)


def test_profiles_are_those_of_the_stored_model(
    stored: StoredProfiler, served: ServedProfiler
) -> None:
    here, there = stored.profiles(CLIENTS), served.profiles(CLIENTS)

    for ours, theirs in zip(here, there, strict=True):
        assert ours is not None
        assert theirs is not None
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


def test_changes_are_those_of_the_stored_model(
    stored: StoredProfiler, served: ServedProfiler
) -> None:
    others = replace(POLICY, near=replace(POLICY.near, min_confidence=0.1))

    for policy in (POLICY, others):
        found = served.changes(CLIENTS[:700], policy)
        assert found == stored.changes(CLIENTS[:700], policy)
        assert any(found)


def test_the_model_is_described_as_the_stored_one(
    stored: StoredProfiler, served: ServedProfiler
) -> None:
    assert served.model == stored.model
    assert replace(served.describe(), card=None) == stored.describe()


def test_nobody_is_placed_nowhere(served: ServedProfiler) -> None:
    assert len(served.profiles(CLIENTS[:0]).cluster) == 0
    assert served.changes(CLIENTS[:0], POLICY) == []


def test_a_client_whom_nobody_can_be_is_refused_by_place(served: ServedProfiler) -> None:
    clients = CLIENTS[:3].copy()
    clients[2, 0] = -1

    with pytest.raises(ModelRefusalError, match=r"\$\[2\]\.balance"):
        served.profiles(clients)


def answering(answer: httpx.Response | Exception) -> ServedProfiler:
    """Meet a model whose every prediction is this."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=DESCRIPTION)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ServedProfiler(httpx.Client(transport=httpx.MockTransport(handle), base_url="http://m"))


def rows(change: Callable[[np.ndarray], object] = lambda _: None) -> bytes:
    told = np.zeros((2, 8))
    change(told)
    return npy.write(told)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ConnectError("refused"), ModelUnavailableError),
        (httpx.ReadTimeout("slow"), ModelUnavailableError),
        (httpx.Response(503, text="busy"), ModelUnavailableError),
        (httpx.Response(429), ModelUnavailableError),
        (httpx.Response(404), ModelVersionGoneError),
        (httpx.Response(415), ModelAnswerError),
        (httpx.Response(200, content=b"{}"), ModelAnswerError),
        (httpx.Response(200, content=npy.write(np.zeros((1, 8)))), ModelAnswerError),
        (httpx.Response(200, content=npy.write(np.zeros((2, 9)))), ModelAnswerError),
        (httpx.Response(200, content=rows(), headers={"x-model-sha256": "b"}), ModelAnswerError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_whatever_goes_wrong_is_an_error_of_the_models(
    answer: httpx.Response | Exception, error: type[ModelError]
) -> None:
    with pytest.raises(error):
        answering(answer).profiles(CLIENTS[:2])


@pytest.mark.parametrize("label", [-1.0, 5.0, np.nan, np.inf])
def test_a_label_that_is_no_profile_is_no_answer(label: float) -> None:
    def spoil(told: np.ndarray) -> None:
        told[1, 0] = label

    answer = httpx.Response(200, content=rows(spoil), headers={"x-model-sha256": SHA256})

    with pytest.raises(ModelAnswerError, match="no profile"):
        answering(answer).profiles(CLIENTS[:2])


def test_a_connection_that_fails_is_tried_once_more() -> None:
    tried: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        tried.append(request.method)
        if len(tried) % 2:
            raise httpx.RemoteProtocolError("closed")
        if request.method == "GET":
            return httpx.Response(200, json=DESCRIPTION)
        return httpx.Response(200, content=rows(), headers={"x-model-sha256": SHA256})

    http = httpx.Client(transport=httpx.MockTransport(handle), base_url="http://m")
    assert ServedProfiler(http).profiles(CLIENTS[:2]).cluster.tolist() == [0, 0]
    assert tried == ["GET", "GET", "POST", "POST"]


def test_a_file_keeps_its_model_when_another_is_promoted() -> None:
    asked: list[str] = []
    serving = [SHA256, SHA256, "b" * 64]

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.method == "GET":
            return httpx.Response(200, json=DESCRIPTION)
        named = request.url.path.startswith("/models/")
        sha256 = SHA256 if named else serving[len(asked) - 1]
        return httpx.Response(200, content=rows(), headers={"x-model-sha256": sha256})

    http = httpx.Client(transport=httpx.MockTransport(handle), base_url="http://m")
    profiler = ServedProfiler(http)
    for _ in range(3):
        profiler.profiles(CLIENTS[:2])

    by_name = f"/models/{DESCRIPTION['tag']}/predict"
    assert asked == ["/model", "/predict", "/predict", by_name, by_name]
    assert profiler.model.sha256 == SHA256
