"""A CSV file of clients through the system, beside a loop over /avaliar."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from bench.load import wrk
from bench.load.checks import WrongAnswerError
from bench.subjects import clients, processes
from bench.subjects.clients import Client
from bench.subjects.systems import System
from deploy.ports import HOST
from deploy.processes import Running

T = TypeVar("T")

_LOOP_SECONDS = 3
_LOOK_SECONDS = 0.2
_HEADER = "nome;saldo_devedor;compras;saques;limite_de_credito;pagamentos\n"


@dataclass(frozen=True)
class FileRun:
    """Steps (what, lines, seconds), and the evaluation service's peak memory, before and after."""

    loop_per_second: float
    steps: Sequence[tuple[str, int, float]]
    peak_mb_before: float
    peak_mb: float


def run(system: System, lines: int, folder: Path) -> FileRun:
    """Start the system, and have a file of so many lines evaluated. Raises WrongAnswerError."""
    made = clients.make()
    bodies = system.language.write_bodies(folder / "bodies.txt", made)
    url = f"http://{HOST}:{system.ports[0]}"
    with (
        processes.started(system.programs, folder) as running,
        httpx.Client(base_url=url, timeout=600) as http,
    ):
        loop = wrk.drive(system, bodies, 1, _LOOP_SECONDS)
        before = _peak_memory_mb(running)
        batch, upload = _timed(lambda: _send(http, made, lines))
        _, work = _timed(lambda: _evaluated(http, batch, lines))
        size, result = _timed(lambda: _downloaded(http, batch))
        steps = [
            ("loop over /avaliar", loop.answers, loop.seconds),
            ("upload", lines, upload),
            ("evaluate and record", lines, work),
            (f"result, {size / 1e6:.0f} MB", lines, result),
            ("all of it", lines, upload + work + result),
        ]
        return FileRun(loop.requests_per_second, steps, before, _peak_memory_mb(running))


def _timed(step: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    return step(), time.perf_counter() - begun


def _send(http: httpx.Client, made: Sequence[Client], lines: int) -> str:
    csv = {"Content-Type": "text/csv"}
    answer = http.post(
        "/lotes", params={"nome": "bench.csv"}, content=_file(made, lines), headers=csv
    )
    return str(answer.raise_for_status().json()["id"])


def _file(made: Sequence[Client], lines: int) -> Iterator[bytes]:
    """Write so many clients, a piece at a time."""
    written = [_line(client) for client in made]
    yield _HEADER.encode()
    for start in range(0, lines, len(written)):
        yield "".join(written[: lines - start]).encode()


def _line(client: Client) -> str:
    name, *amounts = astuple(client)
    return ";".join([name, *(f"{amount:.2f}".replace(".", ",") for amount in amounts)]) + "\n"


def _evaluated(http: httpx.Client, batch: str, lines: int) -> None:
    http.post(f"/lotes/{batch}/iniciar").raise_for_status()
    while (told := http.get(f"/lotes/{batch}").json())["situacao"] == "em_andamento":
        time.sleep(_LOOK_SECONDS)
    if told["decididas"] != lines:
        message = f"{told['decididas']} of {lines} lines decided"
        raise WrongAnswerError(message)


def _downloaded(http: httpx.Client, batch: str) -> int:
    """Fetch and forget; return the bytes."""
    with http.stream("GET", f"/lotes/{batch}/resultado.csv") as answer:
        return sum(map(len, answer.raise_for_status().iter_raw()))


def _peak_memory_mb(programs: Sequence[Running]) -> float:
    """Return the peak resident memory of the evaluation service, as Linux keeps it."""
    for process in (one for running in programs for one in running.processes()):
        with suppress(psutil.Error):
            if process.cmdline()[-1:] == ["evaluation_api"]:
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
                return int(line.split()[1]) * 1024 / 1e6
    raise WrongAnswerError("no evaluation service runs")
