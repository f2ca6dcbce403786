"""How the transport spreads over replicas: real servers on several loopback addresses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import cast

import httpx
import pytest

from evaluation_api.model import transport
from evaluation_api.model.transport import KeptAliveTransport

REPLICAS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Replica:
    """Counts its connections and what it is asked; on demand hangs up or says nothing."""

    def __init__(self) -> None:
        """Count from zero."""
        self.connections: list[asyncio.BaseTransport] = []
        self.requests = 0
        self.hangs_up = False
        self.is_mute = False
        self.delay = 0.0


class Answering(asyncio.Protocol):
    """One connection to a replica; requests come whole, as the transport writes them."""

    def __init__(self, replica: Replica) -> None:
        """Count for this replica."""
        self._replica = replica

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, to close it when the test is over."""
        self._transport = cast("asyncio.Transport", transport)
        self._replica.connections.append(transport)

    def data_received(self, _data: bytes) -> None:
        """Answer, or hang up."""
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


def client_of(addresses: list[str]) -> httpx.AsyncClient:
    async def resolve(_host: str, _port: int) -> list[str]:
        return addresses

    transport = KeptAliveTransport(resolve=resolve)
    return httpx.AsyncClient(transport=transport, timeout=None)  # noqa: S113 - its own are tested


@pytest.fixture
def short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no connection be young enough for a second request."""
    monkeypatch.setattr(transport, "_LIFE_SECONDS", 0.0)


@pytest.mark.usefixtures("short_lives")
def test_connections_go_to_every_replica_in_turn() -> None:
    async def scenario() -> list[int]:
        async with listening(REPLICAS) as (port, replicas), client_of(REPLICAS) as client:
            for _ in range(9):
                await client.get(f"http://model:{port}/")
        return [replica.requests for replica in replicas.values()]

    assert asyncio.run(scenario()) == [3, 3, 3]


def test_requests_go_to_every_replica_in_turn_over_connections_that_stay() -> None:
    async def scenario() -> list[tuple[int, int]]:
        async with listening(REPLICAS) as (port, replicas), client_of(REPLICAS) as client:
            for _ in range(9):
                await client.get(f"http://model:{port}/")
        return [(replica.requests, len(replica.connections)) for replica in replicas.values()]

    assert asyncio.run(scenario()) == [(3, 1)] * 3


def test_a_young_connection_is_used_again() -> None:
    async def scenario() -> list[int]:
        async with listening(REPLICAS[:1]) as (port, replicas), client_of(REPLICAS[:1]) as client:
            for _ in range(9):
                await client.get(f"http://model:{port}/")
        replica = replicas[REPLICAS[0]]
        return [replica.requests, len(replica.connections)]

    assert asyncio.run(scenario()) == [9, 1]


@pytest.mark.usefixtures("short_lives")
def test_a_replica_that_refuses_is_passed_over() -> None:
    async def scenario() -> list[int]:
        async with listening(REPLICAS[:2]) as (port, replicas), client_of(REPLICAS) as client:
            for _ in range(6):
                await client.get(f"http://model:{port}/")
        return [replica.requests for replica in replicas.values()]

    assert sum(asyncio.run(scenario())) == 6


def test_a_repeat_does_not_meet_the_replica_that_hung_up() -> None:
    async def scenario() -> tuple[int, int]:
        gone, alive = REPLICAS[:2]
        addresses = [gone]
        async with listening([gone, alive]) as (port, replicas), client_of(addresses) as client:
            address = f"http://model:{port}/"
            await asyncio.gather(client.get(address), client.get(address))
            replicas[gone].hangs_up = True
            addresses[:] = [gone, alive]
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(address)
            await asyncio.gather(*(client.get(address) for _ in range(4)))
        return replicas[gone].requests, replicas[alive].requests

    assert asyncio.run(scenario()) == (3, 4)


def test_a_replica_that_says_nothing_is_given_up_where_there_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_ANSWER_SECONDS", 0.05)

    async def scenario() -> tuple[int, int]:
        mute, alive = REPLICAS[:2]
        async with listening([mute, alive]) as (port, replicas), client_of([mute, alive]) as client:
            replicas[mute].is_mute = True
            while not replicas[mute].requests:
                with suppress(httpx.RemoteProtocolError):
                    await client.get(f"http://model:{port}/", headers={"Connection": "close"})
            answered = replicas[alive].requests
            await asyncio.gather(*(client.get(f"http://model:{port}/") for _ in range(3)))
        return replicas[mute].requests, replicas[alive].requests - answered

    assert asyncio.run(scenario()) == (1, 3)


def test_a_caller_may_give_a_replica_more_time_than_others_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_ANSWER_SECONDS", 0.05)

    async def scenario() -> int:
        async with listening(REPLICAS[:2]) as (port, replicas), client_of(REPLICAS[:2]) as client:
            for replica in replicas.values():
                replica.delay = 0.2
            address = f"http://model:{port}/"
            await client.get(address, timeout=httpx.Timeout(5))
            return (await client.get(address, timeout=httpx.Timeout(5))).status_code

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
