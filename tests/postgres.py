"""A real PostgreSQL server for tests marked `postgres`: one cluster a session, then thrown away."""

import itertools
from collections.abc import Iterator
from typing import Final

import pytest
from sqlalchemy import NullPool, create_engine, text

from bench.subjects import postgres

_NUMBERS: Final = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a server for the session and yield the SQLAlchemy URL of its empty database.

    It need not survive a power cut, so it does not wait for the disk.
    """
    with postgres.server("-c fsync=off") as url:
        yield url


@pytest.fixture
def fresh_database(postgres_url: str) -> Iterator[str]:
    """Make a database on the session's server and yield its URL."""
    name = f"fresh_{next(_NUMBERS)}"
    server = create_engine(postgres_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_url.replace("/postgres?", f"/{name}?")
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
