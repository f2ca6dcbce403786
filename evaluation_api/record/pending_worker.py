"""Evaluates what was received while the model was away, as soon as it is back.

Every replica runs one of these; the record hands each of them different evaluations.
"""

import logging
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta

from evaluation_api.decision import errors
from evaluation_api.decision.domain import Entry, Prediction, Recorded
from evaluation_api.decision.evaluation import EachPredictor, Evaluator
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.metrics import count_decisions
from evaluation_api.record.pending import PendingQueue
from evaluation_api.runtime.background import Events, repeat

logger = logging.getLogger(__name__)

_EVENTS = Events("pending_wait", "pending_failed")
_TICK_SECONDS = 0.5
_AT_ONCE = 256
#: Longer than one call may take, short enough that after a crash another replica takes over
#: before anybody has waited 5 s.
_LEASE = timedelta(seconds=3)


@dataclass(eq=False, repr=False)
class PendingWorker:
    """Looks twice a second whether something waits and the model is there.

    lease: for how long other replicas leave alone what this one has taken.
    """

    model: EachPredictor
    evaluator: Evaluator
    queue: PendingQueue
    executor: RecordExecutor
    _: KW_ONLY
    tick_seconds: float = _TICK_SECONDS
    lease: timedelta = _LEASE
    #: As of the last look.
    waiting: int = field(default=0, init=False)

    async def run(self) -> None:
        """Work until cancelled; whatever fails is tried again at the next look."""
        await repeat(self._look, self.tick_seconds, errors.EvaluationError, logger, _EVENTS)

    async def _look(self) -> None:
        run_read, run_write = self.executor.run_read, self.executor.run_write
        self.waiting = await run_read(self.queue.count)
        while self.waiting:
            await self.model.ensure_available()
            leased = await run_write(self.queue.lease, _AT_ONCE, self.lease)
            if not leased:
                return
            committed = await run_write(self.queue.commit, await self._decide(leased))
            count_decisions(entry.evaluation for entry in committed)
            logger.info("pending_committed", extra={"count": len(committed)})
            self.waiting = await run_read(self.queue.count)

    async def _decide(self, leased: list[Recorded]) -> list[Entry]:
        """Decide all but those whom the model refuses: they wait for one that does not."""
        predictions = await self.model.predict_each([r.applicant.usage for r in leased])
        now = datetime.now(UTC)
        return [
            self.evaluator.decided(
                Entry(r.id, r.received_at, r.applicant, degraded=True),
                prediction,
                (now - r.received_at).total_seconds() * 1000,
            )
            for r, prediction in zip(leased, predictions, strict=True)
            if isinstance(prediction, Prediction)
        ]
