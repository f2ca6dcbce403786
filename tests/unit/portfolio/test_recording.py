"""A file's clients in the record: each once, as if they had been asked for one by one."""

import csv
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import Engine, delete, func, select, text, update

from evaluation_api.decision.domain import (
    FEATURES,
    Applicant,
    CardUsage,
    Counterfactual,
    Entry,
    Evaluation,
    Outcome,
    Prediction,
)
from evaluation_api.decision.errors import RecordBusyError, RecordUnavailableError
from evaluation_api.decision.evaluation import decide_again
from evaluation_api.operations import audit, retention
from evaluation_api.record import database, schema, tables
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pace import Pace
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.rows import COLUMNS, Values, in_utc
from evaluation_api.record.sealer import Seals
from evaluation_api.runtime.identity import new_id
from evaluation_api.web import answers
from model_store.version import StoredModel
from portfolio import frames, limits, recording, score
from portfolio.appending import Appender, _Columns
from portfolio.files.header import Choices
from portfolio.frames import Floats
from portfolio.profiler import StoredProfiler
from portfolio.recorded_files import RecordedFile, RecordedFiles
from portfolio.recording import RecordedOtherwiseError, Recording
from tests.evaluations import MODEL, POLICY, POLICY_TEXT
from tests.portfolio_files import ANA, BIA, HEADER
from tests.unit.portfolio.test_frames import clients

#: What a CSV, a database or a fold could trip over.
NAMES = [
    "Ana",
    "José d'Ávila",
    'Ana "Nina" Sá',
    "Silva, Rui; Filho",
    "A  B",
    "Zoë\\N",
    "陳小",
    "Łucja",
]
#: Another process that writes to a file until it is told to end.
LOCKS = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
    "c.execute('BEGIN IMMEDIATE'); print(flush=True); sys.stdin.read(); c.execute('ROLLBACK')"
)
POOR = "Çia;900,00;0,00;0,00;1000,00;0,00\n"
CRITERIA = {"policy": POLICY.version}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "clients.csv"
    path.write_text(HEADER + ANA + "Errado;x;0;0;0;1\n" + BIA + "\n" + POOR, "utf-8")
    return path


@pytest.fixture
def files(engine: Engine) -> RecordedFiles:
    PolicyLog(engine).remember(POLICY.version, POLICY_TEXT)
    return RecordedFiles(engine)


def recorded(
    source: Path, files: RecordedFiles, stored: StoredModel, *, again: bool = False
) -> tuple[Recording, list[dict[str, str]]]:
    """Record a file; return how far it is, and the lines of its result."""
    profiler, target = StoredProfiler(stored), source.with_name("out.csv")
    file = recording.begin(files, source, CRITERIA, again=again)
    with recording.fast_ways(files, POLICY, profiler) as ways:
        one = Recording(files, file, POLICY, profiler, ways)
        score.Scoring(POLICY, profiler, recording=one).run(source, target, Choices({}), None)
    with target.open(encoding="utf-8-sig", newline="") as result:
        return one, list(csv.DictReader(result, delimiter=";"))


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(
            connection.execute(select(func.count()).select_from(tables.evaluations)).scalar_one()
        )


