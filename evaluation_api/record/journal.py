"""Notes who read what for the chain, behind the answers: half a second later at most.

What changes the record is noted in the transaction that does (chain.note); reading changes nothing,
and would wait for a transaction that it does not need. A killed process loses what it noted last.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Any, Final, Self

from evaluation_api.access.identity import Identity
from evaluation_api.decision.errors import EvaluationError, OverloadedError
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


class Journal:
    """What was read in one process."""

    def __init__(
        self, log: ChainLog, executor: RecordExecutor, *, most_waiting: int = _MOST_WAITING
    ) -> None:
        """Take the parts; run() starts. most_waiting: events beyond which nothing may be read."""
        self._log = log
        self._executor = executor
        self._most_waiting = most_waiting
        self._waiting: deque[Event] = deque()

    def note(self, asking: Identity, kind: str, **what: Any) -> None:  # noqa: ANN401 - any JSON
        """Note what somebody does. Raises OverloadedError where too much could not be written."""
        if len(self._waiting) >= self._most_waiting:
            raise OverloadedError
        self._waiting.append(chain.by(asking, kind, **what))

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Write what is left, if it can be written."""
        try:
            await self.write()
        except EvaluationError as exc:
            logger.warning("journal_lost", extra={"count": len(self._waiting), "reason": str(exc)})

    async def run(self) -> None:
        """Write until cancelled; whatever fails is tried again at the next look."""
        pause = partial(asyncio.sleep, _TICK_SECONDS)
        await repeat(self.write, pause, expected=EvaluationError, logger=logger, events=_EVENTS)

    async def write(self) -> None:
        """Write what waits, oldest first. Raises RecordUnavailableError."""
        while some := [self._waiting[at] for at in range(min(_AT_ONCE, len(self._waiting)))]:
            await self._executor.run_write(self._log.note, some)
            for _ in some:
                self._waiting.popleft()
