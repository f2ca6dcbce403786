"""A real PostgreSQL server for tests marked `postgres`: one cluster a session, then thrown away."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tiers

SUPERUSER = "evaluation"
# Only a socket in a folder of its own: no port to collide with, nothing to reach from outside.
# A test cluster need not survive a power cut, so it does not wait for the disk.
SERVER_OPTIONS = "-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a server for the session and yield the SQLAlchemy URL of its empty database."""
    programs = tiers.postgres_programs()
    assert programs is not None, "a test that asks for PostgreSQL must be marked `postgres`"
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        start_cluster(programs, folder)
        try:
            yield f"postgresql+psycopg://{SUPERUSER}@/postgres?host={folder}"
        finally:
            run_as_owner(programs / "pg_ctl", "-D", folder / "cluster", "-m", "immediate", "stop")


def start_cluster(programs: Path, folder: Path) -> None:
    """Make a cluster that trusts its socket, and wait until it accepts connections."""
    if user := owner():
        shutil.chown(folder, user)
    cluster, log = folder / "cluster", folder / "log"
    run_as_owner(programs / "initdb", "-D", cluster, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8")
    options = SERVER_OPTIONS.format(folder=folder)
    run_as_owner(programs / "pg_ctl", "-D", cluster, "-l", log, "-o", options, "-w", "start")


def run_as_owner(*command: str | Path) -> None:
    """Run a server program; its output is shown by the error when it fails."""
    subprocess.run(
        command, check=True, user=owner(), cwd="/", stdout=subprocess.DEVNULL, timeout=60
    )


def owner() -> str | None:
    """Name who may run the server: initdb refuses root, whose tests use Debian's account."""
    return "postgres" if os.geteuid() == 0 else None
