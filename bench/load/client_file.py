"""A file of clients: an analyst's script, `portfolio score` with records and without, the page."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from threading import Event
from typing import NamedTuple

import httpx
from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from bench.load import open_loop
from bench.load.checks import WrongAnswerError
from bench.load.open_loop import OpenLoad
from bench.subjects import clients, processes
from bench.subjects.clients import Client
from bench.subjects.systems import System
from deploy.ports import HOST
from evaluation_api.record.database import begin_writing

_LOOK_SECONDS = 0.2
_GOING = {"conferindo", "em_andamento"}
_LONGEST_SECONDS = 600
_HEADER = "nome;saldo_devedor;compras;saques;limite_de_credito;pagamentos\n"
_PROJECT = Path(__file__).parents[2]

SCRIPT, SCORE, PAGE = "an analyst's script", "portfolio score", "page: upload, evaluate, download"
RECORD, SERVER = "portfolio score --record, SQLite", "portfolio score --record, PostgreSQL"

#: Somebody else writes so often to the record that a file is recorded in.
_SECONDS_BETWEEN_WRITES = 0.02
_LOOK = text("SELECT value FROM marks WHERE name = 'readable_by'")
_OTHERS_WRITE = text("UPDATE marks SET value = value WHERE name = 'readable_by'")
#: Those who ask for one client: so many a second, on so many connections at first.
_SINGLE_CALLERS = 200.0
_THEIR_CONNECTIONS = 16
_ALONE_SECONDS = 10.0
#: Who sends the file sits at another machine: here it is not to take the callers' cores, nor, in a
#: thread, the interpreter of who measures them.
_SENDERS_NICENESS = 10


@dataclass
class Way:
    """How long one way took in each round, and the most memory its process had, in MB.

    waits: how long others waited to write to the record meanwhile, in seconds each. row_bytes: what
    a client took of a record's file.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    waits: list[float] = field(default_factory=list)
    row_bytes: float = 0.0

    @property
    def median(self) -> float:
        """Return the middle round's seconds."""
        return statistics.median(self.seconds)


class Callers(NamedTuple):
    """Those who ask for one client, while nobody else asks and while the page's file is decided."""

    alone: OpenLoad
    beside: OpenLoad


def run(
    system: System, lines: int, rounds: int, folder: Path, server: str | None
) -> tuple[list[Way], Callers]:
    """Have one file of so many lines decided in each way, in turn. Raises WrongAnswerError.

    The script comes first in each round, so that a ratio is of neighbours. server: the URL of a
    PostgreSQL database to empty and record in, if there is any.
    """
    source = folder / "clients.csv"
    source.write_bytes(b"".join(_file(clients.make(), lines)))
    ways = [Way(SCRIPT), Way(SCORE), Way(RECORD), *([Way(SERVER)] if server else []), Way(PAGE)]
    with processes.started(system.programs, folder):
        for _ in range(rounds):
            _apart(ways[0], _script(source, folder), folder)
            _apart(ways[1], _score(source, folder), folder)
            record = folder / "recorded.db"
            _record(ways[2], source, folder, lines, _new_file(record))
            ways[2].row_bytes = record.stat().st_size / lines
            if server:
                _record(ways[3], source, folder, lines, _emptied(server))
            _through_the_page(ways[-1], system.ports[0], source, lines)
        return ways, _callers(system, source, lines, ways[-1].median)


def _callers(system: System, source: Path, lines: int, seconds: float) -> Callers:
    """Ask for one client at a time. seconds: for so long a file keeps the system busy at least."""
    port, asked = system.ports[0], open_loop.requests(system.language, clients.make())

    def ask(seconds: float) -> OpenLoad:
        return open_loop.offer(port, asked, _SINGLE_CALLERS, seconds, _THEIR_CONNECTIONS)

    alone = ask(_ALONE_SECONDS)
    with ProcessPoolExecutor(1, get_context("spawn"), os.nice, (_SENDERS_NICENESS,)) as process:
        process.submit(os.getpid).result()  # it takes half a second to start
        deciding = process.submit(_through_the_page, Way(PAGE), port, source, lines)
        beside = ask(seconds)
    deciding.result()
    return Callers(alone, beside)


def _script(source: Path, folder: Path) -> list[str]:
    database = folder / "script.db"
    database.unlink(missing_ok=True)
    script = _PROJECT / "bench/subjects/analyst.py"
    return [str(script), str(source), str(folder / "script.csv"), str(database)]


