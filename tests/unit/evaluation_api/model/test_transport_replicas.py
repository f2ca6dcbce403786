"""How the transport spreads over replicas: real servers on several loopback addresses."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

import httpx
import pytest

from evaluation_api.model.transport import KeptAliveTransport

REPLICAS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Replica:
    """Counts its connections and what it is asked; on demand hangs up or says nothing."""

    def __init__(self) -> None:
        self.connections: list[asyncio.BaseTransport] = []
        self.requests = 0
        self.hangs_up = False
        self.is_mute = False
        self.delay = 0.0


class Answering(asyncio.Protocol):
    """One connection to a replica; requests come whole, as the transport writes them."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, to close it when the test is over."""
        self._transport = cast("asyncio.Transport", transport)
        self._replica.connections.append(transport)

    def data_received(self, _data: bytes) -> None:
        self._replica.requests += 1
        if self._replica.hangs_up:
            self._transport.close()
        elif not self._replica.is_mute:
            loop = asyncio.get_running_loop()
            loop.call_later(self._replica.delay, self._transport.write, ANSWER)


@asynccontextmanager
async def listening(addresses: list[str]) -> AsyncIterator[tuple[int, dict[str, Replica]]]:
    """Serve one port on several addresses; yield it, and the replica behind each address."""
    replicas = {address: Replica() for address in addresses}
    loop, port = asyncio.get_running_loop(), 0
    async with AsyncExitStack() as stack:
        for address, replica in replicas.items():
            server = await loop.create_server(partial(Answering, replica), address, port)
            port = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
            stack.callback(close, replica)
        yield port, replicas


def close(replica: Replica) -> None:
    for connection in replica.connections:
        connection.close()


def client_of(addresses: list[str], **options: Any) -> httpx.AsyncClient:  # noqa: ANN401
    async def resolve(_name: str) -> list[str]:
        return addresses

    transport = KeptAliveTransport(resolve=resolve, **options)
    return httpx.AsyncClient(transport=transport, timeout=None)  # noqa: S113 - its own are tested


@pytest.mark.parametrize(("refresh_seconds", "connections"), [(0.0, 3), (60.0, 1)])
def test_requests_go_to_every_replica_in_turn_over_connections_that_stay_for_a_while(
    refresh_seconds: float, connections: int
) -> None:
    async def scenario() -> list[tuple[int, int]]:
        client = client_of(REPLICAS, refresh_seconds=refresh_seconds)
        async with listening(REPLICAS) as (port, replicas), client:
            for _ in range(9):
                await client.get(f"http://model:{port}/")
        return [(replica.requests, len(replica.connections)) for replica in replicas.values()]

    assert asyncio.run(scenario()) == [(3, connections)] * 3


def test_who_has_the_name_now_is_asked() -> None:
    async def scenario() -> list[int]:
        addresses = REPLICAS[:2]
        client = client_of(addresses, refresh_seconds=0.0)
        async with listening(REPLICAS) as (port, replicas), client:
            for has_it in (REPLICAS[:2], REPLICAS[1:]):
                addresses[:] = has_it
                for _ in range(6):
                    await client.get(f"http://model:{port}/")
        return [replica.requests for replica in replicas.values()]

    assert asyncio.run(scenario()) == [3, 6, 3]


def test_a_name_that_cannot_be_looked_up_again_is_known_as_it_was() -> None:
    found: list[asyncio.Future[list[str]]] = []

    async def resolve(_name: str) -> list[str]:
        found.append(asyncio.get_running_loop().create_future())
        return REPLICAS[:1] if len(found) == 1 else await found[-1]

    async def scenario() -> int:
        transport = KeptAliveTransport(resolve=resolve, refresh_seconds=0.0)
        async with (
            asyncio.timeout(5),
            listening(REPLICAS[:1]) as (port, replicas),
            httpx.AsyncClient(transport=transport, base_url=f"http://model:{port}") as client,
        ):
            for _ in range(2):  # the first waits a moment for the look-up, nobody else does
                await asyncio.gather(*(client.get("/") for _ in range(20)))
            found[-1].set_exception(OSError("no answer"))
            await client.get("/")
            return replicas[REPLICAS[0]].requests

    assert asyncio.run(scenario()) == 41
    assert len(found) == 2


