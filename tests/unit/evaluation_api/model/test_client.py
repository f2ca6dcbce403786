"""The keeper of the model service, at the wire: whatever it answers becomes ours or our error."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import httpx
import pytest

from evaluation_api.decision.domain import FEATURES, Counterfactual, Geometry, Prediction
from evaluation_api.decision.errors import (
    ModelAnswerError,
    ModelUnavailableError,
    ModelVersionGoneError,
)
from evaluation_api.model.circuit import Circuit
from evaluation_api.model.client import ModelClient
from tests.evaluations import MODEL, USAGE, usage

T = TypeVar("T")
Answer = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]

HEADERS = {"X-Model-Tag": MODEL.tag, "X-Model-Sha256": MODEL.sha256}
ONE = {
    "cluster": 4,
    "runner_up": 1,
    "confidence": 0.31,
    "contributions": dict.fromkeys(FEATURES, 0.1),
    "alternatives": [{"feature": "balance", "amount": 1.5, "cluster": 3, "confidence": 0.06}],
}


class Wire:
    """The model service as the client sees it, and what it was asked."""

    def __init__(self, *answers: Answer, deadline: float = 5, failures: int = 3) -> None:
        """Give the answers in turn, the last one for ever."""
        self.asked: list[httpx.Request] = []
        self._answers = answers
        self.circuit = Circuit(failures, pause_seconds=60)
        self.client = ModelClient(
            httpx.MockTransport(self._answer),
            "http://model",
            toward=(1, 3, 4),
            margin=0.05,
            deadline_seconds=deadline,
            circuit=self.circuit,
            max_waiting=100,
            lanes=1,
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1](request)
        return answer if isinstance(answer, httpx.Response) else await answer

    def run(self, use: Callable[[ModelClient], Coroutine[Any, Any, T]]) -> T:
        """Use the client within its life."""

        async def used() -> T:
            async with self.client:
                return await use(self.client)

        return asyncio.run(used())

    def predict(self) -> Prediction:
        """Predict one client."""
        return self.run(lambda client: client.predict(USAGE))


def predicted(request: httpx.Request) -> httpx.Response:
    """Answer each client with its balance's last digit for a cluster."""
    clients = json.loads(request.content)
    answer = [{**ONE, "cluster": int(client["balance"]) % 5} for client in clients]
    return httpx.Response(200, json=answer, headers=HEADERS)


def always(status: int, json: object = None, **more: Any) -> Answer:  # noqa: ANN401
    return lambda _: httpx.Response(status, json=json, **more)


def failing(error: type[httpx.HTTPError]) -> Answer:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("broken")

    return fail


def test_a_prediction_is_read_whole() -> None:
    wire = Wire(always(200, [ONE], headers=HEADERS))

    found = wire.predict()

    assert (found.cluster, found.runner_up, found.confidence) == (4, 1, 0.31)
    assert found.model == MODEL
    assert found.counterfactuals == (Counterfactual("balance", 1.5, 3, 0.06),)
    assert wire.asked[0].url == "http://model/predict?toward=1%2C3%2C4&margin=0.05"


def test_a_model_without_geometry_is_read_too() -> None:
    assert Wire(always(200, [{"cluster": 2}], headers=HEADERS)).predict() == Prediction(2, MODEL)


