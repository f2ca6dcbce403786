"""A real PostgreSQL server for tests marked `postgres`: one cluster a session, then thrown away."""

from collections.abc import Iterator

import pytest

from bench.subjects import postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a server for the session and yield the SQLAlchemy URL of its empty database.

    It need not survive a power cut, so it does not wait for the disk.
    """
    with postgres.server("-c fsync=off") as url:
        yield url
