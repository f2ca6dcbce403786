"""A small HTTP server on this machine that writes what it is told to, well-behaved or not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx

#: Answers a request, the number of which it is told, from 0. An error of httpx's hangs up.
Write = Callable[[asyncio.StreamWriter, httpx.Request, int], Awaitable[None]]


class Peer:
    """Has each request answered by one function, and counts connections."""

    def __init__(self, write: Write) -> None:
        self.connections = self.requests = 0
        self._write = write

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve for a while, at the address that this yields."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(EOFError, ConnectionError, asyncio.CancelledError, httpx.HTTPError):
            while True:
                request = await read_request(reader)
                number, self.requests = self.requests, self.requests + 1
                await self._write(writer, request, number)
        writer.transport.abort()


async def read_request(reader: asyncio.StreamReader) -> httpx.Request:
    """Read a request. Raises EOFError where there is none."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    method, target, _ = first.split()
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return httpx.Request(method, f"http://model{target}", headers=headers, content=content)
