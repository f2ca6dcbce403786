"""Clients by columns: what is read, what is refused, and that JSON says the same of both."""

import asyncio
import io
import json
import pickle
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from model_store.features import FEATURES, LARGEST_AMOUNT
from model_store.geometry import CHANGEABLE, Matrix
from model_store.serving import columns, npy, requests
from model_store.serving.requests import PredictRequest, UnreadableRequestError
from tests.unit.model_store import amounts

CLIENTS = amounts.spread(40)
#: A limit is the fourth; each of the others may be nothing.
BAD = [
    (column, value) for column in range(5) for value in (-0.01, np.nan, np.inf, -np.inf, 1e7 + 1)
]
NAMES = tuple(FEATURES[column] for column in CHANGEABLE)


def body(matrix: Any, version: tuple[int, int] | None = None) -> bytes:  # noqa: ANN401
    """Write a matrix as NumPy does."""
    written = io.BytesIO()
    np.lib.format.write_array(written, np.asanyarray(matrix), version)
    return written.getvalue()


def said_of(sent: bytes) -> str:
    """Return what is said of a body that is refused."""
    with pytest.raises(UnreadableRequestError) as refused:
        requests.read_columns(sent)
    assert refused.value.status == HTTPStatus.UNPROCESSABLE_ENTITY
    return str(refused.value)


def said_of_json(clients: Matrix, limits: dict[str, Any] | None = None) -> str:
    sent = [dict(zip(FEATURES, client, strict=True)) for client in clients.tolist()]
    if limits is not None:
        sent = [{**client, "limits": limits} for client in sent]
    with pytest.raises(UnreadableRequestError) as refused:
        requests.read_clients(json.dumps(sent).encode())
    return str(refused.value)


@pytest.mark.parametrize("order", ["C", "F"])
def test_amounts_are_read_as_they_were_sent_by_row_or_by_column(order: Any) -> None:  # noqa: ANN401
    read, limits, single = requests.read_columns(body(np.array(CLIENTS, order=order)))

    assert read.tobytes() == CLIENTS.tobytes()
    assert limits is columns.ANY_AMOUNT
    assert not single


def test_what_we_write_numpy_reads_and_what_numpy_writes_we_read() -> None:
    assert np.load(io.BytesIO(npy.write(CLIENTS)), allow_pickle=False).tolist() == CLIENTS.tolist()
    assert npy.read(npy.write(CLIENTS), {5}).tolist() == CLIENTS.tolist()


def test_no_clients_are_a_matrix_without_rows() -> None:
    assert requests.read_columns(body(np.empty((0, 5))))[0].shape == (0, 5)
    assert requests.read_columns(body(np.empty((0, 13))))[0].shape == (0, 5)


def test_1024_clients_are_read_and_one_more_is_refused_as_in_json() -> None:
    largest = np.repeat(CLIENTS[:1], 1025, axis=0)

    assert len(requests.read_columns(body(largest[:1024]))[0]) == 1024
    assert said_of(body(largest)) == said_of_json(largest)


@pytest.mark.parametrize(("column", "value"), [*BAD, (3, 0.0), (3, -0.0)])
def test_a_bad_amount_is_named_by_client_and_field_in_the_words_of_json(
    column: int, value: float
) -> None:
    clients = CLIENTS.copy()
    clients[17, column] = value

    said = said_of(body(clients))

    assert f"`$[17].{FEATURES[column]}`" in said
    assert said == said_of_json(clients)


def test_amounts_at_the_limit_are_taken() -> None:
    edge = np.array([[0.0, LARGEST_AMOUNT, 0.0, 5e-324, LARGEST_AMOUNT]])

    assert requests.read_columns(body(edge))[0].tolist() == edge.tolist()


def test_limits_go_with_their_client_as_those_of_json() -> None:
    told: dict[str, Any] = {"balance": [0, 599.99], "payments": [450, 20000]}
    sent = [{**dict(zip(FEATURES, CLIENTS[0].tolist(), strict=True)), "limits": told}]
    _, by_row, _ = requests.read_clients(json.dumps(sent).encode())

    read, limits, _ = requests.read_columns(body(np.hstack([CLIENTS[:1], by_row])))

    assert read.tolist() == CLIENTS[:1].tolist()
    assert limits.tobytes() == by_row.tobytes()


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("value", [-1.0, 1e7 + 1, np.inf, np.nan])
@pytest.mark.parametrize("feature", NAMES)
def test_limits_that_are_none_are_named_as_in_json(feature: str, value: float, end: int) -> None:
    span = [1.0, 2.0]
    span[end] = value
    limits = np.repeat(columns.ANY_AMOUNT, 1, axis=0)
    limits[0, NAMES.index(feature) + 4 * end] = value

    said = said_of(body(np.hstack([CLIENTS[:1], limits])))

    assert said == said_of_json(CLIENTS[:1], {feature: span})


def of_type(kind: str) -> Callable[[], bytes]:
    return lambda: body(np.ones((2, 5), dtype=kind))


def with_objects() -> bytes:
    """Make the body of an array of objects, which NumPy pickles."""
    written = io.BytesIO()
    np.save(written, np.array([[b"x", {}, [], 1.0, None]], dtype=object), allow_pickle=True)
    return written.getvalue()


