"""A PostgreSQL server for one experiment, where Debian's programs are installed; else SQLite."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SQLITE = "sqlite:///{folder}/evaluations.db"
_USER = "evaluation"


@contextmanager
def server() -> Iterator[str]:
    """Yield a database URL; `{folder}` in it stands for the folder of one system.

    The server waits for the disk at each commit, as in production, and listens on a socket only.
    """
    programs = _programs()
    if programs is None:
        yield SQLITE
        return
    with tempfile.TemporaryDirectory(prefix="bench-postgres-") as name:
        folder = Path(name)
        if owner := _owner():
            shutil.chown(folder, owner)
        cluster, log = folder / "cluster", folder / "log"
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}'"
        _run(programs / "initdb", "-D", cluster, "-U", _USER, "-A", "trust", "-E", "UTF8")
        _run(programs / "pg_ctl", "-D", cluster, "-l", log, "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg://{_USER}@/postgres?host={folder}"
        finally:
            _run(programs / "pg_ctl", "-D", cluster, "-m", "immediate", "stop")


def _programs() -> Path | None:
    """Find the folder that holds initdb: Debian's newest, else the one on PATH."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = packaged[-1] if packaged else shutil.which("initdb")
    return Path(found).parent if found else None


def _owner() -> str | None:
    """Name who may run the server: initdb refuses root."""
    return "postgres" if os.geteuid() == 0 else None


def _run(*command: str | Path) -> None:
    subprocess.run(  # noqa: S603 - PostgreSQL's own programs
        command, check=True, user=_owner(), cwd="/", stdout=subprocess.DEVNULL, timeout=60
    )
