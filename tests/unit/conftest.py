"""A database of each kind, its tables up to date."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from evaluation_api.record import database, schema
from evaluation_api.record.evaluations import EvaluationLog


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'evaluations.db'}"
    server: str = request.getfixturevalue("postgres_url")
    engine = database.connect(server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a SQLite file with its tables once, for tests to copy: its steps wait for the disk."""
    file = tmp_path_factory.mktemp("migrated") / "evaluations.db"
    engine = database.connect(f"sqlite:///{file}")
    schema.migrate(engine)
    engine.dispose()
    return file


@pytest.fixture
def engine(url: str, migrated: Path) -> Iterator[Engine]:
    if url.startswith("sqlite"):
        shutil.copy(migrated, url.removeprefix("sqlite:///"))
    engine = database.connect(url)
    schema.migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def log(engine: Engine) -> EvaluationLog:
    return EvaluationLog(engine)