def test_every_decided_client_is_recorded_and_the_result_says_under_which_id(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    one, lines = recorded(source, files, stored)

    log = EvaluationLog(engine)
    assert [line["nome"] for line in lines if line["avaliacao"]] == ["Ana", "Bia", "Çia"]
    assert (one.before, one.now, count(engine)) == (0, 3, 3)
    for line in (line for line in lines if line["avaliacao"]):
        found = log.find(line["avaliacao"])
        assert found.stored_decision
        assert (found.applicant.name, found.outcome) == (line["nome"], line["decisao"])
        again = decide_again(POLICY, found, found.stored_decision.prediction)
        assert again.outcome == line["decisao"]
        told = json.loads(answers.answer_json(found) or "")
        assert (told["id"], told["decisao"]) == (line["avaliacao"], line["decisao"])
        assert abs(found.received_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_who_is_refused_is_recorded_with_what_would_change_that(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    _, lines = recorded(source, files, stored)

    found = EvaluationLog(engine).find(lines[-1]["avaliacao"]).stored_decision
    assert found
    assert found.prediction.runner_up in range(5)
    assert found.prediction.counterfactuals


def test_a_model_without_geometry_is_recorded_with_its_labels(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    _, lines = recorded(source, files, replace(stored, numbers=None))

    found = EvaluationLog(engine).find(lines[0]["avaliacao"])
    assert found.confidence is None
    assert found.stored_decision
    assert found.stored_decision.prediction.contributions is None


def test_the_same_file_is_the_same_evaluations_unless_it_is_asked_for_again(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    _, first = recorded(source, files, stored)
    source = source.rename(source.with_name("another_name.csv"))
    repeated, second = recorded(source, files, stored)

    assert (repeated.before, repeated.now, count(engine)) == (3, 3, 3)
    assert second == first

    _, third = recorded(source, files, stored, again=True)
    assert count(engine) == 6
    assert third[0]["avaliacao"] != first[0]["avaliacao"]


def test_a_file_that_was_recorded_otherwise_is_refused(
    source: Path, files: RecordedFiles, stored: StoredModel
) -> None:
    recorded(source, files, stored)

    with pytest.raises(
        RecordedOtherwiseError, match=r"3 of its clients .* another policy; --again"
    ):
        recording.begin(files, source, {"policy": "another"})


def test_what_was_broken_off_goes_on_where_it_was(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    with pytest.raises(RecordUnavailableError):
        recorded_in_parts(source, files, stored)
    assert count(engine) == 2
    assert not source.with_name("out.csv").exists()

    one, lines = recorded(source, files, stored)
    assert (one.before, one.now, count(engine)) == (2, 3, 3)
    ids = [line["avaliacao"] for line in lines if line["avaliacao"]]
    assert [EvaluationLog(engine).find(one).applicant.name for one in ids] == ["Ana", "Bia", "Çia"]


class Broken:
    """Writes two clients, and then goes away."""

    def __init__(self, appender: Appender) -> None:
        self._appender, self.pace = appender, Pace(2, slice_seconds=None)

    def append(self, file: RecordedFile, clients: pa.RecordBatch) -> RecordedFile:
        if file.recorded:
            raise RecordUnavailableError("gone")
        return self._appender.append(file, clients[:2])

    def let_in(self) -> None:
        """Let others write."""

    def settle(self, file: RecordedFile) -> None:
        """Wait for the disk."""


def recorded_in_parts(source: Path, files: RecordedFiles, stored: StoredModel) -> None:
    profiler = StoredProfiler(stored)
    file = recording.begin(files, source, CRITERIA)
    with recording.fast_ways(files, POLICY, profiler) as ways:
        broken = ways._replace(appender=Broken(ways.appender))
        one = Recording(files, file, POLICY, profiler, broken)
        scoring = score.Scoring(POLICY, profiler, recording=one)
        scoring.run(source, source.with_name("out.csv"), Choices({}), None)


def read_rows(engine: Engine) -> list[tuple[object, ...]]:
    """Return every row as the database has it."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            f"SELECT {', '.join(COLUMNS)} FROM evaluations ORDER BY id"  # noqa: S608 - names only
        )
        return [tuple(row) for row in found]


@pytest.mark.parametrize("readable_by", ["0005", schema.HEAD], ids=["names", "numbers"])
@pytest.mark.parametrize("is_fast", [True, False])
def test_what_is_written_by_columns_is_what_is_written_one_by_one(  # noqa: PLR0913
    files: RecordedFiles,
    stored: StoredModel,
    engine: Engine,
    tmp_path: Path,
    readable_by: str,
    *,
    is_fast: bool,
) -> None:
    with engine.begin() as connection:
        this = update(tables.marks).where(tables.marks.c.name == tables.READABLE_BY)
        connection.execute(this.values(value=readable_by))
    amounts, profiler = clients(300), StoredProfiler(stored)
    names = [f"{NAMES[number % len(NAMES)]} {number}" for number in range(len(amounts))]
    frame = pd.DataFrame(amounts, columns=list(FEATURES))
    (tmp_path / "file").write_bytes(b"")
    begun = recording.begin(files, tmp_path / "file", CRITERIA)
    with recording.fast_ways(files, POLICY, profiler) as ways:
        one = Recording(files, begun, POLICY, profiler, ways if is_fast else None)
        decisions = frames.evaluate(frame, POLICY, profiler)
        prepared = one.prepare(pa.array(names), frame, decisions, 0.5)
        if is_fast:
            one.append(prepared)
        else:
            recording.record(files, begun, prepared.rows)
    written = read_rows(engine)
    Seals(engine).seal_all()
    assert audit.verify(engine).faults == []

    with engine.begin() as connection:
        connection.execute(delete(tables.evaluations))
    log = EvaluationLog(engine)
    entries = [
        Entry(identity, one.received_at, evaluation.applicant, evaluation)
        for identity, evaluation in zip(
            prepared.ids.to_pylist(),
            one_by_one(names, amounts, profiler, log_time(written)),
            strict=True,
        )
    ]
    log.append(entries)

    own = [COLUMNS.index(name) for name in ("salt", "digest")]
    assert [_without(row, own) for row in read_rows(engine)] == [
        _without(row, own) for row in written
    ]
    assert {row[-1] is None for row in written} == {readable_by < tables.NUMBERED_SINCE}
    assert len({type(value) for row in written for value in row}) > 3


def _without(row: tuple[object, ...], places: list[int]) -> list[object]:
    return [value for place, value in enumerate(row) if place not in places]


def log_time(written: list[tuple[object, ...]]) -> datetime:
    """Return when clients were decided."""
    when = written[0][COLUMNS.index("evaluated_at")]
    return in_utc(datetime.fromisoformat(when) if isinstance(when, str) else when)  # type: ignore[arg-type]


def one_by_one(
    names: list[str], amounts: Floats, profiler: StoredProfiler, when: datetime
) -> Iterator[Evaluation]:
    for name, row in zip(names, amounts, strict=True):
        told = profiler.profiles(row[None])
        assert told.contributions is not None
        assert told.runner_up is not None
        usage = CardUsage(*row.tolist())
        bare = Prediction(int(told.cluster[0]), profiler.model)
        is_approved = POLICY.decide(usage, bare).outcome is Outcome.APPROVED
        changes: list[Any] = [] if is_approved else profiler.changes(row[None], POLICY)[0]
        prediction = bare._replace(
            runner_up=int(told.runner_up[0]),
            confidence=float(told.confidence[0]),
            contributions=dict(zip(FEATURES, told.contributions[0].tolist(), strict=True)),
            counterfactuals=tuple(Counterfactual(*change) for change in changes),
        )
        decision = POLICY.decide(usage, prediction)
        yield Evaluation("", Applicant(name, usage), prediction, decision, when, 500.0)


def test_of_two_processes_with_one_file_one_records_it(
    source: Path, files: RecordedFiles, engine: Engine
) -> None:
    begun = recording.begin(files, source, CRITERIA)
    further = files.append(begun, rows(begun.id))

    with pytest.raises(RecordBusyError, match="another process"):
        files.append(begun, rows(begun.id))
    with pytest.raises(RecordBusyError, match="another process"):
        files.begin(begun.sha256, "{}", None)
    assert files.find(begun.sha256) == further
    assert count(engine) == 1


def rows(identity: str) -> list[Values]:
    """Make one row that waits."""
    at = datetime(2026, 11, 26, tzinfo=UTC)
    made: dict[str, object] = dict.fromkeys(COLUMNS)
    made |= {"id": identity, "pending": True, "received_at": at, "name": "Ana", "degraded": False}
    made |= {"name_folded": "ana", **dict.fromkeys(FEATURES, 1.0)}
    return [tuple(made.values())]


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_the_disk_has_what_a_server_was_given_before_there_is_a_result(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    """Slices do not wait for it one by one; a crash would take clients and pointer alike."""
    written, settled = database.connect_again(engine), []

    class Watched:
        """Looks how far the server's log is written, and how far it is on the disk."""

        def __init__(self, appender: Appender) -> None:
            self.pace, self.append, self.let_in = appender.pace, appender.append, appender.let_in
            self._appender = appender

        def settle(self, file: RecordedFile) -> None:
            with written.connect() as connection:
                end = connection.scalar(text("SELECT pg_current_wal_insert_lsn()"))
                self._appender.settle(file)
                on_disk = text("SELECT pg_current_wal_flush_lsn() >= CAST(:end AS pg_lsn)")
                settled.append((connection.scalar(on_disk, {"end": end}), target.exists()))

    profiler, target = StoredProfiler(stored), source.with_name("out.csv")
    file = recording.begin(files, source, CRITERIA)
    with recording.fast_ways(files, POLICY, profiler) as ways:
        watched = ways._replace(appender=Watched(ways.appender))
        one = Recording(files, file, POLICY, profiler, watched)
        score.Scoring(POLICY, profiler, recording=one).run(source, target, Choices({}), None)
    written.dispose()

    assert settled == [(True, False)]
    assert target.exists()


def test_of_a_slice_that_cannot_be_written_nothing_is(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    begun, profiler = recording.begin(files, source, CRITERIA), StoredProfiler(stored)
    frame = pd.DataFrame(clients(5), columns=list(FEATURES))
    one = Recording(files, begun, POLICY, profiler)
    decisions = frames.evaluate(frame, POLICY, profiler)
    rows = one.prepare(pa.array(["Ana"] * 5), frame, decisions, 0).rows
    twice = pa.record_batch([pa.concat_arrays([c, c]) for c in rows.columns], rows.schema)

    with recording.fast_ways(files, POLICY, profiler) as ways:
        with pytest.raises(RecordUnavailableError, match=r"(?i)unique"):
            ways.appender.append(begun, twice)
        further = ways.appender.append(begun, rows)
        with pytest.raises(RecordBusyError, match="another process"):
            ways.appender.append(begun, rows)

    assert files.find(begun.sha256) == further
    assert (further.recorded, count(engine)) == (5, 5)


def test_a_record_that_somebody_else_writes_to_for_too_long_is_busy(
    source: Path, stored: StoredModel, tmp_path: Path
) -> None:
    engine = database.connect(f"sqlite:///{tmp_path / 'record.db'}")
    schema.migrate(engine)
    files = RecordedFiles(engine)
    begun = recording.begin(files, source, CRITERIA)
    with recording.fast_ways(files, POLICY, StoredProfiler(stored)) as ways:
        assert isinstance(ways.appender, _Columns)
        ways.appender._columns._cursor.execute("PRAGMA busy_timeout=1")  # noqa: SLF001
        command = [sys.executable, "-c", LOCKS, str(engine.url.database)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout
            other.stdout.readline()
            with pytest.raises(RecordBusyError, match="locked"):
                ways.appender.append(begun, rows_of(begun))
            other.communicate(b"")
        assert ways.appender.append(begun, rows_of(begun)).recorded == 1


def rows_of(file: RecordedFile) -> pa.RecordBatch:
    (row,) = rows(file.id)
    told = [str(value) if isinstance(value, datetime) else value for value in row]
    return pa.record_batch({name: [value] for name, value in zip(COLUMNS, told, strict=True)})


def test_a_purge_forgets_the_file_with_its_evaluations(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    recorded(source, files, stored)

    assert retention.purge(engine, datetime.now(UTC) + timedelta(minutes=1)) == 3

    one, _ = recorded(source, files, stored)
    assert (one.before, one.now, count(engine)) == (0, 3, 3)


def test_ids_are_of_version_7_in_the_files_order_and_follow_from_it() -> None:
    file = new_id()

    made = recording.ids(file, 0, 10_000).to_pylist()

    assert [uuid.UUID(one).version for one in made[:9]] == [7] * 9
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}
    assert all(one < other for one, other in pairwise(made))
    assert made[0][:13] == file[:13]
    first, last = recording.ids(file, 4_000, 200), recording.ids(file, 4_200, 1)
    assert [*first.to_pylist(), *last.to_pylist()] == made[4_000:4_201]
    assert recording.ids(file, 1 << 31, 1)[0].as_py() > made[-1]
    assert not set(recording.ids(new_id(), 0, 10_000).to_pylist()) & set(made)


def test_changes_are_looked_for_where_the_policy_says_for_each_client() -> None:
    amounts = clients(5_000)

    found = limits.of(POLICY, MODEL, amounts)

    changeable = ("balance", "purchases", "cash_advance", "payments")
    for row, told in zip(amounts.tolist(), found, strict=True):
        spans = POLICY.spans(CardUsage(*row))
        expected = [spans.get(feature, (np.nan, np.nan)) for feature in changeable]
        np.testing.assert_array_equal(told.reshape(2, 4).T, expected)


def test_slices_grow_and_shrink_by_how_long_they_take() -> None:
    pace = Pace(400)

    pace.note(0.001)
    pace.note(0.001)
    pace.note(0.001)
    assert pace.limit == 400
    pace.note(0.04)
    assert pace.limit == 200
    pace.note(100)
    assert pace.limit == 50, "a transaction for each row would take longer than any slice"


def test_slices_stay_as_they_are_where_nobody_waits() -> None:
    pace = Pace(400, slice_seconds=None)
    pace.note(100)
    assert pace.limit == 400
