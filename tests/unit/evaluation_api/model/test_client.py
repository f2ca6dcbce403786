"""The model service over each transport: whatever it answers becomes ours or our error."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client import REGISTRY

from evaluation_api.decision.domain import FEATURES, Counterfactual, Geometry, Prediction
from evaluation_api.decision.errors import (
    ModelAnswerError,
    ModelError,
    ModelRefusalError,
    ModelUnavailableError,
    ModelVersionGoneError,
)
from evaluation_api.model.circuit import Circuit
from evaluation_api.model.client import ModelClient
from evaluation_api.model.messages import Spans
from evaluation_api.model.transport import KeptAliveTransport
from tests.evaluations import MODEL, POLICY, USAGE, usage
from tests.services import CERTIFICATES
from tests.unit.evaluation_api.model.peer import Peer

T = TypeVar("T")
Answer = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
AsyncAnswer = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]
Reached = tuple[httpx.AsyncBaseTransport, str]
Over = Callable[[AsyncAnswer], AbstractAsyncContextManager[Reached]]
MakeWire = Callable[..., "Wire"]

HEADERS = {"X-Model-Tag": MODEL.tag, "X-Model-Sha256": MODEL.sha256}
ONE = {
    "cluster": 4,
    "runner_up": 1,
    "confidence": 0.31,
    "contributions": dict.fromkeys(FEATURES, 0.1),
    "alternatives": [{"feature": "balance", "amount": 1.5, "cluster": 3, "confidence": 0.06}],
}
DESCRIBED = {
    "tag": MODEL.tag,
    "sha256": MODEL.sha256,
    "features": FEATURES,
    "centroids": [[0.1] * 5] * 5,
    "cluster_sizes": [1, 2, 3, 4, 5],
}


@asynccontextmanager
async def mocked(answer: AsyncAnswer) -> AsyncIterator[Reached]:
    yield httpx.MockTransport(answer), "http://model"


@asynccontextmanager
async def served(
    answer: AsyncAnswer, transport: Callable[[], httpx.AsyncBaseTransport]
) -> AsyncIterator[Reached]:
    async def write(writer: asyncio.StreamWriter, request: httpx.Request, _: int) -> None:
        writer.write(as_bytes(await answer(request)))

    async with Peer(write).listening() as url:
        yield transport(), url


def as_bytes(answer: httpx.Response) -> bytes:
    answer.headers["content-length"] = str(len(answer.content))
    lines = [b"HTTP/1.1 %d x" % answer.status_code]
    lines += [b"%s: %s" % header for header in answer.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n" + answer.content


class Wire:
    """The model service as the client sees it, and what it was asked."""

    def __init__(
        self,
        *answers: Answer,
        over: Over = mocked,
        deadline: float = 5,
        circuit: Circuit | None = None,
        spans: Spans | None = None,
    ) -> None:
        self.asked: list[httpx.Request] = []
        self.circuit = circuit or Circuit()
        self._spans = spans
        self._answers = answers
        self._over = over
        self._deadline = deadline

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1](request)
        return answer if isinstance(answer, httpx.Response) else await answer

    def run(self, use: Callable[[ModelClient], Coroutine[Any, Any, T]]) -> T:
        """Use a client within its life."""

        async def used() -> T:
            async with (
                self._over(self._answer) as (transport, url),
                ModelClient(
                    transport,
                    url,
                    targets=(1, 3, 4),
                    margin=0.05,
                    spans=self._spans,
                    deadline_seconds=self._deadline,
                    circuit=self.circuit,
                    max_waiting=100,
                ) as client,
            ):
                return await use(client)

        return asyncio.run(used())

    def predict(self) -> Prediction:
        return self.run(lambda client: client.predict(USAGE))


@pytest.fixture(
    params=[
        mocked,
        partial(served, transport=partial(httpx.AsyncHTTPTransport, verify=CERTIFICATES)),
        partial(served, transport=KeptAliveTransport),
    ],
    ids=["mocked", "httpx's transport", "our transport"],
)
def wire(request: pytest.FixtureRequest) -> MakeWire:
    """Return what makes a wire, of each kind in turn."""
    return partial(Wire, over=request.param)


def predicted(request: httpx.Request) -> httpx.Response:
    """Answer each client with its balance's last digit for a cluster."""
    clients = json.loads(request.content)
    answer = [{**ONE, "cluster": int(client["balance"]) % 5} for client in clients]
    return httpx.Response(200, json=answer, headers=HEADERS)


