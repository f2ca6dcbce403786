"""What waits is decided by itself once the model is back."""

import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evaluation_api.decision.domain import Applicant, CardUsage, Entry, Prediction
from evaluation_api.decision.errors import (
    ModelAnswerError,
    ModelRefusalError,
    ModelUnavailableError,
    RecordUnavailableError,
)
from evaluation_api.decision.evaluation import Evaluator
from evaluation_api.record import database
from evaluation_api.record.appender import Appender
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.outage import RecordWatch
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.pending_worker import PendingWorker
from evaluation_api.runtime.identity import new_id, now
from evaluation_api.web import answers
from tests.evaluations import POLICY, pending_entry, prediction, usage


class FakeModel:
    """A model that fails in the ways it is told, one call after the other."""

    def __init__(self, failures: Sequence[Exception] = (), *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.calls: list[str] = []
        self.refuses: list[CardUsage] = []
        self._failures = list(failures)

    async def predict(self, _: CardUsage) -> Prediction:
        """Say the same of everybody."""
        self._fail("predict")
        return prediction()

    async def predict_each(
        self, usages: Sequence[CardUsage]
    ) -> list[Prediction | ModelRefusalError]:
        """Say the same of everybody, but of those whom it refuses."""
        self._fail("predict")
        return [ModelRefusalError("no") if one in self.refuses else prediction() for one in usages]

    async def ensure_available(self) -> None:
        """Fail as predictions do, while it is away."""
        if self.is_away:
            self._fail("ask")
            self.is_away = False

    def _fail(self, call: str) -> None:
        self.calls.append(call)
        if self._failures:
            raise self._failures.pop(0)


class FailingQueue(PendingQueue):
    """A queue that fails once to take decisions."""

    failures = 1

    def commit(self, entries: Sequence[Entry]) -> list[Entry]:
        if self.failures:
            self.failures -= 1
            raise RecordUnavailableError
        return super().commit(entries)


@pytest.fixture
def engine(tmp_path: Path, migrated: Path) -> Iterator[Engine]:
    engine = database.connect(f"sqlite:///{shutil.copy(migrated, tmp_path)}")
    yield engine
    engine.dispose()


def work_until_nothing_waits(
    engine: Engine, model: FakeModel, queue: PendingQueue | None = None, *, but: int = 0
) -> None:
    queue = queue or PendingQueue(engine)

    async def scenario() -> None:
        async with RecordExecutor() as executor:
            record = Appender(EvaluationLog(engine), executor, max_waiting=9)
            evaluator = Evaluator(model, POLICY, record, answers.answer, new_id=new_id, now=now)
            worker = PendingWorker(
                model, evaluator, queue, executor, tick_seconds=0.001, lease=timedelta(0)
            )
            look = partial(executor.run_watch, database.require_writable, engine)
            watch = RecordWatch(executor.outage, look, away_tick_seconds=0.001)
            working = asyncio.gather(worker.run(), watch.run())
            async with asyncio.timeout(10):
                while queue.count() > but:  # noqa: ASYNC110 - the record tells nobody
                    await asyncio.sleep(0.001)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "failures",
    [
        [],
        [ModelUnavailableError("x")] * 3,
        [ModelAnswerError("x")],
        [ZeroDivisionError("a defect")],
    ],
)
def test_what_waits_is_decided_once_the_model_is_back_whatever_failed_before(
    engine: Engine, log: EvaluationLog, failures: list[Exception]
) -> None:
    entries = [pending_entry() for _ in range(3)]
    log.append(entries)

    work_until_nothing_waits(engine, FakeModel(failures))

    for entry in entries:
        found = log.find(entry.id)
        assert found.answer
        assert found.degraded


def test_one_client_whom_the_model_refuses_keeps_nobody_else_waiting(
    engine: Engine, log: EvaluationLog
) -> None:
    refused, other = pending_entry(), pending_entry()
    refused = refused._replace(applicant=Applicant("Maria", usage(balance=13.0)))
    log.append([refused, other])
    model = FakeModel()
    model.refuses = [refused.applicant.usage]

    work_until_nothing_waits(engine, model, but=1)

    assert log.find(other.id).answer
    assert not log.find(refused.id).answer


def test_decisions_that_were_not_taken_are_made_again(engine: Engine, log: EvaluationLog) -> None:
    entry = pending_entry()
    log.append([entry])

    work_until_nothing_waits(engine, FakeModel(), FailingQueue(engine))

    assert log.find(entry.id).answer


def test_a_model_that_is_away_is_asked_whether_it_is_back_before_anything_is_leased(
    engine: Engine, log: EvaluationLog
) -> None:
    log.append([pending_entry()])
    model = FakeModel([ModelUnavailableError("x")], is_away=True)

    work_until_nothing_waits(engine, model)

    assert model.calls == ["ask", "ask", "predict"]


def test_the_time_it_waited_is_told_in_milliseconds(engine: Engine, log: EvaluationLog) -> None:
    received_at = datetime.now(UTC) - timedelta(seconds=40)
    entry = pending_entry()._replace(received_at=received_at)
    log.append([entry])

    work_until_nothing_waits(engine, FakeModel())

    answer = log.find(entry.id).answer
    assert answer is not None
    assert 40_000 <= json.loads(answer)["duracao_ms"] < 100_000
