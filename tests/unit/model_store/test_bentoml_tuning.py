"""Pins of the private parts of BentoML 1.4.39 that model_store.bentoml_tuning leans on."""

import inspect
from importlib.metadata import version

import bentoml
import pytest
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.io_models import IODescriptor
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from model_store import bentoml_tuning


def test_the_pins_were_checked_with_this_version_of_bentoml() -> None:
    assert version("bentoml") == "1.4.39"


def test_bodies_are_read_and_answers_written_by_overridable_class_methods() -> None:
    read = inspect.signature(IODescriptor.from_http_request)
    write = inspect.signature(IODescriptor.to_http_response)

    assert list(read.parameters) == ["request", "serde"]
    assert list(write.parameters) == ["obj", "serde"]
    assert inspect.iscoroutinefunction(IODescriptor.from_http_request)
    assert inspect.iscoroutinefunction(IODescriptor.to_http_response)
    assert callable(IODescriptor.model_json_schema)


def test_a_root_input_is_handed_over_whole() -> None:
    source = inspect.getsource(ServiceAppFactory.api_endpoint)

    assert "__root_input__" in source
    assert bentoml_tuning.Clients.__root_input__


def test_the_dispatcher_waits_as_long_as_its_optimizer_says() -> None:
    assert "optimizer.wait" in inspect.getsource(CorkDispatcher)
    assert "self.wait" in inspect.getsource(Optimizer)


def test_the_dispatcher_is_told_to_wait_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Optimizer, "wait", None, raising=False)  # put back after the test

    bentoml_tuning.dispatch_at_once()
    optimizer = Optimizer(max_latency=1.0)
    optimizer.wait = 1

    assert optimizer.wait == 0


def test_answers_get_their_headers_from_one_method_and_leave_through_uvicorn() -> None:
    add = inspect.signature(vars(ServiceAppFactory)["_add_response_headers"])

    assert list(add.parameters)[:2] == ["self", "resp"]
    assert "_add_response_headers(resp)" in inspect.getsource(ServiceAppFactory)
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
