"""Threads for the record's calls, so that no database holds up the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_READERS: Final = 4


class RecordExecutor:
    """One thread that writes, so that writes queue here and not on the database's lock; four read.

    Both raise whatever the call raises, most often RecordUnavailableError.
    """

    def __init__(self) -> None:
        """Start no thread; they come when needed."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="record-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="record-read")

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Let what is being written be written."""
        self._writer.shutdown()
        self._readers.shutdown()

    async def run_write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that writes, after those that were here before."""
        return await _run(self._writer, partial(call, *args, **kwargs))

    async def run_read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that reads, beside whatever is being written."""
        return await _run(self._readers, partial(call, *args, **kwargs))


async def _run(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, call)
