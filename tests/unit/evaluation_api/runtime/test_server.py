"""How the evaluation service is served, and that it sheds what is too much."""

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import httpx
import pytest
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from evaluation_api.runtime import server as serving
from evaluation_api.runtime.load_shedding import ConcurrencyLimit
from evaluation_api.runtime.protocol import BoundedProtocol, Bounds
from tests.services import CERTIFICATES, Server, eventually, free_port

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Wire:
    """A transport that remembers what was written at a time."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, _: str) -> None:
        """Know nothing of sockets."""

    def is_closing(self) -> bool:
        return self.closed


def connected(
    limit: ConcurrencyLimit, app: ASGIApp | None = None, *, join_writes: bool = True
) -> tuple[BoundedProtocol, Wire]:
    """Return a connection within a limit, and its other end."""
    protocol = BoundedProtocol(
        config=uvicorn.Config(
            app or Response(), lifespan="off", log_config=None, date_header=False
        ),
        server_state=ServerState(),
        app_state={},
        limit=limit,
        refusal=lambda _: HEAD + b"no",
        bounds=Bounds(max_connections=1),
        join_writes=join_writes,
    )
    protocol.connection_made(cast("asyncio.Transport", wire := Wire()))
    return protocol, wire


def test_an_overload_answer_leaves_in_the_turn_in_which_its_request_came() -> None:
    async def refused() -> list[bytes]:
        protocol, wire = connected(ConcurrencyLimit(0))
        protocol.data_received(b"GET / HTTP/1.1\r\n\r\n")
        return list(wire.writes)

    assert asyncio.run(refused()) == [HEAD + b"no"]


async def _streaming(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in (b"one", b"", b"two"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def _breaking_off(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError


async def _answering_nothing(_: Scope, __: Receive, ___: Send) -> None:
    pass


ANSWERS: dict[str, ASGIApp] = {
    "text": Response("text"),
    "nothing": Response(),
    "no content": Response(status_code=204),
    "stream": _streaming,
    "broken off": _breaking_off,
    "none at all": _answering_nothing,
}


async def written(
    app: ASGIApp, method: str = "GET", *, join_writes: bool = True
) -> tuple[list[bytes], bool]:
    """Return what two requests on a connection are written, and whether it is closed."""
    protocol, wire = connected(ConcurrencyLimit(1), app, join_writes=join_writes)
    for _ in range(2):
        protocol.data_received(b"%b / HTTP/1.1\r\n\r\n" % method.encode())
        while tasks := protocol.tasks:
            await asyncio.wait(tasks)
            await asyncio.sleep(0)
    return wire.writes, wire.closed


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("app", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_the_same_with_its_head_apart_and_with_its_body(
    app: ASGIApp, method: str
) -> None:
    apart, apart_closed = asyncio.run(written(app, method, join_writes=False))
    joined, joined_closed = asyncio.run(written(app, method))

    assert b"".join(joined) == b"".join(apart) != b""
    assert joined_closed == apart_closed


def test_an_answer_is_one_write() -> None:
    (first, second), _ = asyncio.run(written(Response("text")))

    assert first == second
    assert first.endswith(b"\r\n\r\ntext")


def test_a_burst_may_take_every_place_and_a_lasting_load_half() -> None:
    burst, lasting = ConcurrencyLimit(8, burst_seconds=60), ConcurrencyLimit(8, burst_seconds=0)
    for limit, places in ((burst, 8), (lasting, 4)):
        limit.count(places - 1)
        assert not limit.is_reached
        limit.count(1)
        assert limit.is_reached


def test_places_that_become_free_let_the_next_burst_in() -> None:
    limit = ConcurrencyLimit(8, burst_seconds=0.05)
    limit.count(7)
    eventually(lambda: limit.is_reached, 5)

    limit.count(-6)
    limit.count(6)

    assert not limit.is_reached


def test_who_asks_again_whenever_refused_leaves_the_loop_to_others() -> None:
    async def refused(answers: int) -> int:
        """Return how often a caller is refused within ten turns of the loop."""
        limit, refusals = ConcurrencyLimit(1), 0

        def refuse() -> None:
            nonlocal refusals
            refusals += 1
            callers.append(None)

        callers: list[None] = [None] * 600
        for _ in range(10):
            asking, callers[:] = len(callers), []
            for _ in range(asking):
                limit.refuse(refuse)
            for _ in range(answers):
                limit.count(1)
                limit.count(-1)
            await asyncio.sleep(0)
        return refusals

    assert 512 < asyncio.run(refused(answers=0)) < 600
    assert 900 < asyncio.run(refused(answers=10)) < 1000


def test_a_caller_who_hangs_up_before_it_is_refused_is_written_nothing() -> None:
    async def refused() -> list[bytes]:
        limit = ConcurrencyLimit(0)
        for _ in range(1000):
            limit.refuse(lambda: None)
        protocol, wire = connected(limit)
        protocol.data_received(b"GET / HTTP/1.1\r\n\r\n")
        wire.close()
        all_refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        limit.refuse(lambda: all_refused.set_result(None))
        await all_refused
        return list(wire.writes)

    assert asyncio.run(refused()) == []


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    port, accept_all = free_port(), str(getattr(request, "param", 1))
    arguments = ["-m", "tests.unit.evaluation_api.runtime.slow_app", str(port), accept_all, "1"]
    with Server(arguments, "/health", tmp_path / "log", port) as started:
        yield started


def insist(client: httpx.Client) -> httpx.Response:
    """Ask for /slow until the one place is free for it."""
    while (response := client.post("/slow", timeout=20)).status_code == 503:
        pass
    return response


@dataclass(frozen=True)
class Full:
    """A server whose one place is taken: by what, and a client that is turned away."""

    slow: Future[httpx.Response]
    other: httpx.Client


@pytest.fixture
def full(server: Server) -> Iterator[Full]:
    with (
        httpx.Client(base_url=server.url) as first,
        httpx.Client(base_url=server.url) as second,
        ThreadPoolExecutor(1) as thread,
    ):
        slow = thread.submit(insist, first)
        eventually(lambda: second.post("/echo", content=b"x").status_code == 503, 10)
        yield Full(slow, second)


def test_what_is_too_much_is_shed_and_the_connection_kept(full: Full) -> None:
    refused = full.other.post("/echo", content=b"x" * 100_000)
    assert (refused.status_code, refused.text) == (503, "full")
    assert full.other.get("/health").text == "ok"

    full.other.get("/health/live")
    assert full.slow.result(10).text == "slow"
    assert full.other.post("/echo", content=b"y" * 100_000).text == "y" * 100_000


def test_a_caller_who_has_gone_leaves_its_place_when_the_work_for_it_has_ended(
    server: Server,
) -> None:
    with httpx.Client(base_url=server.url) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/slow", timeout=0.2)
        assert client.post("/echo", content=b"x").status_code == 503
        client.get("/health/live")
        eventually(lambda: client.post("/echo", content=b"x").text == "x", 5)


def test_a_request_without_end_does_not_keep_the_server_from_stopping(
    server: Server, full: Full
) -> None:
    assert server.running
    server.running.first.terminate()

    assert server.running.first.wait(10) is not None
    assert full.slow.exception(10) or full.slow.result().status_code != 200


def test_who_keeps_a_connection_is_answered_once_more_while_the_server_stops(
    server: Server,
) -> None:
    """Their request may be on its way when it is told to stop."""
    assert server.running
    with httpx.Client(base_url=server.url) as client, httpx.Client(base_url=server.url) as silent:
        for one in (client, silent):
            one.get("/health")
        server.running.first.terminate()
        eventually(lambda: is_refused(server), 5)

        last = client.post("/echo", content=b"x")

        assert (last.text, last.headers["connection"]) == ("x", "close")
        assert server.running.first.wait(5) is not None


def is_refused(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port)).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("server", [0, 1], indirect=True)
def test_newcomers_are_answered_alike_let_in_one_by_one_or_together(server: Server) -> None:
    for number in range(40):
        newcomer = httpx.post(f"{server.url}/echo", content=b"%d" % number, verify=CERTIFICATES)
        assert newcomer.text == str(number)


async def turns_until_all_are_in(newcomers: int, listening: socket.socket) -> int:
    """Return in how many turns of the loop a server lets in all who came in one."""
    bounds = Bounds(max_connections=200)
    protocol = partial(
        BoundedProtocol, limit=ConcurrencyLimit(1), refusal=lambda _: HEAD, bounds=bounds
    )
    config = uvicorn.Config(Starlette(), http=protocol, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = serving.Server(config, Starlette(), bounds.max_connections)
    running = asyncio.create_task(server.serve([listening]))
    while not (server.started or running.done()):
        await asyncio.wait({running}, timeout=0.01)
    with ExitStack() as stack:
        for _ in range(newcomers):
            stack.enter_context(socket.create_connection(listening.getsockname()))
        turns, inside = 0, server.server_state.connections
        while len(inside) < newcomers and turns < newcomers:
            await asyncio.sleep(0)
            turns += 1
    server.should_exit = True
    await running
    return turns


def test_all_who_came_in_one_turn_are_let_in_together() -> None:
    with serving.listen("127.0.0.1", 0) as listening:
        assert uvloop.run(turns_until_all_are_in(150, listening)) < 5
