"""Notes who read what for the chain, behind the answers: half a second later at most.

What changes the record is noted in the transaction that does (chain.note); reading changes nothing,
and would wait for a transaction that it does not need. A killed process loses what it noted last.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, dataclass, field
from itertools import islice
from math import inf
from typing import Any, Final

from evaluation_api.access.identity import Identity
from evaluation_api.decision import errors
from evaluation_api.record import chain
from evaluation_api.record.chain import ChainLog, Event
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.runtime.background import Events, repeat

logger = logging.getLogger(__name__)

_EVENTS: Final = Events("journal_waits", "journal_failed")
_TICK_SECONDS: Final = 0.5
#: Of what nobody could note for a while, since the record was away; then nobody reads any more.
_MOST_WAITING: Final = 10_000
_AT_ONCE: Final = 256
_HOUR_SECONDS: Final = 3600.0
#: Of what was noted in the last hour; what is forgotten is noted once more.
_MOST_NOTED: Final = 10_000


@dataclass(eq=False, repr=False)
class Journal(AbstractAsyncContextManager["Journal"]):
    """What was read in one process; run() starts.

    most_waiting: events beyond which nothing may be read. most_noted: those of the last hour that
    are known again. clock: tells seconds, from anywhen.
    """

    log: ChainLog
    executor: RecordExecutor
    _: KW_ONLY
    most_waiting: int = _MOST_WAITING
    most_noted: int = _MOST_NOTED
    clock: Callable[[], float] = time.monotonic
    _waiting: deque[Event] = field(default_factory=deque, init=False)
    #: The oldest first.
    _noted: dict[tuple[object, ...], float] = field(default_factory=dict, init=False)

    def note(self, asking: Identity, kind: str, **what: Any) -> None:  # noqa: ANN401 - any JSON
        """Note what somebody does. Raises OverloadedError where too much could not be written."""
        if len(self._waiting) >= self.most_waiting:
            raise errors.OverloadedError
        self._waiting.append(chain.by(asking, kind, **what))

    def note_hourly(self, asking: Identity, kind: str, **what: str) -> None:
        """Note what somebody does, unless this process noted the same an hour ago or less.

        For what pages look at every second or two. Raises as note does.
        """
        noted, now = self._noted, self.clock()
        same = (asking.label, kind, *what.items())
        if now - noted.get(same, -inf) <= _HOUR_SECONDS:
            return
        self.note(asking, kind, **what)
        noted.pop(same, None)
        noted[same] = now
        if len(noted) > self.most_noted:
            del noted[next(iter(noted))]

    async def __aexit__(self, *exc_info: object) -> None:
        """Write what is left, if it can be written."""
        try:
            await self.write()
        except errors.EvaluationError as exc:
            logger.warning("journal_lost", extra={"count": len(self._waiting), "reason": str(exc)})

    async def run(self) -> None:
        """Write until cancelled; whatever fails is tried again at the next look."""
        await repeat(self.write, _TICK_SECONDS, errors.EvaluationError, logger, _EVENTS)

    async def write(self) -> None:
        """Write what waits, oldest first. Raises RecordUnavailableError."""
        while some := list(islice(self._waiting, _AT_ONCE)):
            await self.executor.run_write(self.log.note, some)
            for _ in some:
                self._waiting.popleft()
