"""The record by columns, as views show it to who knows SQL, and policies tried on it."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlalchemy import Engine, text

from evaluation_api.decision.domain import Entry, Geometry, Outcome, Review
from evaluation_api.operations.persons import Persons
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.models import ModelLog
from portfolio import views
from portfolio.__main__ import main
from tests import commands
from tests.evaluations import (
    MODEL,
    NOON,
    POLICY,
    POLICY_TEXT,
    decided_entry,
    new_id,
    pending_entry,
    prediction,
)

Run = Callable[..., commands.Finished]
DAY = timedelta(days=1)


@pytest.fixture
def run(engine: Engine) -> Run:
    """Return what runs a command on the record."""
    url = engine.url.render_as_string(hide_password=False)

    def run_here(*arguments: str | Path) -> commands.Finished:
        environment = {"EVALUATION_DATABASE_URL": url}
        return commands.run(main, *map(str, arguments), environment=environment)

    return run_here


@pytest.fixture
def entries(log: EvaluationLog) -> list[Entry]:
    """Record three decisions, a day apart; the first is reviewed twice. One waits."""
    made = [
        decided_entry("Ana", prediction(0), when=NOON),
        decided_entry("=Bia", prediction(4), when=NOON + DAY),
        decided_entry("Cia", prediction(1, confidence=None), when=NOON + 2 * DAY),
    ]
    log.append([*made, pending_entry()])
    for hours, outcome in enumerate((Outcome.MANUAL_REVIEW, Outcome.APPROVED)):
        when = NOON + DAY + timedelta(hours=hours)
        log.review(Review(new_id(when), made[0].id, outcome, "Renda\ncomprovada.", "Eva", when))
    return made


def test_the_view_of_decisions_says_what_was_decided_and_what_people_made_of_it(
    engine: Engine, entries: list[Entry]
) -> None:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM decisoes ORDER BY avaliacao")).all()

    assert tuple(rows[0]._fields) == tuple(views.DECISIONS.columns.columns.keys())
    assert [row.avaliacao for row in rows] == [entry.id for entry in entries]
    assert [row.decisao for row in rows] == ["recusado", "aprovado", "aprovado"]
    assert [row.decisao_final for row in rows] == ["aprovado", "aprovado", "aprovado"]
    assert [row.vezes_revisada for row in rows] == [2, 0, 0]
    assert rows[0].saldo_devedor == entries[0].applicant.usage.balance


def test_decisions_of_a_time_are_exported_by_typed_columns(
    run: Run, entries: list[Entry], tmp_path: Path
) -> None:
    target = tmp_path / "decisoes.parquet"

    done = run("export", "--since", NOON.isoformat(), "--until", "2026-11-24T00Z", "-o", target)

    assert (done.returncode, done.stdout) == (0, "2 rows of decisoes\n"), done.stderr
    rows = parquet.read_table(target).to_pylist()
    assert [row["nome"] for row in rows] == ["Ana", "=Bia"]
    assert rows[0]["recebida_em"] == NOON
    assert rows[0]["certeza"] == 0.31
    assert rows[1]["modelo"] == entries[1].evaluation.prediction.model.tag  # type: ignore[union-attr]
    assert target.stat().st_mode & 0o777 == 0o600


def test_csv_opens_in_columns_and_runs_nothing(
    run: Run, entries: list[Entry], tmp_path: Path
) -> None:
    decisions, reviews = tmp_path / "decisoes.csv", tmp_path / "revisoes.csv"

    run("export", "--since", "2026-11-01", "-o", decisions)
    done = run("export", "revisoes", "--since", "2026-11-01", "-o", reviews)

    assert done.returncode == 0, done.stderr
    with decisions.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["nome"] for row in rows] == ["Ana", "'=Bia", "Cia"]
    assert [row["certeza"] for row in rows] == ["0,31", "0,31", ""]
    with reviews.open(encoding="utf-8-sig", newline="") as file:
        told = list(csv.DictReader(file, delimiter=";"))
    assert [row["decisao"] for row in told] == ["analise_manual", "aprovado"]
    assert {row["avaliacao"] for row in told} == {entries[0].id}
    assert {row["justificativa"] for row in told} == {"Renda\ncomprovada."}


def test_a_time_without_decisions_is_a_file_with_columns_and_no_row(
    run: Run, entries: list[Entry], tmp_path: Path
) -> None:
    for target in (tmp_path / "none.csv", tmp_path / "none.parquet"):
        done = run("export", "--since", "2020-01-01", "--until", "2020-02-01", "-o", target)
        assert done.stdout == "0 rows of decisoes\n", done.stderr
    names = list(views.DECISIONS.columns.columns.keys())
    assert parquet.read_table(tmp_path / "none.parquet").column_names == names
    header = (tmp_path / "none.csv").read_text("utf-8-sig")
    assert header.replace('"', "").strip().split(";") == names
    assert entries


def test_pages_follow_one_another_without_gap_or_double(engine: Engine, log: EvaluationLog) -> None:
    made = [decided_entry(f"Cliente {number}") for number in range(10)]
    log.append(made)
    now = datetime.now(UTC)
    found = list(views.pages(engine, views.DECISIONS, now - DAY, now + DAY, 4))

    assert [len(page) for page in found] == [4, 4, 2]
    assert [row.avaliacao for page in found for row in page] == sorted(one.id for one in made)


def stricter(tmp_path: Path) -> Path:
    path = tmp_path / "nova.toml"
    lines = POLICY_TEXT.partition("[[casos]]")[0].replace("uso_alto = 0.60", "uso_alto = 0.95")
    path.write_text(lines, "utf-8")
    return path


def test_a_policy_is_tried_on_what_is_recorded_by_the_profiles_of_then(
    run: Run, engine: Engine, entries: list[Entry], tmp_path: Path
) -> None:
    ModelLog(engine).remember(Geometry(MODEL, ("balance",)))
    changes = tmp_path / "changes.csv"

    done = run(
        "policy", "try", stricter(tmp_path), "--record", "--since", "2026-11-01",
        "--changes", changes,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert f"3 clients; before: {POLICY.version}, after: " in done.stdout
    assert "1 decisions change" in done.stdout
    assert "behaving worse" not in done.stdout
    assert f"{entries[0].id},Ana,recusado,analise_manual" in changes.read_text()


def test_who_was_erased_does_not_move_the_decisions_of_the_others(
    run: Run, engine: Engine, log: EvaluationLog, entries: list[Entry], tmp_path: Path
) -> None:
    ModelLog(engine).remember(Geometry(MODEL, ("balance",)))
    log.append([first := decided_entry("Dora", prediction(4), when=NOON - timedelta(hours=1))])
    Persons(engine).erase([first.id])
    changes = tmp_path / "changes.csv"

    run(
        "policy", "try", stricter(tmp_path), "--record", "--since", "2026-11-01",
        "--changes", changes,
    )  # fmt: skip

    assert f"{entries[0].id},Ana,recusado,analise_manual" in changes.read_text()


def test_what_says_not_of_whom_a_policy_is_tried_is_refused(run: Run, tmp_path: Path) -> None:
    policy = stricter(tmp_path)

    assert "one says of whom" in run("policy", "try", policy).stderr
    assert "goes with --since" in run("policy", "try", policy, "--record").stderr
    nothing = run("policy", "try", policy, "--record", "--since", "1d")
    assert "Nothing was decided" in nothing.stderr
    assert "is not like 2026-11-01" in run("policy", "try", policy, "--since", "soon").stderr
    backwards = "--since", "2026-11-02", "--until", "2026-11-01"
    for command in (("policy", "try", policy, "--record"), ("export", "-o", tmp_path / "a.csv")):
        assert "is after --until" in run(*command, *backwards).stderr