def always(status: int, json: object = None, **more: Any) -> Answer:  # noqa: ANN401
    return lambda _: httpx.Response(status, json=json, **more)


def failing(error: type[Exception]) -> Answer:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error.__new__(error, "broken")

    return fail


def test_a_model_that_is_tried_and_not_published_answers_as_well(wire: MakeWire) -> None:
    tried = f"{MODEL.tag} (not published)"
    answer = always(200, [{"cluster": 2}], headers={**HEADERS, "X-Model-Tag": tried})

    assert wire(answer).predict().model.tag == tried


def test_a_prediction_is_read_whole(wire: MakeWire) -> None:
    reached = wire(always(200, [ONE], headers=HEADERS))

    found = reached.predict()

    assert (found.cluster, found.runner_up, found.confidence) == (4, 1, 0.31)
    assert found.model == MODEL
    assert found.counterfactuals == (Counterfactual("balance", 1.5, 3, 0.06),)
    assert reached.asked[0].url == "http://model/predict?toward=1%2C3%2C4&margin=0.05"


def test_a_model_without_geometry_is_read_too(wire: MakeWire) -> None:
    assert wire(always(200, [{"cluster": 2}], headers=HEADERS)).predict() == Prediction(2, MODEL)


def test_callers_at_once_share_a_call_and_get_their_own_answers(wire: MakeWire) -> None:
    reached = wire(predicted)

    async def many(client: ModelClient) -> list[Prediction]:
        return await asyncio.gather(*(client.predict(usage(balance=float(n))) for n in range(50)))

    found = reached.run(many)

    assert [one.cluster for one in found] == [n % 5 for n in range(50)]
    assert len(reached.asked) == 1


def test_a_failed_connection_is_tried_once_more(wire: MakeWire) -> None:
    reached = wire(failing(httpx.ReadError), always(200, [ONE], headers=HEADERS))

    assert reached.predict().cluster == 4
    assert len(reached.asked) == 2


def test_a_connection_that_fails_twice_is_given_up(wire: MakeWire) -> None:
    reached = wire(failing(httpx.RemoteProtocolError))

    with pytest.raises(ModelUnavailableError):
        reached.predict()
    assert len(reached.asked) == 2


