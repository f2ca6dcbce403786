"""The kept-alive transport against a real server on this machine, well-behaved or not."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from evaluation_api.model.transport import KeptAliveTransport
from tests.unit.evaluation_api.model.peer import Peer, Write, read_request

#: Sends a body and returns the answer's.
Say = Callable[[str], Awaitable[str]]


def talk(write: Write, use: Callable[[Say], Awaitable[None]]) -> Peer:
    """Talk to a peer that writes so; return it with what it counted."""
    peer = Peer(write)

    async def talked() -> None:
        async with (
            asyncio.timeout(10),
            peer.listening() as url,
            httpx.AsyncClient(base_url=url, transport=KeptAliveTransport()) as client,
        ):

            async def say(body: str) -> str:
                return (await client.post("/", content=body)).text

            await use(say)

    asyncio.run(talked())
    return peer


def answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def echo(writer: asyncio.StreamWriter, request: httpx.Request, _: int) -> None:
    writer.write(answer(request.content))


def test_one_connection_serves_one_caller_after_the_other() -> None:
    async def twenty(say: Say) -> None:
        assert [await say(str(n)) for n in range(20)] == [str(n) for n in range(20)]

    assert talk(echo, twenty).connections == 1


def test_who_changes_the_protocol_answers_nonsense_and_is_no_fault_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def change(writer: asyncio.StreamWriter, _: httpx.Request, __: int) -> None:
        lines = ["HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: h2c"]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\nabc")

    async def once(say: Say) -> None:
        with suppress(httpx.RemoteProtocolError):
            await say("1")

    assert talk(change, once).requests == 1
    assert not [line for line in caplog.records if line.name == "asyncio"]


def test_callers_at_once_never_share_a_connection() -> None:
    async def slow_echo(writer: asyncio.StreamWriter, request: httpx.Request, number: int) -> None:
        await asyncio.sleep(0.01 * (number % 3))
        await echo(writer, request, number)

    async def thirty(say: Say) -> None:
        for _ in range(3):
            heard = await asyncio.gather(*(say(str(n)) for n in range(30)))
            assert heard == [str(n) for n in range(30)]

    talk(slow_echo, thirty)


def test_a_connection_that_the_peer_closed_meanwhile_is_not_used_again() -> None:
    async def once(writer: asyncio.StreamWriter, request: httpx.Request, number: int) -> None:
        await echo(writer, request, number)
        writer.close()

    async def three(say: Say) -> None:
        for n in range(3):
            assert await say(str(n)) == str(n)
            await asyncio.sleep(0.02)

    assert talk(once, three).connections == 3


def test_a_peer_that_announces_the_end_is_taken_at_its_word() -> None:
    async def last(writer: asyncio.StreamWriter, request: httpx.Request, _: int) -> None:
        writer.write(answer(request.content, "Connection: close"))

    async def two(say: Say) -> None:
        assert [await say("a"), await say("b")] == ["a", "b"]

    assert talk(last, two).connections == 2


def test_a_chunked_answer_is_put_together() -> None:
    async def in_pieces(writer: asyncio.StreamWriter, request: httpx.Request, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for letter in request.content:
            writer.write(b"1\r\n" + bytes([letter]) + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")

    async def two(say: Say) -> None:
        assert [await say("abcdef"), await say("again")] == ["abcdef", "again"]

    talk(in_pieces, two)


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
    async def write(writer: asyncio.StreamWriter, _: httpx.Request, __: int) -> None:
        writer.write(rubbish)
        writer.close()

    async def one(say: Say) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await say("hello")

    talk(write, one)


def test_a_caller_who_gives_up_leaves_no_answer_to_the_next() -> None:
    async def late_once(writer: asyncio.StreamWriter, request: httpx.Request, number: int) -> None:
        if number == 0:
            await asyncio.sleep(0.05)
        await echo(writer, request, number)

    async def six(say: Say) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await say("first")
        for n in range(5):
            assert await say(str(n)) == str(n)
            await asyncio.sleep(0.02)

    talk(late_once, six)


@pytest.mark.parametrize(
    "unasked", [answer(b"nobody's"), answer(b"nobody's")[:20]], ids=["whole", "begun"]
)
@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_an_answer_that_nobody_asked_for_is_given_to_nobody(unasked: bytes, pause: float) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def too_much(writer: asyncio.StreamWriter, request: httpx.Request, _: int) -> None:
        writers.append(writer)
        writer.write(answer(request.content) + (b"" if pause else unasked))
        if pause:
            await asyncio.sleep(pause)
            writer.write(unasked)

    async def three(say: Say) -> None:
        for n in range(3):
            assert await say(str(n)) == str(n)
            while not writers[n].is_closing():  # noqa: ASYNC110 - by another
                await asyncio.sleep(0.001)

    talk(too_much, three)


@pytest.mark.parametrize("field", [b"A: ", b"Content-Length: 99999999\r\n\r\n"])
def test_an_endless_answer_is_not_read_to_its_end(field: bytes) -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter, _: httpx.Request, __: int) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n" + field)
        while sent < 50_000_000:
            writer.write(b"x" * 100_000)
            sent += 100_000
            await writer.drain()

    async def one(say: Say) -> None:
        with pytest.raises(httpx.RemoteProtocolError, match="too long"):
            await say("x")

    talk(endless, one)
    assert sent < 20_000_000


def test_a_request_of_a_megabyte_and_its_answer_go_through() -> None:
    async def one(say: Say) -> None:
        assert await say("x" * 1_000_000) == "x" * 1_000_000

    talk(echo, one)


def test_https_needs_certificates_that_whoever_starts_has_read(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async def scenario() -> list[int]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with (
            server,
            httpx.AsyncClient(base_url=url, transport=KeptAliveTransport()) as without,
            httpx.AsyncClient(base_url=url, transport=KeptAliveTransport(verify=trusting)) as one,
        ):
            with pytest.raises(httpx.UnsupportedProtocol):
                await without.get("/")
            return [(await one.get("/")).status_code for _ in range(2)]

    assert asyncio.run(scenario()) == [200, 200]
