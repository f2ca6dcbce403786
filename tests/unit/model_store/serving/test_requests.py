"""Requests of the model service, before there is a model: bodies in pieces, wishes, refusals."""

import asyncio
import json
from collections.abc import Iterable
from http import HTTPStatus

import pytest
from starlette.requests import Request
from starlette.types import Message

from model_store.serving import answers, requests
from model_store.serving.requests import Batch, Refused
from tests.clients import AMOUNTS

CLIENT = json.dumps(AMOUNTS).encode()


class Sender:
    """A caller who sends a body piece by piece, and counts how many were taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """Take the pieces, which no header announces."""
        self._pieces = list(pieces)
        self.taken = 0

    async def receive(self) -> Message:
        """Hand over the next piece, as a server does."""
        piece = self._pieces[self.taken]
        self.taken += 1
        more = self.taken < len(self._pieces)
        return {"type": "http.request", "body": piece, "more_body": more}


def read(
    *pieces: bytes, query: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Batch:
    return taken_from(Sender(pieces), query, headers)


def taken_from(
    sender: Sender, query: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Batch:
    """Read a request with this body, query and headers."""
    scope = {"type": "http", "method": "POST", "query_string": query, "headers": [*headers]}
    return asyncio.run(requests.read(Request(scope, sender.receive)))


def padded(size: int) -> bytes:
    """Spell the client in so many bytes."""
    return CLIENT.ljust(size)


def test_a_client_is_read_and_wishes_for_nothing() -> None:
    batch = read(CLIENT)

    assert batch.matrix.tolist() == [[*AMOUNTS.values(), 0.0, 0.0]]
    assert batch.single


def test_a_list_is_read_however_it_is_cut() -> None:
    body = json.dumps([AMOUNTS, {**AMOUNTS, "payments": 1}]).encode()

    whole = read(body)
    cut = read(*(body[start : start + 7] for start in range(0, len(body), 7)), b"")

    assert cut.matrix.tolist() == whole.matrix.tolist()
    assert whole.matrix.shape == (2, 7)
    assert not whole.single


@pytest.mark.parametrize(
    ("query", "wish"),
    [
        (b"toward=1,3,4&margin=0.05", [0b11010, 0.05]),
        (b"toward=1%2C3&margin=5e-2", [0b01010, 0.05]),
        (b"toward=0", [0b00001, 0.0]),
        (b"toward=0&toward=2", [0b00100, 0.0]),
        (b"toward=&margin=", [0, 0.0]),
        (b"margin=0.5&other=x", [0, 0.5]),
    ],
)
def test_the_wish_of_a_query_goes_with_every_client(query: bytes, wish: list[float]) -> None:
    batch = read(json.dumps([AMOUNTS] * 3).encode(), query=query)

    assert batch.matrix[:, 5:].tolist() == [wish] * 3


@pytest.mark.parametrize(
    "query", [b"toward=5", b"toward=1&margin=x", b"toward=%ff", b"toward=\xff"]
)
def test_a_wish_that_makes_no_sense_is_refused_every_time(query: bytes) -> None:
    for _ in range(2):
        with pytest.raises(Refused, match=r"^(toward|margin): ") as refused:
            read(CLIENT, query=query)
        assert refused.value.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_bad_client_is_refused_by_row_and_field() -> None:
    with pytest.raises(Refused, match=r"\$\[1\]\.payments") as refused:
        read(json.dumps([AMOUNTS, {**AMOUNTS, "payments": -1}]).encode())

    assert refused.value.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_no_body_is_refused() -> None:
    with pytest.raises(Refused, match="not valid JSON"):
        read(b"")


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert len(read(padded(answers.MAX_BODY_BYTES)).matrix) == 1
    assert len(read(padded(answers.MAX_BODY_BYTES - 5), b" " * 5).matrix) == 1


@pytest.mark.parametrize("announced", [(), ((b"content-length", b"1"),)])
@pytest.mark.parametrize(
    "pieces",
    [
        [padded(answers.MAX_BODY_BYTES + 1)],
        [padded(answers.MAX_BODY_BYTES), b" "],
        [padded(1000), *[b" " * 1000] * 1000],
    ],
    ids=["in one piece", "in two", "in a thousand"],
)
def test_a_body_over_the_limit_is_refused_whatever_was_announced(
    pieces: list[bytes], announced: tuple[tuple[bytes, bytes], ...]
) -> None:
    with pytest.raises(Refused, match="larger than 524288 bytes") as refused:
        read(*pieces, headers=announced)

    assert refused.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_no_more_than_the_limit_is_taken_in() -> None:
    sender = Sender([b" " * 65536] * 100)

    with pytest.raises(Refused):
        taken_from(sender)

    assert sender.taken == answers.MAX_BODY_BYTES // 65536 + 1


def test_the_largest_list_of_ordinary_clients_fits() -> None:
    amounts = dict.fromkeys(AMOUNTS, 1234567.89)

    assert len(read(json.dumps([amounts] * answers.MAX_ROWS, indent=2).encode()).matrix) == 1024


def test_a_refusal_is_a_problem() -> None:
    answer = Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "margin: a number").response()

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "margin: a number",
    }
