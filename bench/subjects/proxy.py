"""A network between a service and its database that fails as it is told. The tests use it, too."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from pathlib import Path
from typing import Self

from deploy import ports
from deploy.ports import HOST

_CHUNK_BYTES = 2**16


class Proxy:
    """Passes what comes to a port of its own on to a socket of PostgreSQL's, in a thread.

    Its attributes may be changed while it runs. target: a server's URL, as postgres.py gives it.
    """

    def __init__(self, target: str) -> None:
        """Prepare for a server; the port is bound when the block is entered."""
        self.target = target
        #: For each piece of what is sent, either way.
        self.delay_seconds = 0.0
        #: Nothing arrives, and nobody is told; what was sent arrives when this ends.
        self.is_hole = False
        (self.port,) = ports.free(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The target's URL by way of this proxy."""
        account, _, database = self.target.partition("?")[0].partition("@/")
        return f"{account}@{HOST}:{self.port}/{database}"

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._accept, HOST, self.port)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(10)
        return self

    def __exit__(self, *exc_info: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> None:
        """Break all connections off."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        self._abort()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        socket = Path(self.target.partition("host=")[2]) / ".s.PGSQL.5432"
        try:
            answers, asked = await asyncio.open_unix_connection(socket)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, asked}
        ways = [(reader, asked), (answers, writer)]
        tasks = {asyncio.create_task(self._pass(*way)) for way in ways}
        self._passing |= tasks
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, asked):
            one.transport.abort()
        self._open -= {writer, asked}
        self._passing -= tasks

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                while self.is_hole:  # noqa: ASYNC110 - set by another thread
                    await asyncio.sleep(0.01)
                await asyncio.sleep(self.delay_seconds)
                writer.write(data)
                await writer.drain()
