"""A PostgreSQL server for one run, where its programs are installed. The tests use it, too."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_USER = "evaluation"


class MissingError(Exception):
    """PostgreSQL is not installed: one sentence, with the way out."""


@contextmanager
def server(settings: str = "") -> Iterator[str]:
    """Yield the SQLAlchemy URL of an empty database on a server of its own.

    The server listens on a socket only: no port to collide with, nothing to reach from outside. It
    waits for the disk at each commit, as in production, unless settings (as PostgreSQL's command
    line takes them) say otherwise. Raises MissingError.
    """
    folder_of_programs = programs()
    if folder_of_programs is None:
        raise MissingError("PostgreSQL's server programs are needed: apt-get install postgresql.")
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        if account := owner():
            shutil.chown(folder, account)
        cluster, log = folder / "cluster", folder / "log"
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' {settings}"
        _run(folder_of_programs / "initdb", "-D", cluster, "-U", _USER, "-A", "trust", "-E", "UTF8")
        _run(folder_of_programs / "pg_ctl", "-D", cluster, "-l", log, "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg://{_USER}@/postgres?host={folder}"
        finally:
            _run(folder_of_programs / "pg_ctl", "-D", cluster, "-m", "immediate", "stop")


def programs() -> Path | None:
    """Find the folder that holds initdb: Debian's newest, else the one that pg_config names."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major_version, reverse=True)
    if pg_config := shutil.which("pg_config"):
        asked = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True)  # noqa: S603 - a fixed command
        candidates.append(Path(asked.stdout.strip()))
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


def _major_version(folder: Path) -> int:
    """Read 15 from /usr/lib/postgresql/15/bin."""
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def owner() -> str | None:
    """Name who may run the server: initdb refuses root, whose server uses Debian's account."""
    return "postgres" if os.geteuid() == 0 else None


def _run(*command: str | Path) -> None:
    """Run one of the server's programs; its complaints are seen where ours are."""
    subprocess.run(  # noqa: S603 - PostgreSQL's own programs
        command, check=True, user=owner(), cwd="/", stdout=subprocess.DEVNULL, timeout=60
    )