class Broken(httpx.AsyncByteStream):
    """A body that cannot be read."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"["
        raise self.error

    async def aclose(self) -> None:
        self.closed = True


RAISED_BY_HTTPX = [
    error
    for error in vars(httpx).values()
    if isinstance(error, type) and issubclass(error, httpx.HTTPError | httpx.StreamError)
]


@pytest.mark.parametrize("error", RAISED_BY_HTTPX)
def test_whatever_httpx_raises_is_the_models_absence(error: type[Exception]) -> None:
    body = Broken(error.__new__(error, "broken"))
    sending, reading = Wire(failing(error)), Wire(lambda _: httpx.Response(200, stream=body))

    for wire in (sending, reading):
        with pytest.raises(ModelUnavailableError):
            wire.predict()
        assert len(wire.asked) == (2 if issubclass(error, httpx.TransportError) else 1)
    assert body.closed


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_model_that_cannot_answer_now_is_away(wire: MakeWire, status: int) -> None:
    reached = wire(always(status, {}))

    with pytest.raises(ModelUnavailableError):
        reached.predict()
    assert len(reached.asked) == 1


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
    "no tag": always(200, [ONE], headers={**HEADERS, "X-Model-Tag": ""}),
    "a tag that is too long": always(200, [ONE], headers={**HEADERS, "X-Model-Tag": "a" * 81}),
    "no digest": always(200, [ONE], headers={**HEADERS, "X-Model-Sha256": f"{MODEL.sha256}ff"}),
    "a page": always(200, html="<h1>It works!</h1>", headers=HEADERS),
    "nothing": always(200, content=b"", headers=HEADERS),
    "a refusal": always(422, {"detail": "$.balance"}),
    "a redirect": always(302, headers={"Location": "/elsewhere"}),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_never_taken_for_a_prediction(wire: MakeWire, answer: Answer) -> None:
    with pytest.raises(ModelAnswerError):
        wire(answer).predict()


@pytest.mark.parametrize(
    "answer", [always(404, {}), always(302), always(200, html="<p>", headers=HEADERS)]
)
def test_a_model_that_answers_nonsense_is_away_counted_and_told_of_once_a_second(
    answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire(answer)

    async def twenty(client: ModelClient) -> bool:
        for _ in range(20):
            with pytest.raises(ModelError):
                await client.predict(USAGE)
        return client.is_away

    before = failed_calls("ModelAnswerError")
    assert wire.run(twenty)
    assert len(wire.asked) == failed_calls("ModelAnswerError") - before == 3
    (line,) = caplog.records
    assert (line.levelname, line.message) == ("WARNING", "model_call_failed")


def test_a_model_that_is_still_starting_is_no_reason_to_warn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def look(client: ModelClient) -> bool:
        with pytest.raises(ModelError):
            await client.look()
        return client.is_away

    assert Wire(always(503)).run(look)
    assert not caplog.records


def test_the_status_of_a_nonsensical_answer_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModelAnswerError):
        Wire(always(404, {})).predict()

    assert vars(caplog.records[0])["reason"].startswith("HTTP 404")


def failed_calls(error: str) -> float:
    return REGISTRY.get_sample_value("evaluation_model_failed_calls_total", {"error": error}) or 0


def refusing(*balances: float) -> Answer:
    """Refuse whatever holds a client with one of these balances, and answer everything else."""

    def answer(request: httpx.Request) -> httpx.Response:
        if any(client["balance"] in balances for client in json.loads(request.content)):
            return httpx.Response(422, json={"detail": "$[0].balance"})
        return predicted(request)

    return answer


@pytest.mark.parametrize("refused", [{13.0}, {0.0, 39.0}, {3.0, 17.0, 20.0}])
def test_a_client_whom_the_model_refuses_harms_no_neighbour(
    wire: MakeWire, refused: set[float]
) -> None:
    reached = wire(refusing(*refused))

    async def forty(client: ModelClient) -> list[Prediction | BaseException]:
        asking = (client.predict(usage(balance=float(n))) for n in range(40))
        return await asyncio.gather(*asking, return_exceptions=True)

    found = reached.run(forty)

    for n, one in enumerate(found):
        if float(n) in refused:
            assert isinstance(one, ModelRefusalError)
        else:
            assert isinstance(one, Prediction)
            assert one.cluster == n % 5
    assert reached.circuit.admits()


def test_a_model_that_refuses_everybody_is_not_asked_about_each() -> None:
    wire = Wire(always(422, {}))

    async def many(client: ModelClient) -> list[object]:
        return list(await client.predict_each([usage(balance=float(n)) for n in range(1024)]))

    found = wire.run(many)

    assert len(found) == 1024
    assert all(isinstance(one, ModelRefusalError) for one in found)
    assert len(wire.asked) < 40


def test_one_refused_among_1024_is_found() -> None:
    async def many(client: ModelClient) -> list[object]:
        return list(await client.predict_each([usage(balance=float(n)) for n in range(1024)]))

    found = Wire(refusing(1000.0)).run(many)

    assert [n for n, one in enumerate(found) if isinstance(one, ModelRefusalError)] == [1000]


def test_looks_are_shared_and_have_no_vote_on_predictions() -> None:
    wire = Wire(always(503))

    async def look_often(client: ModelClient) -> bool:
        for _ in range(20):
            looks = (client.look() for _ in range(50))
            found = await asyncio.gather(*looks, return_exceptions=True)
            assert all(isinstance(one, ModelUnavailableError) for one in found)
        return client.is_away

    assert wire.run(look_often), "it is told to whoever watches"
    assert len(wire.asked) == 1
    assert wire.circuit.admits()


def test_predictions_need_no_look_though_the_model_cannot_describe_itself() -> None:
    def store_away(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if request.method == "GET" else predicted(request)

    async def look_and_predict(client: ModelClient) -> list[int]:
        for _ in range(4):
            with pytest.raises(ModelUnavailableError):
                await client.describe()
        return [(await client.predict(USAGE)).cluster for _ in range(5)]

    found = Wire(store_away, spans=POLICY.spans).run(look_and_predict)

    assert found == [int(USAGE.balance) % 5] * 5


def test_what_was_seen_is_remembered_while_the_model_is_away() -> None:
    wire = Wire(always(200, DESCRIBED), always(503))

    async def seen(client: ModelClient) -> Geometry | None:
        await client.look()
        with pytest.raises(ModelUnavailableError):
            await client.describe()
        return client.geometry

    assert wire.run(seen) == Geometry(MODEL, FEATURES, ((0.1,) * 5,) * 5, (1, 2, 3, 4, 5))


def test_a_client_that_is_closed_leaves_no_look_behind() -> None:
    async def look_and_go(client: ModelClient) -> None:
        looking = asyncio.create_task(client.look())
        await asyncio.sleep(0)
        looking.cancel()

    Wire(never).run(look_and_go)


def test_a_look_that_fails_once_all_who_asked_have_gone_is_no_error_of_ours(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail_late(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)
        raise httpx.ConnectError("refused")

    async def look_and_go(client: ModelClient) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await client.look()
        await asyncio.sleep(0.2)
        with pytest.raises(ModelUnavailableError):
            await client.look()  # takes the place of the first, of which nobody has heard
        gc.collect()

    monkeypatch.setattr("evaluation_api.model.client._SECONDS_BETWEEN_LOOKS", 0)
    Wire(fail_late).run(look_and_go)

    assert "never retrieved" not in caplog.text


async def never(_: httpx.Request) -> httpx.Response:
    await asyncio.sleep(60)
    raise AssertionError


def test_a_call_ends_at_its_deadline_retry_included(wire: MakeWire) -> None:
    reached = wire(failing(httpx.ConnectError), never, deadline=0.1)

    with pytest.raises(ModelUnavailableError, match=r"within 0\.1 s"):
        reached.predict()
    assert len(reached.asked) == 2
    assert reached.circuit.admits()


def test_after_three_failures_in_a_row_nobody_is_sent_to_a_model_that_is_away() -> None:
    wire = Wire(always(503))

    async def four(client: ModelClient) -> bool:
        for _ in range(4):
            with pytest.raises(ModelUnavailableError):
                await client.predict(USAGE)
        return client.is_away

    assert wire.run(four)
    assert len(wire.asked) == 3


def test_only_a_model_that_was_away_is_asked_whether_it_is_back() -> None:
    back = always(200, [ONE], headers=HEADERS)
    wire = Wire(always(503), back, circuit=Circuit(1, pause_seconds=0))

    async def failed_once(client: ModelClient) -> bool:
        await client.ensure_available()
        with pytest.raises(ModelUnavailableError):
            await client.predict(USAGE)
        await client.ensure_available()
        return client.is_away

    assert not wire.run(failed_once)
    assert [request.url.path for request in wire.asked] == ["/predict", "/predict"]


def test_an_earlier_version_is_asked_by_its_tag(wire: MakeWire) -> None:
    reached = wire(predicted)

    found = reached.run(lambda client: client.predict_as(MODEL.tag, [USAGE]))

    assert found[0].model == MODEL
    assert reached.asked[0].url.path == f"/models/{MODEL.tag}/predict"
    assert reached.asked[0].url.params["toward"] == "1,3,4"


def test_an_earlier_version_has_four_deadlines_to_be_loaded_in(wire: MakeWire) -> None:
    with pytest.raises(ModelUnavailableError, match=r"within 0\.08 s"):
        wire(never, deadline=0.02).run(lambda client: client.predict_as(MODEL.tag, [USAGE]))


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
    wire: MakeWire, answer: Answer, error: type[Exception]
) -> None:
    with pytest.raises(error):
        wire(answer).run(lambda client: client.predict_as(MODEL.tag, [USAGE]))


def test_the_model_in_service_is_described(wire: MakeWire) -> None:
    found = wire(always(200, DESCRIBED)).run(lambda client: client.describe())

    assert found == Geometry(MODEL, FEATURES, ((0.1,) * 5,) * 5, (1, 2, 3, 4, 5))


@pytest.mark.parametrize(
    "answer",
    [
        always(200, {}),
        always(200, html="<p>"),
        always(200, {**DESCRIBED, "tag": f"{MODEL.tag}\x00"}),
        always(200, {**DESCRIBED, "sha256": f"{MODEL.sha256}ff"}),
    ],
)
def test_a_description_that_is_none_is_refused(wire: MakeWire, answer: Answer) -> None:
    with pytest.raises(ModelAnswerError):
        wire(answer).run(lambda client: client.describe())