def test_callers_at_once_share_a_call_and_get_their_own_answers() -> None:
    wire = Wire(predicted)

    async def many(client: ModelClient) -> list[Prediction]:
        return await asyncio.gather(*(client.predict(usage(balance=float(n))) for n in range(50)))

    found = wire.run(many)

    assert [one.cluster for one in found] == [n % 5 for n in range(50)]
    assert len(wire.asked) == 1


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.RemoteProtocolError])
def test_a_failed_connection_is_tried_once_more(error: type[httpx.HTTPError]) -> None:
    wire = Wire(failing(error), always(200, [ONE], headers=HEADERS))

    assert wire.predict().cluster == 4
    assert len(wire.asked) == 2


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.RemoteProtocolError])
def test_a_connection_that_fails_twice_is_given_up(error: type[httpx.HTTPError]) -> None:
    wire = Wire(failing(error))

    with pytest.raises(ModelUnavailableError):
        wire.predict()
    assert len(wire.asked) == 2


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout,
        httpx.ReadError,
        httpx.WriteError,
        httpx.PoolTimeout,
        httpx.DecodingError,
        httpx.TooManyRedirects,
        httpx.UnsupportedProtocol,
    ],
)
def test_any_other_trouble_on_the_wire_is_the_models_absence(
    error: type[httpx.HTTPError],
) -> None:
    wire = Wire(failing(error))

    with pytest.raises(ModelUnavailableError):
        wire.predict()
    assert len(wire.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_model_that_cannot_answer_now_is_away(status: int) -> None:
    wire = Wire(always(status, {}))

    with pytest.raises(ModelUnavailableError):
        wire.predict()
    assert len(wire.asked) == 1


NONSENSE = {
    "too few": always(200, [], headers=HEADERS),
    "too many": always(200, [ONE, ONE], headers=HEADERS),
    "an object": always(200, ONE, headers=HEADERS),
    "cluster 7": always(200, [{**ONE, "cluster": 7}], headers=HEADERS),
    "no cluster": always(200, [{}], headers=HEADERS),
    "a runner-up of -1": always(200, [{**ONE, "runner_up": -1}], headers=HEADERS),
    "a confidence of 2": always(200, [{**ONE, "confidence": 2}], headers=HEADERS),
    "a NaN": always(200, content=b'[{"cluster": 1, "confidence": NaN}]', headers=HEADERS),
    "an unknown feature": always(200, [{**ONE, "contributions": {"sex": 1.0}}], headers=HEADERS),
    "no headers": always(200, [ONE]),
    "no sha256": always(200, [ONE], headers={"X-Model-Tag": MODEL.tag}),
    "a page": always(200, html="<h1>It works!</h1>", headers=HEADERS),
    "nothing": always(200, content=b"", headers=HEADERS),
    "a refusal": always(422, {"detail": "$.balance"}),
    "a redirect": always(302, headers={"Location": "/elsewhere"}),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_never_taken_for_a_prediction(answer: Answer) -> None:
    with pytest.raises(ModelAnswerError):
        Wire(answer).predict()


def test_a_call_ends_at_its_deadline_retry_included() -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    wire = Wire(failing(httpx.ConnectError), never, deadline=0.05)

    with pytest.raises(ModelUnavailableError, match="within"):
        wire.predict()
    assert wire.circuit.admits()


def test_after_failures_in_a_row_nobody_is_sent_to_a_model_that_is_away() -> None:
    wire = Wire(always(503), failures=2)

    async def four(client: ModelClient) -> None:
        for _ in range(4):
            with pytest.raises(ModelUnavailableError):
                await client.predict(USAGE)

    wire.run(four)

    assert len(wire.asked) == 2
    assert wire.client.is_away


def test_an_earlier_version_is_asked_by_its_tag() -> None:
    wire = Wire(predicted)

    found = wire.run(lambda client: client.predict_as(MODEL.tag, [USAGE]))

    assert found[0].model == MODEL
    assert wire.asked[0].url.path == f"/models/{MODEL.tag}/predict"
    assert wire.asked[0].url.params["toward"] == "1,3,4"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (always(404, {}), ModelVersionGoneError),
        (always(503, {}), ModelUnavailableError),
        (always(200, [], headers=HEADERS), ModelAnswerError),
        (failing(httpx.ReadError), ModelUnavailableError),
    ],
)
def test_an_earlier_version_that_cannot_be_asked_says_why(
    answer: Answer, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Wire(answer).run(lambda client: client.predict_as(MODEL.tag, [USAGE]))


def test_the_model_in_service_is_described() -> None:
    described = {
        "tag": MODEL.tag,
        "sha256": MODEL.sha256,
        "features": FEATURES,
        "centroids": [[0.1] * 5] * 5,
        "cluster_sizes": [1, 2, 3, 4, 5],
    }

    found = Wire(always(200, described)).run(lambda client: client.describe())

    assert found == Geometry(MODEL, FEATURES, ((0.1,) * 5,) * 5, (1, 2, 3, 4, 5))


@pytest.mark.parametrize("answer", [always(200, {}), always(200, html="<p>")])
def test_a_description_that_is_none_is_refused(answer: Answer) -> None:
    with pytest.raises(ModelAnswerError):
        Wire(answer).run(lambda client: client.describe())
