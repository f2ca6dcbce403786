"""Threads and connections for searches: however many and slow, nothing else waits for them.

So many wait at most, for so long at most; one that is given up is interrupted in the database.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Engine, event

from evaluation_api.access.limits import AtOnce
from evaluation_api.decision import errors
from evaluation_api.decision.domain import Search, Summary
from evaluation_api.record import database, deadline
from evaluation_api.record.deadline import Deadline
from evaluation_api.record.executor import DECISION_SECONDS
from evaluation_api.record.outage import Outage
from evaluation_api.record.search import name_index
from evaluation_api.record.search.history import History
from evaluation_api.record.search.searched import Filler

T = TypeVar("T")

logger = logging.getLogger(__name__)

_THREADS: Final = 2
_MOST_WAITING: Final = 100
#: From when it is asked for, waiting included; people look at something else by then.
_SECONDS: Final = 3.0
#: What a thread's own deadline comes later, so that its caller is told first.
_LATE_SECONDS: Final = 0.05
#: For telling a server, of which nothing may be heard.
_CANCEL_SECONDS: Final = 1.0
#: Between two looks for what is to be indexed, and between two slices of more than one.
_IDLE_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 0.005


class _Asked:
    """One search: its connection, while it has one, so that it can be interrupted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._driver: Any = None
        self.is_given_up = False

    def hold(self, driver: Any) -> None:  # noqa: ANN401 - the driver's own
        with self._lock:
            self._driver = driver

    @property
    def is_held(self) -> bool:
        return self._driver is not None

    def interrupt(self) -> None:
        with self._lock, suppress(Exception):  # its thread ends by its deadline, whatever comes
            if hasattr(self._driver, "interrupt"):
                self._driver.interrupt()
            elif self._driver is not None:
                self._driver.cancel_safe(timeout=_CANCEL_SECONDS)


class Searches(AbstractAsyncContextManager["Searches"]):
    """Runs searches of one database, and keeps the index they use.

    It can be made again, so that what is wrong with it stops nothing.
    """

    def __init__(
        self, engine: Engine, outage: Outage | None = None, *, seconds: float = _SECONDS
    ) -> None:
        """Take an engine that nobody else uses, and for how long a search may take.

        outage: while there is one, a search may take less.
        """
        self._outage = outage or Outage()
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="record-search")
        self._indexer = ThreadPoolExecutor(1, thread_name_prefix="record-index")
        self._interrupter = ThreadPoolExecutor(1, thread_name_prefix="record-interrupt")
        self._local = threading.local()
        self._waiting = AtOnce(_MOST_WAITING, errors.OverloadedError)
        self._plain = self._history = History(engine)
        self._indexed: Engine | None = None
        self._fill: Callable[[], bool] = self._fill_file
        self._is_corrupt = False
        self._waits_for = ""
        self._listen(engine)
        if engine.dialect.name == "sqlite":
            self._indexed = database.connect_again(engine)
            self._listen(self._indexed)
            self._history = History(self._indexed, indexed=True)
            try:
                name_index.attach(self._indexed)
            except errors.RecordUnavailableError as exc:
                self._note(exc)
        else:
            self._history = History(engine, indexed=True)
            self._fill = partial(deadline.within, deadline.STEP_SECONDS, Filler(engine).fill_some)
            # A prepared statement is planned for any text at its eleventh use: 100 ms for 0.1.
            event.listen(engine, "connect", _prepare_nothing)

    def _listen(self, engine: Engine) -> None:
        event.listen(engine, "checkout", self._checked_out)
        event.listen(engine, "checkin", self._checked_in)

    async def __aexit__(self, *exc_info: object) -> None:
        """Let nothing be under way when the engine is closed."""
        for threads in (self._threads, self._indexer, self._interrupter):
            threads.shutdown()
        if self._indexed:
            self._indexed.dispose()

    async def search(self, search: Search) -> list[Summary]:
        """Return what History.search does; a caller who is cancelled cancels it.

        Raises OverloadedError when too many wait, or it takes too long; RecordUnavailableError
        where the record is away.
        """
        asked = _Asked()
        with self._waiting.place():
            try:
                return await self._run(asked, search)
            finally:
                asked.is_given_up = True
                if asked.is_held:
                    self._interrupter.submit(asked.interrupt)

    async def _run(self, asked: _Asked, search: Search) -> list[Summary]:
        seconds = DECISION_SECONDS if self._outage.is_now else self._seconds
        by = Deadline(time.monotonic() + seconds + _LATE_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                ask = partial(deadline.run, by, partial(self._ask, asked, search))
                return await _run(self._threads, ask)
        except TimeoutError as exc:
            if self._outage.is_now:
                raise errors.RecordUnavailableError("no answer in time") from exc
            raise errors.OverloadedError from exc

    def _ask(self, asked: _Asked, search: Search) -> list[Summary]:
        if asked.is_given_up:
            raise errors.OverloadedError
        self._local.asked = asked
        try:
            return self._found(asked, search)
        finally:
            self._local.asked = None

    def _found(self, asked: _Asked, search: Search) -> list[Summary]:
        try:
            return self._history.search(search)
        except errors.RecordUnavailableError as exc:
            if self._indexed is None or asked.is_given_up:
                raise
            self._is_corrupt |= database.is_corrupt(exc)
        return self._plain.search(search)

    def _checked_out(self, driver: Any, *_: object) -> None:  # noqa: ANN401 - SQLAlchemy's own
        if asked := getattr(self._local, "asked", None):
            asked.hold(driver)

    def _checked_in(self, *_: object) -> None:
        if asked := getattr(self._local, "asked", None):
            asked.hold(None)

    async def run_index(self) -> None:
        """Add to the index what is recorded, until cancelled; one that is spoilt is made anew.

        What comes meanwhile is left to the next look: a transaction for each row took five
        times as much of the processor, and searches look through the rest.
        """
        while True:
            is_behind = await _run(self._indexer, self._fill_some)
            await asyncio.sleep(_PAUSE_SECONDS if is_behind else _IDLE_SECONDS)

    def _fill_some(self) -> bool:
        try:
            is_behind = self._fill()
        except errors.RecordUnavailableError as exc:
            self._note(exc)
            return False
        self._waits_for = ""
        return is_behind

    def _fill_file(self) -> bool:
        assert self._indexed  # noqa: S101 - it is SQLite's
        if self._is_corrupt:
            name_index.repair(self._indexed, is_corrupt=True)
            self._is_corrupt = False
        return name_index.index_some(self._indexed) >= name_index.SLICE

    def _note(self, exc: errors.RecordUnavailableError) -> None:
        self._is_corrupt |= database.is_corrupt(exc)
        if str(exc) == self._waits_for:  # each half second, as long as a disk is full
            return
        self._waits_for = str(exc)
        level = logging.WARNING if self._is_corrupt else logging.INFO
        logger.log(level, "index_waits", extra={"reason": self._waits_for})


def _prepare_nothing(driver: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
    driver.prepare_threshold = None


async def _run(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, call)
