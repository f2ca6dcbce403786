"""Whether the record can be written: known to callers, health and metrics, and said once.

An outage begins with the first call that fails to write, and ends with a look that finds the record
writable; callers in between are refused at once.
"""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from evaluation_api.decision import errors
from evaluation_api.record.metrics import RECORD_AWAY
from evaluation_api.runtime.background import Events, repeat
from evaluation_api.runtime.identity import request_id

logger = logging.getLogger(__name__)

_EVENTS: Final = Events("record_look_failed", "record_watch_failed")
_TICK_SECONDS: Final = 1.0
#: While it is away: a probe costs a transaction, and callers wait for it.
_AWAY_TICK_SECONDS: Final = 0.25
#: What fails again within this time had not ended.
_SETTLED_SECONDS: Final = 5.0
#: Of the refused, so many are told by their ids.
_TOLD_IDS: Final = 20


class _Requests:
    """How many there were, and the ids of the first."""

    def __init__(self) -> None:
        self.count = 0
        self.ids: list[str] = []

    def add(self, identity: str) -> None:
        self.count += 1
        if self.count <= _TOLD_IDS:
            self.ids.append(identity)


class Outage:
    """Whether the record is away now, since when, and who was refused."""

    def __init__(self, settled_seconds: float = _SETTLED_SECONDS) -> None:
        """Begin with none. settled_seconds: how long one must be over before its end is told."""
        self.is_now = False
        #: Set when something failed, so that whoever watches looks at once.
        self.noticed = asyncio.Event()
        self._settled_seconds = settled_seconds
        self._cause = ""
        self._began = self._ended = 0.0
        self._is_told = False
        self._refused = _Requests()
        self._uncertain = _Requests()

    def require_none(self) -> None:
        """Raise RecordUnavailableError while the record is away."""
        if self.is_now:
            raise errors.RecordUnavailableError(self._cause)

    def begin(self, exc: errors.RecordUnavailableError) -> None:
        """Note that a write failed."""
        self.noticed.set()
        if self.is_now:
            return
        self.is_now, self._cause = True, str(exc)
        RECORD_AWAY.set(1)
        if not self._is_told:
            self._is_told, self._began = True, time.monotonic()
            self._refused, self._uncertain = _Requests(), _Requests()
            logger.warning("record_away", extra={"reason": self._cause})

    def refuse(self, exc: errors.RecordUnavailableError) -> None:
        """Count the request being answered as one for which there was no record.

        Or, by its error, as one of which nobody knows whether it was recorded.
        """
        if not self.is_now:
            self.noticed.set()
        is_uncertain = isinstance(exc, errors.RecordUncertainError)
        (self._uncertain if is_uncertain else self._refused).add(request_id.get())

    def end(self) -> None:
        """Note that the record was found writable."""
        now = time.monotonic()
        if self.is_now:
            self.is_now, self._ended = False, now
            RECORD_AWAY.set(0)
        elif self._is_told and now - self._ended >= self._settled_seconds:
            self._tell_end()

    def _tell_end(self) -> None:
        told = {
            "reason": self._cause,
            "seconds": round(self._ended - self._began, 1),
            "refused": self._refused.count,
            "refused_ids": " ".join(self._refused.ids),
            "uncertain": self._uncertain.count,
            "uncertain_ids": " ".join(self._uncertain.ids),
        }
        logger.warning("record_back", extra=told)
        self._is_told = False


class Look(Protocol):
    """Whatever looks in a thread whether the record can be written."""

    async def __call__(self, *, thoroughly: bool) -> None:
        """Raise RecordUnavailableError unless it can."""


@dataclass(eq=False, repr=False)
class RecordWatch:
    """Looks once a second, and at once when something failed."""

    outage: Outage
    look: Look
    tick_seconds: float = _TICK_SECONDS
    away_tick_seconds: float = _AWAY_TICK_SECONDS

    async def run(self) -> None:
        """Look until cancelled."""
        await repeat(self._once, self._pause, errors.EvaluationError, logger, _EVENTS)

    async def _once(self) -> None:
        outage = self.outage
        thoroughly = outage.is_now or outage.noticed.is_set()
        outage.noticed.clear()
        try:
            await self.look(thoroughly=thoroughly)
        except errors.RecordUnavailableError as exc:
            outage.begin(exc)
        else:
            outage.end()

    async def _pause(self) -> None:
        if self.outage.is_now:
            await asyncio.sleep(self.away_tick_seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self.tick_seconds):
                await self.outage.noticed.wait()