def test_a_name_server_that_hangs_holds_one_thread_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs = threading.Event()
    asked = list[str]()

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        hangs.wait(10)
        return []

    async def scenario() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        async with client_of_names() as client:
            asking = [asyncio.create_task(client.get("http://model/")) for _ in range(100)]
            await asyncio.sleep(0.2)
            async with asyncio.timeout(5):  # the name server hangs for ten
                await asyncio.gather(*(asyncio.to_thread(len, "") for _ in range(20)))
            hangs.set()
            answers = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(one, httpx.ConnectError) for one in answers)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    asyncio.run(scenario())

    assert asked == ["model"]


def client_of_names() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=KeptAliveTransport(), timeout=None)  # noqa: S113 - as above


def test_a_replica_that_refuses_is_passed_over() -> None:
    async def scenario() -> list[int]:
        async with listening(REPLICAS[:2]) as (port, replicas), client_of(REPLICAS) as client:
            for _ in range(6):
                await client.get(f"http://model:{port}/")
        return [replica.requests for replica in replicas.values()]

    assert sum(asyncio.run(scenario())) == 6


def test_a_machine_that_is_gone_is_waited_for_once() -> None:
    async def scenario() -> float:
        gone, alive = REPLICAS[:2]
        async with listening([alive]) as (port, _), client_of([gone, alive]) as client:
            full = socket.create_server((gone, port), backlog=0)
            with full, socket.create_connection((gone, port)):
                started = time.monotonic()
                for _ in range(12):
                    await client.get(f"http://model:{port}/")
                return time.monotonic() - started

    assert asyncio.run(scenario()) < 2


@pytest.mark.parametrize(("seconds", "is_late"), [(0.01, True), (60, False)])
def test_how_long_a_connection_may_take_is_its_makers_choice(
    seconds: float,
    is_late: bool,  # noqa: FBT001 - a case
) -> None:
    async def scenario() -> bool:
        client = client_of(REPLICAS[:1], connect_timeout_seconds=seconds)
        async with listening(REPLICAS[:1]) as (port, _), client:
            asking = asyncio.create_task(client.get(f"http://model:{port}/"))
            for _ in range(10):
                await asyncio.sleep(0)
                be_busy()
            (answer,) = await asyncio.gather(asking, return_exceptions=True)
            return isinstance(answer, httpx.ConnectError)

    assert asyncio.run(scenario()) is is_late


def be_busy() -> None:
    time.sleep(0.05)


@pytest.mark.parametrize(
    ("flaw", "error"), [("hangs_up", httpx.RemoteProtocolError), ("is_mute", httpx.ReadTimeout)]
)
def test_a_repeat_does_not_meet_the_replica_that_did_not_answer(
    flaw: str, error: type[Exception]
) -> None:
    async def scenario() -> tuple[int, int]:
        client = client_of(REPLICAS[:2], read_timeout_seconds=1, refresh_seconds=60)
        async with listening(REPLICAS[:2]) as (port, replicas), client:
            bad, good = replicas.values()
            ask = partial(client.get, f"http://model:{port}/")
            await asyncio.gather(*(ask() for _ in range(4)))
            setattr(bad, flaw, True)
            with pytest.raises(error):
                await asyncio.gather(ask(), ask())
            bad.requests = good.requests = 0
            await asyncio.gather(*(ask() for _ in range(4)))
        return bad.requests, good.requests

    assert asyncio.run(scenario()) == (0, 4)


def test_a_caller_may_give_a_replica_more_time_than_others_do() -> None:
    async def scenario() -> int:
        client = client_of(REPLICAS[:2], read_timeout_seconds=0.05)
        async with listening(REPLICAS[:2]) as (port, replicas), client:
            for replica in replicas.values():
                replica.delay = 0.2
            answer = await client.get(f"http://model:{port}/", timeout=httpx.Timeout(5))
            return answer.status_code

    assert asyncio.run(scenario()) == 200


def test_none_accepting_is_a_connect_error() -> None:
    async def scenario() -> None:
        async with listening(REPLICAS[:1]) as (port, _):
            pass
        async with client_of(REPLICAS) as client:
            await client.get(f"http://model:{port}/")

    with pytest.raises(httpx.ConnectError):
        asyncio.run(scenario())


def test_a_name_without_an_address_is_a_connect_error() -> None:
    async def scenario() -> None:
        async with httpx.AsyncClient(transport=KeptAliveTransport()) as client:
            await client.get("http://no-such-host.invalid/")

    with pytest.raises(httpx.ConnectError):
        asyncio.run(scenario())
