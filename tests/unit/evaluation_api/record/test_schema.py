"""Migrations, and tables that a newer program has migrated."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, event, insert, inspect, text

from evaluation_api.decision.domain import Search
from evaluation_api.decision.errors import RecordUnavailableError
from evaluation_api.record import database, rows, schema, server_indexes, tables
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.search.history import History
from evaluation_api.record.tables import evaluations
from tests import successor
from tests.evaluations import decided_entry
from tests.services import ENVIRONMENT, PROJECT

LOCKS = ("BEGIN IMMEDIATE", "SELECT pg_advisory_xact_lock(4203381)")


def test_the_migrations_make_the_tables_that_the_code_describes(engine: Engine) -> None:
    with engine.connect() as connection:
        opts = {"compare_type": True, "include_object": _is_of_every_database}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, tables.metadata) == []


def _is_of_every_database(_thing: object, name: str | None, *_: object) -> bool:
    """Leave out what PostgreSQL alone has: SQLite counts by itself, and has another index."""
    is_of_server = name in {"position", "searched", *server_indexes.INDEXES}
    return not is_of_server


def test_every_migration_is_known_to_the_code() -> None:
    folder = schema.MIGRATIONS / "versions"
    revisions = sorted(path.name[:4] for path in folder.glob("[0-9]*.py"))

    assert revisions[-1] == schema.HEAD


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    _migrate_in_three_processes(url)


@pytest.fixture
def filled(url: str) -> Iterator[Engine]:
    """Fill a record as the release before 0004 left it."""
    engine = database.connect(url)
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    _append_as_before(engine, "Luís d’Ávila", 2500)
    yield engine
    engine.dispose()


def test_folded_names_are_renewed_in_slices_by_processes_that_start_at_once(
    filled: Engine, url: str
) -> None:
    _migrate_in_three_processes(url)

    with filled.connect() as connection:
        folded = connection.execute(text("SELECT DISTINCT name_folded FROM evaluations"))
        assert folded.scalars().all() == ["luis davila"]


def test_others_write_between_the_slices_of_a_migration(filled: Engine, url: str) -> None:
    other = database.connect(url)

    def append(*executed: object) -> None:
        if executed[2] in LOCKS:
            _append_as_before(other, "Ana")

    event.listen(filled, "before_cursor_execute", append)
    schema.migrate(filled)

    assert len(History(other).search(Search(limit=9, name="Ana"))) == 3
    other.dispose()


def _append_as_before(engine: Engine, name: str, count: int = 1) -> None:
    """Write evaluations with the columns that there are by now, names folded as before 0004."""
    there = {column["name"] for column in inspect(engine).get_columns("evaluations")}
    entries = [decided_entry(name) for _ in range(count)]
    encoded = [rows.encode(entry, lambda time: time) for entry in entries]
    named = [dict(zip(rows.COLUMNS, one, strict=True)) for one in encoded]
    written = [{column: one[column] for column in one.keys() & there} for one in named]
    with engine.begin() as connection:
        connection.execute(
            insert(evaluations), [one | {"name_folded": name.lower()} for one in written]
        )


def _migrate_in_three_processes(url: str) -> None:
    program = (
        "import sys; from evaluation_api.record.database import connect;"
        " from evaluation_api.record.schema import migrate; migrate(connect(sys.argv[1]))"
    )
    arguments = [sys.executable, "-c", program, url]
    started = [
        subprocess.Popen(
            arguments,
            cwd=PROJECT,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for process in started:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint


def test_a_migration_that_fails_halfway_leaves_nothing_behind(url: str) -> None:
    engine = database.connect(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE policies (in_the_way INTEGER)"))

    with pytest.raises(RecordUnavailableError):
        schema.migrate(engine)

    assert inspect(engine).get_table_names() == ["policies"]
    engine.dispose()


def test_a_program_works_on_the_tables_of_its_successor(
    engine: Engine, log: EvaluationLog, tmp_path: Path
) -> None:
    before = decided_entry("Antes")
    log.append([before])
    successor.expand(engine, tmp_path)

    schema.migrate(engine)

    log.append([now := decided_entry("Agora")])
    assert [log.find(one.id).answer for one in (before, now)] == [before.answer, now.answer]
    with engine.connect() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert version == "9001"


def test_a_program_refuses_tables_that_are_marked_as_none_of_its_own(
    engine: Engine, tmp_path: Path
) -> None:
    successor.contract(engine, tmp_path)

    with pytest.raises(
        RecordUnavailableError, match="9002, of a newer program, readable from 9001"
    ):
        schema.migrate(engine)


def test_tables_of_a_newer_program_without_the_mark_are_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9001'"))
        connection.execute(text("DROP TABLE marks"))

    with pytest.raises(RecordUnavailableError, match="of a newer program"):
        schema.migrate(engine)
