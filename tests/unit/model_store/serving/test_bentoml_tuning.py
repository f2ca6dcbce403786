"""Pins of the private parts of BentoML 1.4.39 that model_store.serving.bentoml_tuning leans on."""

import asyncio
import inspect
from functools import partial
from importlib.metadata import version
from typing import Any

import bentoml
import httpx
import pytest
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.io_models import IODescriptor
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer
from bentoml.exceptions import ServiceUnavailable
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from model_store.geometry import Matrix
from model_store.serving import answers, bentoml_tuning
from model_store.serving.bentoml_tuning import PredictFirst

CLIENT = {"balance": 1, "purchases": 2, "cash_advance": 3, "credit_limit": 4, "payments": 5}


def test_the_pins_were_checked_with_this_version_of_bentoml() -> None:
    assert version("bentoml") == "1.4.39"


def test_a_route_is_a_bound_method_of_the_factory_that_infers_in_batches() -> None:
    assert "functools.partial(self.api_endpoint_wrapper, name)" in inspect.getsource(
        ServiceAppFactory.routes.fget
    )
    parameters = inspect.signature(ServiceAppFactory.batch_infer).parameters
    assert list(parameters) == ["self", "name", "input_args", "input_kwargs"]
    assert inspect.iscoroutinefunction(ServiceAppFactory.batch_infer)


def test_descriptors_are_asked_for_a_schema() -> None:
    assert callable(IODescriptor.model_json_schema)


class Route:
    """A route of BentoML's, with a factory whose batches end as told."""

    path = "/predict"
    name = "predict"

    def __init__(self, ends: Exception | None = None) -> None:
        """Answer each client with label 3, or raise."""
        self._ends = ends
        self.endpoint = partial(self.api_endpoint_wrapper, self.name)
        self.seen: list[tuple[str, int]] = []

    async def api_endpoint_wrapper(self, name: str) -> None:
        """Stand for BentoML's own way, which is not taken."""

    async def batch_infer(
        self, name: str, args: tuple[Matrix], _: dict[str, Any]
    ) -> list[answers.Prediction]:
        """Predict, as far as told."""
        if self._ends:
            raise self._ends
        self.seen.append((name, args[0].shape[1]))
        return [answers.Prediction(3)] * len(args[0])


def ask(route: Route, *bodies: object) -> list[httpx.Response]:
    """Post bodies one by one to an application with this route and PredictFirst around it."""
    app = Starlette()
    app.router.routes.append(route)  # type: ignore[arg-type]
    app.add_middleware(PredictFirst, tag="a:b", sha256="0" * 64)

    async def post() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
            return [await client.post("/predict", json=body) for body in bodies]

    return asyncio.run(post())


def test_predictions_are_answered_before_the_route_and_say_which_model_made_them() -> None:
    route = Route()

    one, several = ask(route, CLIENT, [CLIENT] * 2)

    assert (one.status_code, one.json()) == (200, {"cluster": 3})
    assert (several.status_code, several.json()) == (200, [{"cluster": 3}] * 2)
    assert one.headers["x-model-tag"] == several.headers["x-model-tag"] == "a:b"
    assert route.seen == [("predict", 7)] * 2


def test_what_cannot_be_read_is_refused_and_takes_part_in_no_batch() -> None:
    route = Route()

    (refusal,) = ask(route, {**CLIENT, "balance": -1})

    assert (refusal.status_code, route.seen) == (422, [])
    assert "balance" in refusal.json()["detail"]


def test_a_full_queue_is_a_503_that_says_so() -> None:
    (refusal,) = ask(Route(ServiceUnavailable("process is overloaded")), CLIENT)

    assert refusal.status_code == 503
    assert "overloaded" in refusal.json()["detail"]


def test_the_dispatcher_waits_as_long_as_its_optimizer_says() -> None:
    assert "optimizer.wait" in inspect.getsource(CorkDispatcher)
    assert "self.wait" in inspect.getsource(Optimizer)


def test_the_dispatcher_is_told_to_wait_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Optimizer, "wait", None, raising=False)  # put back after the test

    bentoml_tuning.dispatch_at_once()
    optimizer = Optimizer(max_latency=1.0)
    optimizer.wait = 1

    assert optimizer.wait == 0


def test_answers_leave_through_uvicorns_httptools_protocol() -> None:
    assert list(inspect.signature(HttpToolsProtocol.connection_made).parameters) == [
        "self",
        "transport",
    ]


def test_a_deployment_hook_and_explicit_descriptors_are_public() -> None:
    assert callable(bentoml.on_deployment)
    parameters = inspect.signature(bentoml.api).parameters
    assert {"batchable", "max_batch_size", "max_latency_ms", "input_spec", "output_spec"} <= set(
        parameters
    )
