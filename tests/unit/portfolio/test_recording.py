"""A file's clients in the record: each once, as if they had been asked for one by one."""

import csv
import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from evaluation_api.decision.domain import FEATURES, CardUsage
from evaluation_api.decision.errors import RecordBusyError, RecordUnavailableError
from evaluation_api.decision.evaluation import decide_again
from evaluation_api.record import retention, tables
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pace import Pace
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.recorded_files import RecordedFile, RecordedFiles
from evaluation_api.record.rows import COLUMNS, Values
from evaluation_api.runtime.identity import new_id
from evaluation_api.web import answers
from model_store.version import StoredModel
from portfolio import limits, recording, score
from portfolio.files.header import Choices
from portfolio.profiler import StoredProfiler
from portfolio.recording import RecordedOtherwiseError, Recording
from tests.evaluations import MODEL, POLICY, POLICY_TEXT
from tests.portfolio_files import ANA, BIA, HEADER
from tests.unit.portfolio.test_frames import clients

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
    one = Recording(files, file, POLICY, profiler)
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
    class Broken(RecordedFiles):
        """Goes away after the first slice."""

        def append(self, file: RecordedFile, encoded: Sequence[Values]) -> RecordedFile:
            if file.recorded:
                raise RecordUnavailableError("gone")
            return super().append(file, encoded[:2])

    with pytest.raises(RecordUnavailableError):
        recorded_in_parts(source, Broken(engine), stored)
    assert count(engine) == 2
    assert not source.with_name("out.csv").exists()

    one, lines = recorded(source, files, stored)
    assert (one.before, one.now, count(engine)) == (2, 3, 3)
    ids = [line["avaliacao"] for line in lines if line["avaliacao"]]
    assert [EvaluationLog(engine).find(one).applicant.name for one in ids] == ["Ana", "Bia", "Çia"]


def recorded_in_parts(source: Path, files: RecordedFiles, stored: StoredModel) -> None:
    profiler = StoredProfiler(stored)
    one = Recording(files, recording.begin(files, source, CRITERIA), POLICY, profiler)
    scoring = score.Scoring(POLICY, profiler, recording=one)
    one._pace.limit = 2  # noqa: SLF001 - two clients in the first slice
    scoring.run(source, source.with_name("out.csv"), Choices({}), None)


def test_of_two_processes_with_one_file_one_records_it(
    source: Path, files: RecordedFiles, engine: Engine
) -> None:
    begun = recording.begin(files, source, CRITERIA)
    files.append(begun, [])
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


def test_a_purge_forgets_the_file_with_its_evaluations(
    source: Path, files: RecordedFiles, stored: StoredModel, engine: Engine
) -> None:
    recorded(source, files, stored)

    assert retention.purge(engine, datetime.now(UTC) + timedelta(minutes=1)) == 3

    one, _ = recorded(source, files, stored)
    assert (one.before, one.now, count(engine)) == (0, 3, 3)


def test_ids_are_of_version_7_in_the_files_order_and_follow_from_it() -> None:
    file = new_id()

    made = recording.ids(file, 0, 10_000)

    assert [uuid.UUID(one).version for one in made[:9]] == [7] * 9
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}
    assert all(one < other for one, other in pairwise(made))
    assert made[0][:13] == file[:13]
    assert recording.ids(file, 4_000, 200) + recording.ids(file, 4_200, 1) == made[4_000:4_201]
    assert recording.ids(file, 1 << 31, 1)[0] > made[-1]
    assert not set(recording.ids(new_id(), 0, 10_000)) & set(made)


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
    assert pace.limit == 1
