"""The kept-alive transport against a real server on this machine, well-behaved or not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from evaluation_api.model.transport import KeptAliveTransport

Write = Callable[[asyncio.StreamWriter, bytes, int], Awaitable[None]]


class Peer:
    """A server that answers each request as it is told to, and counts connections."""

    def __init__(self, write: Write) -> None:
        """write: gets the writer, the request's body and its number, from 0."""
        self.connections = self.closed = 0
        self.requests = 0
        self._write = write

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of one connection."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
                body = await reader.readexactly(length)
                number, self.requests = self.requests, self.requests + 1
                await self._write(writer, body, number)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed += 1
            writer.close()


def answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def echo(writer: asyncio.StreamWriter, body: bytes, _: int) -> None:
    writer.write(answer(body))


@asynccontextmanager
async def talking_to(peer: Peer) -> AsyncIterator[httpx.AsyncClient]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        asyncio.timeout(10),
        server,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", transport=KeptAliveTransport()
        ) as client,
    ):
        yield client


async def said(client: httpx.AsyncClient, body: str) -> str:
    return (await client.post("/", content=body)).text


def test_one_connection_serves_one_caller_after_the_other() -> None:
    async def scenario() -> int:
        peer = Peer(echo)
        async with talking_to(peer) as client:
            assert [await said(client, str(n)) for n in range(20)] == [str(n) for n in range(20)]
        return peer.connections

    assert asyncio.run(scenario()) == 1


def test_callers_at_once_never_share_a_connection() -> None:
    async def slow_echo(writer: asyncio.StreamWriter, body: bytes, _: int) -> None:
        await asyncio.sleep(0.01 * (int(body) % 3))
        writer.write(answer(body))

    async def scenario() -> None:
        async with talking_to(Peer(slow_echo)) as client:
            for _ in range(3):
                heard = await asyncio.gather(*(said(client, str(n)) for n in range(30)))
                assert heard == [str(n) for n in range(30)]

    asyncio.run(scenario())


def test_a_connection_that_the_peer_closed_meanwhile_is_not_used_again() -> None:
    async def once(writer: asyncio.StreamWriter, body: bytes, _: int) -> None:
        writer.write(answer(body))
        writer.close()

    async def scenario() -> int:
        peer = Peer(once)
        async with talking_to(peer) as client:
            for n in range(3):
                assert await said(client, str(n)) == str(n)
                await asyncio.sleep(0.02)
        return peer.connections

    assert asyncio.run(scenario()) == 3


def test_a_peer_that_announces_the_end_is_taken_at_its_word() -> None:
    async def last(writer: asyncio.StreamWriter, body: bytes, _: int) -> None:
        writer.write(answer(body, "Connection: close"))

    async def scenario() -> int:
        peer = Peer(last)
        async with talking_to(peer) as client:
            assert [await said(client, "a"), await said(client, "b")] == ["a", "b"]
        return peer.connections

    assert asyncio.run(scenario()) == 2


def test_a_chunked_answer_is_put_together() -> None:
    async def in_pieces(writer: asyncio.StreamWriter, body: bytes, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for letter in body:
            writer.write(b"1\r\n" + bytes([letter]) + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")

    async def scenario() -> None:
        async with talking_to(Peer(in_pieces)) as client:
            assert await said(client, "abcdef") == "abcdef"
            assert await said(client, "again") == "again"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "rubbish",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"",
    ],
)
def test_a_peer_that_talks_rubbish_or_hangs_up_is_an_error(rubbish: bytes) -> None:
    async def talk(writer: asyncio.StreamWriter, _: bytes, __: int) -> None:
        writer.write(rubbish)
        writer.close()

    async def scenario() -> None:
        async with talking_to(Peer(talk)) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await said(client, "hello")

    asyncio.run(scenario())


def test_nobody_listening_is_a_connection_error() -> None:
    async def scenario() -> None:
        async with talking_to(Peer(echo)) as client:
            port = client.base_url.port
        async with httpx.AsyncClient(transport=KeptAliveTransport()) as other:
            with pytest.raises(httpx.ConnectError):
                await other.get(f"http://127.0.0.1:{port}/")

    asyncio.run(scenario())


def test_a_caller_who_gives_up_leaves_no_answer_to_the_next() -> None:
    async def late_once(writer: asyncio.StreamWriter, body: bytes, number: int) -> None:
        if number == 0:
            await asyncio.sleep(0.05)
        writer.write(answer(body))

    async def scenario() -> None:
        async with talking_to(Peer(late_once)) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await said(client, "first")
            for n in range(5):
                assert await said(client, str(n)) == str(n)
                await asyncio.sleep(0.02)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "unasked", [answer(b"nobody's"), answer(b"nobody's")[:20]], ids=["whole", "begun"]
)
@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_an_answer_that_nobody_asked_for_is_given_to_nobody(unasked: bytes, pause: float) -> None:
    async def too_much(writer: asyncio.StreamWriter, body: bytes, _: int) -> None:
        writer.write(answer(body) if pause else answer(body) + unasked)
        if pause:
            await asyncio.sleep(pause)
            writer.write(unasked)

    async def scenario() -> None:
        peer = Peer(too_much)
        async with talking_to(peer) as client:
            for n in range(3):
                assert await said(client, str(n)) == str(n)
                while peer.closed == n:  # noqa: ASYNC110 - a fake
                    await asyncio.sleep(0.001)

    asyncio.run(scenario())


def test_a_request_of_a_megabyte_and_its_answer_go_through() -> None:
    async def scenario() -> None:
        async with talking_to(Peer(echo)) as client:
            assert await said(client, "x" * 1_000_000) == "x" * 1_000_000

    asyncio.run(scenario())
