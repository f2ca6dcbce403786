"""Records as databases: SQLite files and PostgreSQL databases, empty or copied from one another."""

import sqlite3
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, inspect, text
from sqlalchemy.engine import URL, make_url

#: What names an evaluation or a file by its id, which begins with the time.
_IDS = [
    ("evaluations", "id"),
    ("idempotency_keys", "evaluation_id"),
    ("reviews", "evaluation_id"),
    ("batches", "id"),
    ("batch_chunks", "batch_id"),
]
_UNCHECKED = {
    "sqlite": "PRAGMA foreign_keys=OFF",
    "postgresql": "SET session_replication_role=replica",
}


def new_database(server: str | None, folder: Path) -> str:
    """Make an empty database and return its URL: a file in a folder, or on a PostgreSQL server."""
    if server is None:
        return f"sqlite:///{folder / 'evaluations.db'}"
    return _created(make_url(server), "template0")


def copied(url: str, folder: Path) -> str:
    """Copy a database that nobody has open, and return the URL of the copy."""
    source = make_url(url)
    assert source.database
    if source.get_backend_name() == "postgresql":
        return _created(source, source.database)
    with sqlite3.connect(source.database) as one, sqlite3.connect(folder / "copy.db") as other:
        one.backup(other)
    return f"sqlite:///{folder / 'copy.db'}"


def _created(server: URL, template: str) -> str:
    name = f"record_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


def asked(url: str, query: str) -> list[Any]:
    """Ask a database directly."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return list(connection.execute(text(query)))


def told(url: str, *statements: str) -> None:
    """Change a database directly, in one transaction and whatever its foreign keys say."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in (_UNCHECKED[engine.dialect.name], *statements):
            connection.execute(text(statement))


def columns(url: str) -> set[tuple[str, str]]:
    """Return every column of a database, by its table."""
    tables = inspect(create_engine(url, poolclass=NullPool))
    return {
        (table, column["name"])
        for table in tables.get_table_names()
        for column in tables.get_columns(table)
    }


def make_old(url: str) -> None:
    """Move what was received to 1970, by the ids, which begin with the milliseconds since then."""
    told(
        url,
        *(
            f"UPDATE {table} SET {column} = '00000000-0001' || substr({column}, 14)"  # noqa: S608
            for table, column in _IDS
        ),
    )
