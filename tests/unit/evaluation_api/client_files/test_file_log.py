"""Files in the record, the same on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from evaluation_api.client_files import evaluating
from evaluation_api.client_files.domain import (
    FIELDS,
    Chunk,
    Dialect,
    EvaluatedChunk,
    Line,
    State,
    Step,
)
from evaluation_api.client_files.file_log import FileLog
from evaluation_api.decision.domain import CardUsage, Counterfactual, Outcome, Prediction, Search
from evaluation_api.decision.errors import (
    ClientFileNotFoundError,
    ClientFileStateError,
    RecordUnavailableError,
)
from evaluation_api.record import database, retention
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.history import History
from evaluation_api.record.policies import PolicyLog
from evaluation_api.web import answers
from tests.evaluations import POLICY, POLICY_TEXT, evaluation, new_id, prediction, usage

LEASE = timedelta(seconds=30)
DIALECT = Dialect("utf-8", ";", True, tuple(FIELDS), tuple(FIELDS))  # noqa: FBT003 - as msgspec has it
IN_DEBT = prediction(0, 0.4, (Counterfactual("balance", 300.25, 4, 0.2),))


class OneAnswer:
    """A model that says the same of everybody."""

    def __init__(self, answer: Prediction = IN_DEBT) -> None:
        """Say this."""
        self.answer = answer

    async def ensure_available(self) -> None:
        """Be there always."""

    async def predict_many(self, usages: Sequence[CardUsage]) -> list[Prediction]:
        """Say it as often as asked."""
        return [self.answer] * len(usages)


@pytest.fixture
def log(engine: Engine) -> FileLog:
    PolicyLog(engine).remember(POLICY.version, POLICY_TEXT)
    return FileLog(engine)


def received(log: FileLog, *, chunks: int = 2, lines: int = 3) -> str:
    """Receive a file of some chunks, the second line of each faulty."""
    file_id = new_id()
    log.open(file_id, "clientes.csv")
    for number in range(chunks):
        log.store(file_id, number, _lines(number * lines + 2, lines))
    log.complete(file_id, DIALECT, _lines(2, 1))
    return file_id


def _lines(first: int, count: int) -> list[Line]:
    return [
        Line(first + at, ["José", "4" if at != 1 else "mil", "2", "3", "4", "1"])
        for at in range(count)
    ]


def evaluated(chunk: Chunk, model: OneAnswer | None = None) -> EvaluatedChunk:
    return asyncio.run(evaluating.evaluate(chunk, model or OneAnswer(), POLICY))


def commit(log: FileLog, committed: EvaluatedChunk) -> bool:
    return log.commit(committed, [log.row(one) for one in committed.evaluations])


def leased(log: FileLog) -> Chunk:
    chunk = log.lease(LEASE)
    assert chunk is not None
    return chunk


def test_a_file_that_is_still_coming_in_is_not_to_be_seen(log: FileLog) -> None:
    file_id = new_id()
    log.open(file_id, "clientes.csv")
    log.store(file_id, 0, _lines(2, 3))

    assert log.latest(10) == []
    with pytest.raises(ClientFileNotFoundError):
        log.find(file_id)
    with pytest.raises(ClientFileNotFoundError):
        log.step(file_id, Step.START)


def test_what_broke_off_is_discarded_and_what_came_in_whole_is_not(log: FileLog) -> None:
    whole, broken = received(log), new_id()
    log.open(broken, "clientes.csv")
    log.store(broken, 0, _lines(2, 3))

    before = log.discard_broken_off(timedelta(minutes=1))
    after = log.discard_broken_off(-timedelta(minutes=1))

    assert (before, after) == (0, 1)
    assert log.row_results(broken, 0) is None
    assert log.find(whole).line_count == 6


def test_chunks_are_leased_in_order_once_and_only_while_the_file_runs(log: FileLog) -> None:
    file_id = received(log)
    assert log.lease(LEASE) is None
    log.step(file_id, Step.START)

    first, second = leased(log), leased(log)

    assert [chunk.number for chunk in (first, second)] == [0, 1]
    assert first.lines == _lines(2, 3)
    assert log.lease(LEASE) is None
    log.release(first)
    log.step(file_id, Step.PAUSE)
    assert log.lease(LEASE) is None
    log.step(file_id, Step.RESUME)
    assert leased(log).number == 0


def test_a_lease_that_ran_out_gives_the_chunk_to_the_next(log: FileLog) -> None:
    log.step(received(log, chunks=1), Step.START)
    log.lease(timedelta(0))

    assert leased(log).number == 0


def test_replicas_that_claim_at_once_get_different_chunks(log: FileLog) -> None:
    log.step(received(log, chunks=12), Step.START)

    with ThreadPoolExecutor(4) as replicas:
        found = list(replicas.map(lambda _: log.lease(LEASE), range(12)))

    numbers = [chunk.number for chunk in found if chunk is not None]
    assert len(numbers) == len(set(numbers))
    while (chunk := log.lease(LEASE)) is not None:  # who lost a race comes again
        numbers.append(chunk.number)
    assert sorted(numbers) == list(range(12))


def test_a_chunk_is_committed_once_by_whoever_comes_first(log: FileLog, engine: Engine) -> None:
    file_id = received(log, chunks=1)
    log.step(file_id, Step.START)
    chunk = leased(log)

    committed = [commit(log, evaluated(chunk)), commit(log, evaluated(chunk))]

    assert committed == [True, False]
    assert len(History(engine).search(Search(limit=100))) == 2


def test_a_cancelled_file_takes_no_more_decisions(log: FileLog, engine: Engine) -> None:
    file_id = received(log, chunks=1)
    log.step(file_id, Step.START)
    chunk = leased(log)
    log.step(file_id, Step.CANCEL)

    assert not commit(log, evaluated(chunk))
    assert History(engine).search(Search(limit=100)) == []


def test_a_row_of_a_file_reads_like_any_other_evaluation(log: FileLog, engine: Engine) -> None:
    log.step(received(log, chunks=1), Step.START)
    committed = evaluated(leased(log))
    commit(log, committed)
    evaluation = committed.evaluations[0]

    found = EvaluationLog(engine).find(evaluation.id)

    assert answers.answer_json(found) == answers.answer(evaluation, POLICY)
    assert not found.pending
    assert found.final_outcome is Outcome.REFUSED
    (page,) = EvaluationLog(engine).decided([evaluation.id], 10)
    assert answers.answer_json(page[0]) == answers.answer_json(found)
    by_name = Search(limit=10, name="jose", outcome=Outcome.REFUSED)
    assert len(History(engine).search(by_name)) == 2


def test_every_name_and_amount_comes_back_as_it_was(log: FileLog, engine: Engine) -> None:
    names = [
        "Ana",
        'Zé "Jr.", filho',
        "\\N",
        "\\.",
        "NULL",
        "\u0301",
        "a\tb\nc\r\nd",
        "'; --",
        "%s",
        "名",
    ]
    made = [evaluation(IN_DEBT, usage(balance=0.1 + at), name) for at, name in enumerate(names)]
    log.step(received(log, chunks=1), Step.START)
    commit(log, replace(evaluated(leased(log)), evaluations=made))

    (page,) = EvaluationLog(engine).decided([one.id for one in made], 100)

    found = {one.id: one.applicant for one in page}
    assert found == {one.id: one.applicant for one in made}


def test_a_chunk_that_cannot_be_recorded_whole_is_not_recorded_at_all(
    log: FileLog, engine: Engine
) -> None:
    file_id = received(log, chunks=1)
    log.step(file_id, Step.START)
    committed = evaluated(leased(log))

    with pytest.raises(RecordUnavailableError):
        commit(
            log, replace(committed, evaluations=[*committed.evaluations, committed.evaluations[0]])
        )

    assert log.find(file_id).progress.committed == 0
    assert History(engine).search(Search(limit=100)) == []
    assert commit(log, committed)


def test_a_model_without_geometry_is_recorded_as_it_answered(log: FileLog, engine: Engine) -> None:
    log.step(received(log, chunks=1), Step.START)
    bare = Prediction(3, IN_DEBT.model)
    committed = evaluated(leased(log), OneAnswer(bare))
    commit(log, committed)

    found = EvaluationLog(engine).find(committed.evaluations[0].id)

    assert found.stored_decision is not None
    assert found.stored_decision.prediction == bare
    assert committed.counts.confidence == [0] * 10


def test_a_file_is_done_when_its_last_chunk_is_and_tells_how_its_lines_ended(
    log: FileLog,
) -> None:
    file_id = received(log)
    log.step(file_id, Step.START)
    commit(log, evaluated(leased(log)))
    assert log.finish() == 0
    commit(log, evaluated(leased(log)))
    assert log.finish() == 1

    client_file = log.find(file_id)
    ended = log.row_results(file_id, 1)

    assert client_file.state is State.DONE
    assert (client_file.line_count, client_file.progress.committed) == (6, 6)
    assert client_file.progress.counts.faults == 2
    assert client_file.progress.counts.outcomes == {"recusado": 4}
    assert client_file.progress.counts.clusters == [4, 0, 0, 0, 0]
    assert client_file.progress.counts.confidence == [0, 0, 0, 0, 4, 0, 0, 0, 0, 0]
    assert client_file.progress.lines_per_second is not None
    assert ended is not None
    lines, row_results = ended
    assert [line.number for line in lines] == [5, 6, 7]
    assert [isinstance(row_result, str) for row_result in row_results] == [True, False, True]
    assert log.row_results(file_id, 2) is None
    assert log.latest(1)[0].progress.committed == 6


@pytest.mark.parametrize(
    ("steps", "refused"),
    [
        ([], Step.PAUSE),
        ([], Step.RESUME),
        ([Step.START], Step.START),
        ([Step.START], Step.RESUME),
        ([Step.START, Step.PAUSE], Step.PAUSE),
        ([Step.CANCEL], Step.START),
        ([Step.CANCEL], Step.CANCEL),
    ],
)
def test_a_step_that_the_state_does_not_allow_is_refused(
    log: FileLog, steps: list[Step], refused: Step
) -> None:
    file_id = received(log)
    for step in steps:
        log.step(file_id, step)

    with pytest.raises(ClientFileStateError):
        log.step(file_id, refused)


@pytest.mark.parametrize("file_id", ["", "nenhum", "\x00" * 36, "a" * 36])
def test_what_is_no_file_is_not_found(log: FileLog, file_id: str) -> None:
    with pytest.raises(ClientFileNotFoundError):
        log.find(file_id)


def test_a_files_time_is_in_utc_whatever_zone_the_database_keeps(
    log: FileLog, engine: Engine
) -> None:
    file_id = received(log)
    url = engine.url
    if url.get_backend_name() == "postgresql":
        url = url.update_query_dict({"options": "-c timezone=America/Sao_Paulo"})
    elsewhere = database.connect(url.render_as_string(hide_password=False))

    changed_at = FileLog(elsewhere).find(file_id).changed_at

    elsewhere.dispose()
    assert changed_at.utcoffset() == timedelta(0)
    assert datetime.now(UTC) - changed_at < timedelta(minutes=1)


def test_a_purge_takes_files_with_their_names_and_amounts(log: FileLog, engine: Engine) -> None:
    file_id = received(log)
    soon = datetime.now(UTC) + timedelta(minutes=1)

    assert retention.count_older(engine, soon) == (0, 1)
    retention.purge(engine, soon)

    assert log.row_results(file_id, 0) is None
    assert log.latest(10) == []
