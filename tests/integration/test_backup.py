"""The record written to a file, and read back, by make and PostgreSQL's own programs."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from bench.subjects import postgres
from evaluation_api.record import database, schema
from evaluation_api.record.evaluations import EvaluationLog
from tests.evaluations import decided_entry
from tests.services import PROJECT

pytestmark = pytest.mark.postgres

#: What `docker compose exec -T db` does in the stack, beside the tests' server: run the rest there.
DOCKER = """#!/bin/sh
while [ "$1" != exec ] && [ "$1" != up ]; do shift; done
[ "$1" = up ] && exit 0
shift 3
exec "$@"
"""


class Stack:
    """A database as the stack has it, and the operator's commands."""

    def __init__(self, server_url: str, folder: Path) -> None:
        self._server_url = server_url
        self._url = server_url.replace("/postgres?", "/evaluation?")
        self.folder = folder
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        programs = postgres.programs()
        path = f"{folder}:{programs}:{os.environ['PATH']}"
        host = server_url.partition("host=")[2]
        self._environment = {**os.environ, "PATH": path, "PGHOST": host}

    def empty(self) -> None:
        """Throw the database away, and make another."""
        self.remove()
        self._on_server("CREATE DATABASE evaluation")

    def remove(self) -> None:
        self._on_server("DROP DATABASE IF EXISTS evaluation WITH (FORCE)")

    def _on_server(self, statement: str) -> None:
        engine = create_engine(self._server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))

    def fill(self) -> None:
        engine = database.connect(self._url)
        schema.migrate(engine)
        EvaluationLog(engine).append([decided_entry() for _ in range(1000)])
        engine.dispose()

    def ask(self, query: str) -> list[str]:
        engine = create_engine(self._url, poolclass=NullPool)
        with engine.connect() as connection:
            return [str(value) for value in connection.execute(text(query)).scalars()]

    def run(self, statement: str) -> None:
        engine = create_engine(self._url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(statement))

    def make(self, target: str, file: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["make", target, f"FILE={file}"],  # noqa: S607 - from PATH, as an operator does
            cwd=PROJECT,
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def stack(postgres_url: str, tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(postgres_url, tmp_path)
    stack.empty()
    yield stack
    stack.remove()


ROWS = "SELECT id || answer || modelo FROM evaluations JOIN decisoes ON avaliacao = id ORDER BY id"
MARKS = "SELECT name || value FROM marks ORDER BY name"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


def test_what_was_backed_up_is_restored(stack: Stack) -> None:
    file = stack.folder / "record.dump"
    stack.fill()
    before, marks = stack.ask(ROWS), stack.ask(MARKS)

    assert stack.make("backup", file).returncode == 0
    stack.empty()
    assert stack.make("restore", file).returncode == 0

    assert len(before) == 1000
    assert stack.ask(ROWS) == before
    assert stack.ask(MARKS) == marks
    assert file.stat().st_mode & 0o077 == 0


def test_a_backup_that_was_cut_off_changes_nothing_and_the_whole_one_is_restored_after_it(
    stack: Stack,
) -> None:
    whole, cut = stack.folder / "record.dump", stack.folder / "cut.dump"
    stack.fill()
    stack.make("backup", whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 9 // 10])
    stack.empty()

    refused = stack.make("restore", cut)

    assert refused.returncode == 2
    assert "is no whole backup; nothing was changed." in refused.stderr
    assert stack.ask(TABLES) == []
    assert stack.make("restore", whole).returncode == 0
    assert len(stack.ask(ROWS)) == 1000


def test_a_database_that_is_not_empty_is_not_restored_into(stack: Stack) -> None:
    file = stack.folder / "record.dump"
    stack.fill()
    stack.make("backup", file)

    refused = stack.make("restore", file)

    assert refused.returncode == 2
    assert "The database is not empty; nothing was changed" in refused.stderr
    assert len(stack.ask(ROWS)) == 1000


def test_a_restore_that_is_broken_off_says_so_and_leaves_the_database_empty(stack: Stack) -> None:
    file = stack.folder / "record.dump"
    stack.fill()
    stack.make("backup", file)
    stack.empty()
    stack.run("CREATE FUNCTION renew_searched() RETURNS int LANGUAGE sql AS 'SELECT 1'")

    broken = stack.make("restore", file)

    assert broken.returncode == 2
    assert "The restore was broken off, and the database is empty as before" in broken.stderr
    assert stack.ask(TABLES) == []


def test_a_backup_that_fails_leaves_the_one_before_and_nothing_else(stack: Stack) -> None:
    file = stack.folder / "record.dump"
    file.write_text("the one before")
    stack.remove()

    assert stack.make("backup", file).returncode != 0

    assert file.read_text() == "the one before"
    assert [path.name for path in stack.folder.glob("record*")] == ["record.dump"]
