"""Appends evaluations for callers on the event loop, who share transactions.

To a file they run on the loop, where they are shorter than the way to a thread and back
(docs/adr/0004); to a server, in the writing thread. Knows what runs where, and nothing of SQL or of
what an entry holds.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Final, Self

from evaluation_api.decision import errors
from evaluation_api.decision.domain import Entry, FirstUse
from evaluation_api.record import database
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.metrics import count_decisions
from evaluation_api.runtime.coalescing import Coalescer

logger = logging.getLogger(__name__)

#: Rows in one transaction; more would make the first of them wait for the last.
_MAX_ENTRIES: Final = 256
#: A caller has gone by then; what it asked for must not be decided behind its back.
_MAX_AGE_SECONDS: Final = 5.0
#: What was appended on the event loop is safe from a power cut after this time.
_CHECKPOINT_SECONDS: Final = 1.0


@dataclass(eq=False, repr=False)
class Appender:
    """Appends one by one for its callers, and many at once to the log.

    max_waiting: entries beyond which callers are refused. no_wait_log: the same record, where it is
    a file on this machine, for the event loop: it is tried first, and what either log wrote is
    brought to the disk after checkpoint_seconds.
    """

    log: EvaluationLog
    executor: RecordExecutor
    _: KW_ONLY
    max_waiting: int
    no_wait_log: EvaluationLog | None = None
    checkpoint_seconds: float = _CHECKPOINT_SECONDS
    #: Set while something is written that is not on the disk yet.
    _unsafe: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _checkpoints: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        shared = partial(
            Coalescer,
            max_items=_MAX_ENTRIES,
            max_waiting=self.max_waiting,
            max_age_seconds=_MAX_AGE_SECONDS,
            overloaded=errors.OverloadedError,
        )
        self._append: Coalescer[Entry, FirstUse | None] = shared(self._append_many)
        self._find: Coalescer[str, FirstUse | None] = shared(
            lambda keys: self.executor.run_lookup(self.log.find_by_keys, keys)
        )

    async def __aenter__(self) -> Self:
        """Begin to bring what is written to the disk; a server does so by itself."""
        if self.no_wait_log is not None:
            self._checkpoints = asyncio.create_task(self._run_checkpoints())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave the last checkpoint to whoever closes the file."""
        if self._checkpoints is not None:
            self._checkpoints.cancel()

    async def append(self, entry: Entry) -> FirstUse | None:
        """Write one entry; return once it is committed.

        Returns None, or the evaluation that won the entry's Idempotency-Key before. Raises
        RecordUnavailableError, RecordUncertainError when it may be committed yet, or
        OverloadedError when too many wait.
        """
        return await self._append(entry)

    async def find_by_key(self, key: str) -> FirstUse | None:
        """Return what used an Idempotency-Key first. Raises as append does."""
        return await self._find(key)

    async def _append_many(self, entries: list[Entry]) -> list[FirstUse | None]:
        try:
            if self.no_wait_log is not None:
                with suppress(errors.RecordBusyError):
                    return self._append_here(self.no_wait_log, entries)
            return await self.executor.run_append(_append, self.log, entries)
        finally:
            self._unsafe.set()

    def _append_here(self, log: EvaluationLog, entries: list[Entry]) -> list[FirstUse | None]:
        self.executor.outage.require_none()
        try:
            return _append(log, entries)
        except errors.RecordBusyError:
            raise
        except errors.RecordUnavailableError as exc:
            self.executor.outage.begin(exc)
            raise

    async def _run_checkpoints(self) -> None:
        while True:
            await self._unsafe.wait()
            await asyncio.sleep(self.checkpoint_seconds)
            self._unsafe.clear()
            try:
                await self.executor.run_read(database.checkpoint, self.log.engine)
            except errors.RecordUnavailableError as exc:
                logger.warning("checkpoint_failed", extra={"reason": str(exc)})


def _append(log: EvaluationLog, entries: list[Entry]) -> list[FirstUse | None]:
    """Append, and count what was decided: here, since a caller may not wait until it is."""
    first_uses = log.append(entries)
    count_decisions(
        entry.evaluation
        for entry, first_use in zip(entries, first_uses, strict=True)
        if first_use is None
    )
    return first_uses
