"""PostgreSQL servers for one run, where its programs are installed. The tests use it, too."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_USER = "evaluation"


class MissingError(Exception):
    """PostgreSQL is not installed: one sentence, with the way out."""


@dataclass(frozen=True)
class Server:
    """A server with a folder of its own.

    It listens on a socket only: no port to collide with, nothing to reach from outside.
    """

    folder: Path
    programs: Path
    settings: str

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of its database."""
        return f"postgresql+psycopg://{_USER}@/postgres?host={self.folder}"

    @property
    def cluster(self) -> Path:
        """Where its files are."""
        return self.folder / "cluster"

    def start(self) -> None:
        """Start it; return once it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}'"
        self.control("-l", self.folder / "log", "-o", f"{options} {self.settings}", "-w", "start")

    def stop(self) -> None:
        """Have it end at once, as a crash would."""
        self.control("-m", "immediate", "stop")

    def control(self, *arguments: str | Path) -> None:
        """Run pg_ctl."""
        _run(self.programs / "pg_ctl", "-D", self.cluster, *arguments)

    def run(self, statement: str) -> None:
        """Run one statement, by psql."""
        database = ("-h", self.folder, "-U", _USER, "postgres")
        _run(self.programs / "psql", "-qX", *database, "-c", statement)

    def suspend(self) -> None:
        """Stop its processes where they are."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume(self) -> None:
        """Let them go on."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):  # a connection's ends with it
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        first = psutil.Process(int((self.cluster / "postmaster.pid").read_text().split()[0]))
        return [first, *first.children()]


@contextmanager
def server(settings: str = "") -> Iterator[str]:
    """Yield the SQLAlchemy URL of an empty database on a server of its own: see primary."""
    with primary(settings) as running:
        yield running.url


@contextmanager
def primary(settings: str = "") -> Iterator[Server]:
    """Start a server with an empty database.

    It waits for the disk at each commit, as in production, unless settings (as PostgreSQL's command
    line takes them) say otherwise. Raises MissingError.
    """
    with _prepared(settings) as server:
        options = ("-U", _USER, "-A", "trust", "-E", "UTF8")
        _run(server.programs / "initdb", "-D", server.cluster, *options)
        with _started(server):
            yield server


@contextmanager
def standby(of: Server) -> Iterator[Server]:
    """Start a server that follows another, whose commits from then on wait for it."""
    with _prepared(of.settings) as server:
        source = ("-h", of.folder, "-U", _USER, "--checkpoint", "fast")
        _run(server.programs / "pg_basebackup", "-D", server.cluster, "-R", *source)
        with _started(server):
            of.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
            of.control("reload")
            yield server


@contextmanager
def _prepared(settings: str) -> Iterator[Server]:
    folder_of_programs = programs()
    if folder_of_programs is None:
        raise MissingError("PostgreSQL's server programs are needed: apt-get install postgresql.")
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        if account := owner():
            shutil.chown(name, account)
        yield Server(Path(name), folder_of_programs, settings)


@contextmanager
def _started(server: Server) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        if (server.cluster / "postmaster.pid").exists():
            server.resume()
            server.stop()


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
