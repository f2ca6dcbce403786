"""Threads and connections for searches: however many and slow, nothing else waits for them.

So many wait at most, for so long at most; one that is given up is interrupted in the database.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Engine, event

from evaluation_api.decision.domain import Search, Summary
from evaluation_api.decision.errors import OverloadedError, RecordUnavailableError
from evaluation_api.record import name_index
from evaluation_api.record.history import History

T = TypeVar("T")

logger = logging.getLogger(__name__)

_THREADS: Final = 2
_MOST_WAITING: Final = 100
#: From when it is asked for, waiting included; people look at something else by then.
_SECONDS: Final = 3.0
#: Between two looks whether something is to be indexed, and between two slices of it.
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

    def give_up(self) -> None:
        with self._lock:
            self.is_given_up = True
            if self._driver is not None:
                (getattr(self._driver, "interrupt", None) or self._driver.cancel)()


class Searches:
    """Runs searches of one database, and on SQLite keeps the index they use."""

    def __init__(self, engine: Engine, *, seconds: float = _SECONDS) -> None:
        """Take an engine that nobody else uses, and for how long a search may take."""
        self._engine = engine
        self._seconds = seconds
        self._is_file = engine.dialect.name == "sqlite"
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="record-search")
        self._indexer = ThreadPoolExecutor(1, thread_name_prefix="record-index")
        self._local = threading.local()
        self._waiting = 0
        if self._is_file:
            name_index.attach(engine)
        else:
            # A prepared statement is planned for any text at its eleventh use: 100 ms for 0.1.
            event.listen(engine, "connect", _prepare_nothing)
        self._history = History(engine, indexed=self._is_file)
        event.listen(engine, "checkout", self._checked_out)
        event.listen(engine, "checkin", self._checked_in)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Let nothing be under way when the engine is closed."""
        self._threads.shutdown()
        self._indexer.shutdown()

    async def search(self, search: Search) -> list[Summary]:
        """Return what History.search does; a caller who is cancelled cancels it.

        Raises OverloadedError when too many wait, or it takes too long.
        """
        if self._waiting >= _MOST_WAITING:
            raise OverloadedError
        asked = _Asked()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                return await _run(self._threads, partial(self._ask, asked, search))
        except TimeoutError as exc:
            raise OverloadedError from exc
        finally:
            self._waiting -= 1
            asked.give_up()

    def _ask(self, asked: _Asked, search: Search) -> list[Summary]:
        if asked.is_given_up:
            raise OverloadedError
        self._local.asked = asked
        try:
            return self._history.search(search)
        finally:
            self._local.asked = None

    def _checked_out(self, driver: Any, *_: object) -> None:  # noqa: ANN401 - SQLAlchemy's own
        if asked := getattr(self._local, "asked", None):
            asked.hold(driver)

    def _checked_in(self, *_: object) -> None:
        if asked := getattr(self._local, "asked", None):
            asked.hold(None)

    async def run_index(self) -> None:
        """Add to the index what is recorded, until cancelled."""
        while self._is_file:
            try:
                count = await _run(self._indexer, partial(name_index.index_some, self._engine))
            except RecordUnavailableError as exc:
                logger.info("index_waits", extra={"reason": str(exc)})
                count = 0
            await asyncio.sleep(_PAUSE_SECONDS if count else _IDLE_SECONDS)


def _prepare_nothing(driver: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
    driver.prepare_threshold = None


async def _run(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, call)
