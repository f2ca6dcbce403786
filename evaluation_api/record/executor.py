"""Threads for the record's calls: no database holds up the event loop, nor a caller for long.

Each call has a deadline from when it is asked for: a thread ends it by then (deadline.py), and
where a thread cannot, its caller goes on without it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final, ParamSpec, TypeVar

from evaluation_api.decision import errors
from evaluation_api.record import deadline
from evaluation_api.record.deadline import Deadline
from evaluation_api.record.outage import Outage

P = ParamSpec("P")
T = TypeVar("T")

_READERS: Final = 4
#: For what people wait for, and for a thousand rows of a file.
CALL_SECONDS: Final = 3.0
#: For what stands in the way of a decision; with it, one second for all that the record does.
DECISION_SECONDS: Final = 0.9
#: What a thread may be late, since it sees its deadline when it is woken.
LATE_SECONDS: Final = 0.05


class RecordExecutor(AbstractAsyncContextManager["RecordExecutor"]):
    """One thread that writes, so that writes queue here and not on the database's lock; four read.

    Every method raises whatever the call raises, most often RecordUnavailableError; what writes
    raises it at once while the record is away. run_write and run_read serve one request, run_append
    and run_lookup many at once.
    """

    def __init__(self, outage: Outage | None = None) -> None:
        """Start no thread; they come when needed. outage: is told of what fails to write."""
        self.outage = outage or Outage()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="record-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="record-read")
        self._watcher = ThreadPoolExecutor(1, thread_name_prefix="record-watch")
        self._refresher = ThreadPoolExecutor(1, thread_name_prefix="record-refresh")

    async def __aexit__(self, *exc_info: object) -> None:
        """Let what is being written be written."""
        for threads in (self._writer, self._readers, self._watcher, self._refresher):
            threads.shutdown()

    async def run_write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that writes, after those that were here before."""
        return await self._write(CALL_SECONDS, partial(call, *args, **kwargs))

    async def run_read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that reads, beside whatever is being written."""
        seconds = DECISION_SECONDS if self.outage.is_now else CALL_SECONDS
        return await _read(self._readers, seconds, partial(call, *args, **kwargs))

    async def run_append(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that records decisions, after those that were here before."""
        return await self._write(DECISION_SECONDS, partial(call, *args, **kwargs))

    async def run_lookup(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that looks for decisions that stand already."""
        return await _read(self._readers, DECISION_SECONDS, partial(call, *args, **kwargs))

    async def run_watch(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that looks how the record is, beside all others.

        Longer than decisions have: what is slow for a moment is no outage before one of them fails.
        """
        return await _read(self._watcher, CALL_SECONDS, partial(call, *args, **kwargs))

    async def run_refresh(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that reads again what every request is judged by, beside all others."""
        return await _read(self._refresher, DECISION_SECONDS, partial(call, *args, **kwargs))

    async def _write(self, seconds: float, call: Callable[[], T]) -> T:
        self.outage.require_none()
        try:
            return await _run(self._writer, seconds, call)
        except errors.RecordUnavailableError as exc:
            self.outage.begin(exc)
            raise


async def _read(threads: ThreadPoolExecutor, seconds: float, call: Callable[[], T]) -> T:
    """Run a call that leaves nothing behind. Raises as _run, but without a doubt."""
    try:
        return await _run(threads, seconds, call)
    except errors.RecordUncertainError as exc:
        raise errors.RecordUnavailableError(str(exc)) from exc


async def _run(threads: ThreadPoolExecutor, seconds: float, call: Callable[[], T]) -> T:
    """Run a call in a thread. Raises RecordUnavailableError when it is not done in time.

    RecordUncertainError when what it does may be done later.
    """
    until = Deadline(time.monotonic() + seconds)
    bounded = partial(deadline.run, until, call)
    running = asyncio.get_running_loop().run_in_executor(threads, bounded)
    try:
        while (left := until.at + LATE_SECONDS - time.monotonic()) > 0:
            done, _ = await asyncio.wait([running], timeout=left)
            if done:
                return running.result()
    finally:
        running.cancel()
    late = errors.RecordUncertainError if until.has_committed else errors.RecordUnavailableError
    raise late("no answer in time")
