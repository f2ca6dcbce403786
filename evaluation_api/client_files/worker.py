"""Evaluates running files in the background, chunk after chunk.

Every replica runs one of these; the log hands each of them different chunks. While one chunk is
recorded the next is at the model. Whatever fails is tried again: a chunk is recorded whole or not
at all.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, ParamSpec, Protocol, TypeVar

from evaluation_api.client_files import evaluating, slices
from evaluation_api.client_files.domain import Awaited, Chunk, EvaluatedChunk
from evaluation_api.client_files.file_log import FileLog
from evaluation_api.decision.errors import EvaluationError, ModelError, RecordUnavailableError
from evaluation_api.decision.evaluation import BulkPredictor
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.record.metrics import count_decisions
from evaluation_api.runtime.background import Events, repeat

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_EVENTS: Final = Events("client_files_wait", "client_file_failed")
_TICK_SECONDS: Final = 0.5
#: Longer than reading, one call and one transaction take; after a crash others wait this long.
_LEASE: Final = timedelta(seconds=5)
#: A file of which nothing came for so long comes from a sender, or to a service, that is gone.
_BROKEN_OFF: Final = timedelta(minutes=5)
_TIDY_SECONDS: Final = 60


class Executor(Protocol):
    """Threads for the log's calls, shared with those who evaluate one by one."""

    async def run_write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write."""

    async def run_read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read."""


class Callers(Protocol):
    """Those who evaluate one by one."""

    #: How many evaluations of theirs were recorded so far.
    appended: int


class FileWorker:
    """Works until cancelled; between files it looks twice a second for another."""

    def __init__(
        self,
        log: FileLog,
        model: BulkPredictor,
        policy: AnyPolicy,
        executor: Executor,
        callers: Callers,
    ) -> None:
        """Take the parts; run() starts."""
        self._log = log
        self._model = model
        self._policy = policy
        self._executor = executor
        self._callers = callers
        #: What the last look failed for, so that a file that stands still says why.
        self.awaits: Awaited | None = None
        self._called = asyncio.Event()
        self._tidied = -float(_TIDY_SECONDS)

    def call(self) -> None:
        """Have it look now."""
        self._called.set()

    async def run(self) -> None:
        """Work until cancelled."""
        await repeat(
            self._look,
            self._until_called,
            expected=EvaluationError,
            logger=logger,
            events=_EVENTS,
        )

    async def _look(self) -> None:
        try:
            await self._tidy()
            await self.work()
        except ModelError:
            self.awaits = Awaited.MODEL
            raise
        except RecordUnavailableError:
            self.awaits = Awaited.RECORD
            raise
        self.awaits = None

    async def work(self) -> None:
        """Evaluate until nothing can be leased. Raises EvaluationError."""
        if not await self._executor.run_read(self._log.running):
            return
        evaluated = await self._next()
        while evaluated is not None:
            following = asyncio.create_task(self._next())
            await asyncio.sleep(0)  # its lease goes first, so that it is at the model meanwhile
            try:
                await self._commit(evaluated)
            except BaseException:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                raise
            evaluated = await following
        await self._executor.run_write(self._log.finish)

    async def _next(self) -> EvaluatedChunk | None:
        """Lease and evaluate a chunk; give way for as long as that took to whoever else came."""
        started, appended = time.perf_counter(), self._callers.appended
        await self._model.ensure_available()
        chunk = await self._executor.run_write(self._log.lease, _LEASE)
        if chunk is None:
            return None
        try:
            evaluated = await evaluating.evaluate(chunk, self._model, self._policy)
        except BaseException:
            await asyncio.shield(self._release(chunk))
            raise
        if self._callers.appended != appended:
            await asyncio.sleep(time.perf_counter() - started)
        return evaluated

    async def _release(self, chunk: Chunk) -> None:
        with suppress(EvaluationError):  # the lease runs out by itself
            await self._executor.run_write(self._log.release, chunk)

    async def _commit(self, evaluated: EvaluatedChunk) -> None:
        rows = await slices.mapped(self._log.row, evaluated.evaluations)
        if not await self._executor.run_write(self._log.commit, evaluated, rows):
            logger.info(
                "client_file_chunk_not_needed", extra={"client_file": evaluated.chunk.file_id}
            )
            return
        self.awaits = None
        count_decisions(evaluated.evaluations)

    async def _tidy(self) -> None:
        if time.monotonic() - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = time.monotonic()
        if count := await self._executor.run_write(self._log.discard_broken_off, _BROKEN_OFF):
            logger.info("client_files_broken_off_discarded", extra={"count": count})

    async def _until_called(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK_SECONDS):  # wait_for loses a cancel that meets a call
                await self._called.wait()
        self._called.clear()
