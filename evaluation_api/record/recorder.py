"""The record, for the event loop: appends share transactions, and nothing holds up the loop.

Appends to a file run on the loop, where they are shorter than the way to a thread and back
(docs/adr/0004); all else runs in threads. Knows what runs where, and nothing of SQL or of what an
entry holds.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import ParamSpec, Self, TypeVar

from evaluation_api.decision.domain import Entry, Recorded, Review, Search, Summary
from evaluation_api.decision.errors import (
    OverloadedError,
    RecordBusyError,
    RecordUnavailableError,
)
from evaluation_api.record.evaluations import DecisionLog
from evaluation_api.record.file_log import FileLog
from evaluation_api.runtime.coalescing import Coalescer

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Rows in one transaction; more would make the first of them wait for the last.
_MAX_ENTRIES = 256
#: A caller has gone by then; what it asked for must not be decided behind its back.
_MAX_AGE_SECONDS = 5.0
#: What was appended on the event loop is safe from a power cut after this time.
_CHECKPOINT_SECONDS = 1.0


class Recorder:
    """One decision log, shared by all requests of this process."""

    def __init__(
        self, log: DecisionLog, *, max_waiting: int, impatient: FileLog | None = None
    ) -> None:
        """Use one thread for appends, so that they queue here and not on the database's lock.

        impatient: the same record where it is a file on this machine. It is tried first and
        without a thread: waking another one and being woken by it takes longer than the
        transaction does. What it writes, a thread brings to the disk.
        """
        #: Entries that came one by one, so that who works in the background can see them pass.
        self.appended = 0
        self._log = log
        self._impatient = impatient
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="record-append")
        self._others = ThreadPoolExecutor(4, thread_name_prefix="record")
        self._checkpoint_timer: asyncio.TimerHandle | None = None
        self._append = Coalescer(
            self._append_many,
            max_items=_MAX_ENTRIES,
            max_waiting=max_waiting,
            max_age_seconds=_MAX_AGE_SECONDS,
            overloaded=OverloadedError,
        )

    async def __aenter__(self) -> Self:
        """Start with no thread; they come when needed."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Let what is being written be written."""
        if self._checkpoint_timer is not None:
            self._checkpoint_timer.cancel()
        self._writer.shutdown()
        self._others.shutdown()

    async def append(self, entry: Entry) -> Recorded | None:
        """Write one entry; return once it is committed.

        Gives None, or the evaluation that won the entry's Idempotency-Key before. Raises
        RecordUnavailableError, or OverloadedError when too many wait.
        """
        return await self._append(entry)

    async def find(self, evaluation_id: str) -> Recorded:
        """Give one evaluation. Raises EvaluationNotFoundError or RecordUnavailableError."""
        return await self._in_thread(self._log.find, evaluation_id)

    async def find_by_key(self, key: str) -> Recorded | None:
        """Give what used an Idempotency-Key first. Raises RecordUnavailableError."""
        return await self._in_thread(self._log.find_by_key, key)

    async def search(self, search: Search) -> list[Summary]:
        """Give a page of the history. Raises RecordUnavailableError."""
        return await self._in_thread(self._log.search, search)

    async def review(self, review: Review) -> None:
        """Add a review. Raises EvaluationNotFoundError or RecordUnavailableError."""
        await self._in_thread(self._log.review, review)

    async def count_pending(self) -> int:
        """Give how many evaluations wait for the model. Raises RecordUnavailableError."""
        return await self._in_thread(self._log.count_pending)

    async def claim_pending(self, limit: int, lease: timedelta) -> list[Recorded]:
        """Take pending evaluations for a while. Raises RecordUnavailableError."""
        return await self._in_thread(self._log.claim_pending, limit, lease)

    async def settle(self, entries: Sequence[Entry]) -> int:
        """Write decisions of claimed evaluations. Raises RecordUnavailableError."""
        return await self._in_thread(self._log.settle, entries)

    async def policy_text(self, version: str) -> str | None:
        """Give a policy's text. Raises RecordUnavailableError."""
        return await self._in_thread(self._log.policy_text, version)

    async def ping(self) -> None:
        """Raise RecordUnavailableError unless the database answers."""
        await self._in_thread(self._log.ping)

    async def in_turn(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write something else in the appends' thread, so that neither waits on the database."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, lambda: call(*args, **kwargs))

    async def beside(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read something else, beside whatever is being written."""
        return await self._in_thread(call, *args, **kwargs)

    async def _append_many(self, entries: list[Entry]) -> list[Recorded | None]:
        self.appended += len(entries)
        loop = asyncio.get_running_loop()
        if self._impatient is not None:
            with suppress(RecordBusyError):
                stands_instead = self._impatient.append(entries)
                self._checkpoint_soon(loop)
                return stands_instead
        return await loop.run_in_executor(self._writer, self._log.append, entries)

    def _checkpoint_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._checkpoint_timer is None:
            self._checkpoint_timer = loop.call_later(_CHECKPOINT_SECONDS, self._start_checkpoint)

    def _start_checkpoint(self) -> None:
        self._checkpoint_timer = None
        self._others.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        try:
            self._log.checkpoint()
        except RecordUnavailableError as exc:
            logger.warning("checkpoint_failed", extra={"reason": str(exc)})

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._others, lambda: call(*args, **kwargs))