def with_head(text: str) -> Callable[[], bytes]:
    head = text.encode("latin-1") + b"\n"
    return lambda: b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + b"\0" * 80


HOSTILE: dict[str, Callable[[], bytes]] = {
    **{f"of type {kind}": of_type(kind) for kind in ("f4", ">f8", "i8", "f2", "c16", "?", "S8")},
    "of type O": with_objects,
    "records": of_type("f8,f8"),
    "version 2.0": lambda: body(CLIENTS, (2, 0)),
    "version 3.0": lambda: body(CLIENTS, (3, 0)),
    "nothing": bytes,
    "the magic alone": lambda: b"\x93NUMPY",
    "a pickle": lambda: pickle.dumps(CLIENTS),
    "JSON": lambda: b'{"balance": 1}',
    "an archive of several": lambda: b"PK\x03\x04" + b"\0" * 100,
    "cut in the head": lambda: body(CLIENTS)[:40],
    "code in the head": with_head("__import__('os').abort()"),
    "deep in the head": with_head("(" * 60_000),
    "a type that calls": with_head(
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (2, 5), }"
    ),
    "a negative shape": with_head("{'descr': '<f8', 'fortran_order': False, 'shape': (-2, 5), }"),
    "a length that lies": lambda: body(CLIENTS).replace(b"\x76\x00", b"\x75\x00", 1),
}
MISSHAPEN = {
    "one column too few": (np.ones((2, 4)), "Expected 5 or 13 columns, and there are 4"),
    "one too many": (np.ones((2, 6)), "there are 6"),
    "transposed": (np.ones((5, 40)), "there are 40"),
    "flat": (np.ones(10), "no .npy of version 1.0"),
    "a cube": (np.ones((2, 5, 1)), "no .npy of version 1.0"),
    "a number": (np.float64(1), "no .npy of version 1.0"),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_matrix_of_float64_is_refused(make: Callable[[], bytes]) -> None:
    assert said_of(make()) == "The body is no .npy of version 1.0 with a matrix of float64 ('<f8')"


@pytest.mark.parametrize(("matrix", "says"), MISSHAPEN.values(), ids=MISSHAPEN)
def test_a_matrix_of_another_shape_is_refused(matrix: Matrix, says: str) -> None:
    assert says in said_of(body(matrix))


@pytest.mark.parametrize(
    "sent",
    [body(CLIENTS)[:-1], body(CLIENTS) + b"\0", body(CLIENTS)[:-8], body(CLIENTS) + body(CLIENTS)],
)
def test_bytes_that_are_more_or_less_than_the_shape_says_are_refused(sent: bytes) -> None:
    assert "40 x 5 numbers are 1600 bytes" in said_of(sent)


def test_a_shape_that_promises_gigabytes_takes_none() -> None:
    promised = body(np.empty((100, 5))).replace(b"(100, 5)", b"(999999999, 5)")

    assert "999999999 x 5 numbers" in said_of(_with_right_length(promised))


def _with_right_length(sent: bytes) -> bytes:
    """Mend the length of a head that was made longer."""
    length = sent.index(b"\n") + 1 - 10
    return sent[:8] + length.to_bytes(2, "little") + sent[10:]


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=200)
    | st.tuples(st.just(body(CLIENTS)), st.integers(0, 127), st.binary(min_size=1, max_size=8)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + len(cut[2]) :]
    )
    | st.lists(st.lists(st.floats(), min_size=5, max_size=5), min_size=1).map(body)
    | st.lists(st.lists(st.floats(), min_size=13, max_size=13), min_size=1).map(body)
)
def test_whatever_comes_is_read_as_amounts_or_refused_in_a_sentence(sent: bytes) -> None:
    try:
        matrix, limits, _ = requests.read_columns(sent)
    except UnreadableRequestError as refused:
        msgspec.json.encode(str(refused))  # it can be sent
    else:
        assert ((matrix >= 0) & (matrix <= LARGEST_AMOUNT)).all()
        assert (matrix[:, amounts.LIMIT] > 0).all()
        assert not ((limits < 0) | (limits > LARGEST_AMOUNT)).any()


def asked(content_type: bytes, sent: bytes, query: bytes = b"") -> PredictRequest:
    async def receive() -> Message:
        return {"type": "http.request", "body": sent, "more_body": False}

    headers = [(b"content-type", content_type)]
    scope = {"type": "http", "method": "POST", "query_string": query, "headers": headers}
    return asyncio.run(requests.read(Request(scope, receive)))


@pytest.mark.parametrize("name", [b"application/x-npy", b"Application/X-NPY ; v=1"])
def test_columns_are_told_by_the_content_type_alone(name: bytes) -> None:
    read = asked(name, body(CLIENTS), b"targets=1,3&margin=0.05")

    assert read.clients.tolist() == CLIENTS.tolist()
    assert (read.by_columns, read.single, read.has_targets) == (True, False, True)
    assert not asked(name, body(CLIENTS)).has_targets
    with pytest.raises(UnreadableRequestError, match="not valid JSON"):
        asked(b"application/json", body(CLIENTS))
