"""What the served Bento shows by chance only: a full queue, a dispatcher that learned to wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import bentoml
import httpx
import numpy as np
import pytest
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer
from bentoml.exceptions import ServiceUnavailable
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette

from model_store.geometry import Matrix
from model_store.serving import answers, batches, bentoml_tuning
from model_store.serving.live import LiveModel
from tests.clients import AMOUNTS

LEARNED_SECONDS = 0.05
FULL_BATCHES = 200
#: BentoML looks for the end of each batch but the last a millisecond after its start.
LOOKING_SECONDS = 0.001 * FULL_BATCHES * 0.9


class FullRoute:
    """A route as BentoML makes them, whose queue is full."""

    path = "/predict"
    name = "predict"

    def __init__(self) -> None:
        self.endpoint = partial(self.api_endpoint_wrapper, self.name)

    async def api_endpoint_wrapper(self, name: str) -> None:
        """Stand for BentoML's own way, which is not taken."""

    async def batch_infer(self, *_: Any) -> None:  # noqa: ANN401 - as BentoML calls it
        raise ServiceUnavailable("process is overloaded")


class Labelling(LiveModel):
    """A model that gives everybody the same label, slowly or not."""

    is_slow = False

    def __init__(self, *, is_slow: bool) -> None:
        self.is_slow = is_slow
        answers.Predictions.introduce(0, {})

    def predict(self, batch: Matrix) -> Matrix:
        """Give label 3 by model 0."""
        told = batches.labels_only(np.full(len(batch), 3.0))
        told[:, batches.MODEL] = 0
        return told


def asked_where_the_queue_is_full(
    clients: int, *, is_slow: bool = False, callers: int = 1
) -> httpx.Response:
    """Return what so many callers at once are answered, the first of them."""
    app = Starlette()
    app.router.routes.append(FullRoute())  # type: ignore[arg-type]
    app.add_middleware(bentoml_tuning.FastPath, live=Labelling(is_slow=is_slow))

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
            every = (client.post("/predict", json=[AMOUNTS] * clients) for _ in range(callers))
            return (await asyncio.gather(*every))[0]

    return asyncio.run(post())


@pytest.mark.parametrize(
    ("clients", "is_slow", "callers"),
    [(1, False, 2), (1023, False, 2), (1, True, 1), (1024, True, 1)],
)
def test_a_full_queue_is_a_503_that_says_so(clients: int, callers: int, *, is_slow: bool) -> None:
    refusal = asked_where_the_queue_is_full(clients, is_slow=is_slow, callers=callers)

    assert refusal.status_code == 503
    assert "overloaded" in refusal.json()["detail"]


@pytest.mark.parametrize(("clients", "callers"), [(1, 1), (1023, 1), (1024, 2)])
def test_who_can_share_a_batch_with_nobody_does_not_wait_in_the_queue(
    clients: int, callers: int
) -> None:
    answer = asked_where_the_queue_is_full(clients, callers=callers)

    assert answer.json() == [{"cluster": 3}] * clients


async def trained(
    clients: int,
) -> tuple[CorkDispatcher[int, int], Callable[[int], Awaitable[int | None]]]:
    """Return BentoML's dispatcher of requests of so many clients, and what calls it."""

    async def echo(batch: Sequence[int]) -> Sequence[int]:
        return batch

    dispatcher: CorkDispatcher[int, int] = CorkDispatcher(
        2000, 1024, fallback=lambda: -1, get_batch_size=lambda _: clients
    )
    call = dispatcher(echo)
    for _ in range(20):  # it is in training before
        await call(1)
    return dispatcher, call


async def seconds_of_a_lone_call_after_a_burst() -> float:
    """Have BentoML's dispatcher learn that requests wait, then call it when nobody else does."""
    dispatcher, call = await trained(1)
    for _ in range(Optimizer.N_KEPT_SAMPLE):
        dispatcher.optimizer.log_outbound(n=1, wait=LEARNED_SECONDS, duration=0.001)
    dispatcher.optimizer.trigger_refresh()  # type: ignore[no-untyped-call]
    started = time.perf_counter()
    await call(1)
    return time.perf_counter() - started


def test_a_lone_request_waits_for_nobody_when_it_is_dispatched_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asyncio.run(seconds_of_a_lone_call_after_a_burst()) > LEARNED_SECONDS / 2

    dispatch_at_once(monkeypatch, is_slow=False)

    assert asyncio.run(seconds_of_a_lone_call_after_a_burst()) < LEARNED_SECONDS / 2


def dispatch_at_once(monkeypatch: pytest.MonkeyPatch, *, is_slow: bool) -> None:
    """Dispatch at once until the test has ended."""
    monkeypatch.setattr(Optimizer, "wait", None, raising=False)
    monkeypatch.setattr(CorkDispatcher, "TICKET_INTERVAL", CorkDispatcher.TICKET_INTERVAL)
    bentoml_tuning.dispatch_at_once(Labelling(is_slow=is_slow))


async def seconds_of_full_batches() -> float:
    """Call BentoML's dispatcher at once with so many requests of which each fills a batch."""
    _, call = await trained(1024)
    started = time.perf_counter()
    await asyncio.gather(*map(call, range(FULL_BATCHES)))
    return time.perf_counter() - started


def test_full_batches_follow_each_other_at_once_where_they_end_within_a_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asyncio.run(seconds_of_full_batches()) > LOOKING_SECONDS

    dispatch_at_once(monkeypatch, is_slow=False)

    assert asyncio.run(seconds_of_full_batches()) < LOOKING_SECONDS / 2


def test_whether_a_batch_has_ended_that_runs_in_a_thread_is_looked_at_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dispatch_at_once(monkeypatch, is_slow=True)

    assert asyncio.run(seconds_of_full_batches()) > LOOKING_SECONDS


def test_of_the_layers_that_bentoml_puts_around_a_service_the_one_that_traces_goes() -> None:
    @bentoml.service
    class Echo:
        @bentoml.api  # type: ignore[untyped-decorator]
        def echo(self, said: str) -> str:
            return said

    app: Starlette = Echo.to_asgi()  # type: ignore[attr-defined]
    before: list[Any] = [one.cls for one in app.user_middleware]

    bentoml_tuning.trace_nothing(app)

    after: list[Any] = [one.cls for one in app.user_middleware]
    assert OpenTelemetryMiddleware in before
    assert after == [cls for cls in before if cls is not OpenTelemetryMiddleware]