def _score(source: Path, folder: Path) -> list[str]:
    target = folder / "score.csv"
    target.unlink(missing_ok=True)
    return ["-m", "portfolio", "score", str(source), "-o", str(target)]


def _new_file(record: Path) -> str:
    for old in record.parent.glob(f"{record.name}*"):
        old.unlink()
    return f"sqlite:///{record}"


def _emptied(server: str) -> str:
    with _begun(server) as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    return server


def _record(way: Way, source: Path, folder: Path, lines: int, url: str) -> None:
    """Score into a record that is empty, and that somebody else writes to, too."""
    with _others(url, way.waits):
        settings = {"EVALUATION_DATABASE_URL": url}
        _apart(way, [*_score(source, folder), "--record"], folder, settings)
    with _begun(url) as connection:
        count = connection.scalar(text("SELECT count(*) FROM evaluations"))
    if count != lines:
        raise WrongAnswerError(f"{count} of {lines} lines recorded")


@contextmanager
def _begun(url: str) -> Iterator[Connection]:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        yield connection


@contextmanager
def _others(url: str, waits: list[float]) -> Iterator[None]:
    """Write a row now and then, as a single caller's service does, and note how long that takes."""
    is_over = Event()
    engine = create_engine(url, poolclass=NullPool)  # once: the script has nobody beside it

    def write() -> None:
        while not is_over.wait(_SECONDS_BETWEEN_WRITES):
            with suppress(SQLAlchemyError):  # its tables are not there yet
                waits.append(_write_once(engine))

    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write)
        try:
            yield
        finally:
            is_over.set()
    writing.result()


def _write_once(engine: Engine) -> float:
    with engine.connect() as connection:
        connection.execute(_LOOK).one()
        connection.rollback()
        begun = time.perf_counter()
        begin_writing(connection)  # as the service waits for a file
        connection.execute(_OTHERS_WRITE)
        connection.commit()
        return time.perf_counter() - begun


def _apart(
    way: Way, arguments: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None
) -> None:
    """Run Python in a process of its own, from its start to its end, on the system's store."""
    store = {"BENTOML_HOME": str(folder / "bentoml"), **(settings or {})}
    command, begun = [sys.executable, *arguments], time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        command, cwd=_PROJECT, env={**os.environ, **store}, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    way.seconds.append(time.perf_counter() - begun)
    way.peak_mb = max(way.peak_mb, used.ru_maxrss * 1024 / 1e6)
    if status:
        raise WrongAnswerError(f"{way.name} ended with {os.waitstatus_to_exitcode(status)}")


def _through_the_page(way: Way, port: int, source: Path, lines: int) -> None:
    """Do what the page does, with nobody waiting to press a button."""
    begun = time.perf_counter()
    with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=_LONGEST_SECONDS) as http:
        batch = _send(http, source)
        _evaluate(http, batch, lines)
        _download(http, batch)
    way.seconds.append(time.perf_counter() - begun)


def _send(http: httpx.Client, source: Path) -> str:
    csv = {"Content-Type": "text/csv"}
    asked = {"nome": "bench.csv", "repetidas": "todas"}  # each round sends the same clients
    answer = http.post("/lotes", params=asked, content=_chunks(source), headers=csv)
    return str(answer.raise_for_status().json()["id"])


def _chunks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while chunk := file.read(1 << 18):
            yield chunk


def _evaluate(http: httpx.Client, batch: str, lines: int) -> None:
    start = http.post(f"/lotes/{batch}/iniciar", headers={"Content-Type": "application/json"})
    start.raise_for_status()
    while (told := http.get(f"/lotes/{batch}").json())["situacao"] in _GOING:
        time.sleep(_LOOK_SECONDS)
    if told["decididas"] != lines:
        raise WrongAnswerError(f"{told['decididas']} of {lines} lines decided")


def _download(http: httpx.Client, batch: str) -> None:
    """Fetch and forget."""
    with http.stream("GET", f"/lotes/{batch}/resultado.csv") as answer:
        for _ in answer.raise_for_status().iter_raw():
            pass


def _file(made: Sequence[Client], lines: int) -> Iterator[bytes]:
    """Write so many clients, a piece at a time."""
    written = [_line(client) for client in made]
    yield _HEADER.encode()
    for start in range(0, lines, len(written)):
        yield "".join(written[: lines - start]).encode()


def _line(client: Client) -> str:
    name, *amounts = astuple(client)
    return ";".join([name, *(f"{amount:.2f}".replace(".", ",") for amount in amounts)]) + "\n"
