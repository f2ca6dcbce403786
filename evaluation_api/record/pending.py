"""Evaluates what was received while the model was away, as soon as it is back.

Every replica runs one of these; the record hands each of them different evaluations.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from evaluation_api.decision import background
from evaluation_api.decision.domain import Entry, Recorded
from evaluation_api.decision.errors import EvaluationError
from evaluation_api.decision.evaluation import Evaluator

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
_AT_ONCE = 256
#: Longer than one call may take, short enough that after a crash another replica takes over
#: before anybody has waited 5 s.
_LEASE = timedelta(seconds=3)


class Queue(Protocol):
    """The part of the record that holds pending evaluations."""

    async def count_pending(self) -> int:
        """Give how many wait."""

    async def claim_pending(self, limit: int, lease: timedelta) -> list[Recorded]:
        """Take some, for the lease."""

    async def settle(self, entries: Sequence[Entry]) -> int:
        """Write their decisions; give how many were still pending."""


class PendingWorker:
    """Looks twice a second whether something waits and the model is there."""

    def __init__(
        self,
        model: background.Model,
        evaluator: Evaluator,
        queue: Queue,
        *,
        tick_seconds: float = _TICK_SECONDS,
    ) -> None:
        """Take the parts; run() starts."""
        self._model = model
        self._evaluator = evaluator
        self._queue = queue
        self._tick_seconds = tick_seconds
        #: As of the last look.
        self.waiting = 0

    async def run(self) -> None:
        """Work until cancelled; whatever fails is tried again at the next look."""
        while True:
            try:
                await self._look()
            except EvaluationError as exc:
                logger.info("pending_wait", extra={"reason": type(exc).__name__})
            except Exception:
                logger.exception("pending_failed")  # a defect must not leave the others waiting
            await asyncio.sleep(self._tick_seconds)

    async def _look(self) -> None:
        self.waiting = await self._queue.count_pending()
        while self.waiting:
            await background.require(self._model)
            claimed = await self._queue.claim_pending(_AT_ONCE, _LEASE)
            if not claimed:
                return
            settled = await self._settle(claimed)
            logger.info("pending_settled", extra={"count": settled})
            self.waiting = await self._queue.count_pending()

    async def _settle(self, claimed: list[Recorded]) -> int:
        predictions = await self._model.predict_many([r.applicant.usage for r in claimed])
        now = datetime.now(UTC)
        return await self._queue.settle(
            [
                self._evaluator.decided(
                    Entry(r.id, r.received_at, r.applicant, degraded=True),
                    prediction,
                    (now - r.received_at).total_seconds() * 1000,
                )
                for r, prediction in zip(claimed, predictions, strict=True)
            ]
        )
