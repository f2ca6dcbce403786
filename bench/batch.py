"""`python -m bench.batch [LINES]`: a CSV file through the system, beside a loop over /avaliar.

Prints lines a second from upload to result, and the evaluation service's peak memory.
"""

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from http import HTTPStatus
from pathlib import Path

import psutil

from bench.report.tables import table
from bench.subjects import clients, systems
from bench.subjects.clients import Client, avaliar_body
from bench.subjects.processes import Processes
from deploy.ports import HOST
from deploy.processes import NotReadyError

_LOOP_REQUESTS = 2000
_LOOK_SECONDS = 0.2
_HEADER = "nome;saldo_devedor;compras;saques;limite_de_credito;pagamentos\n"


class BatchFailedError(Exception):
    """The system did not do what is measured."""


def main() -> int:
    """Measure; return 1 when there is nothing to print."""
    parser = argparse.ArgumentParser(prog="python -m bench.batch", description=__doc__)
    parser.add_argument("lines", nargs="?", type=int, default=200_000, help="(%(default)s)")
    lines: int = parser.parse_args().lines
    try:
        with tempfile.TemporaryDirectory(prefix="bench-batch-") as name:
            folder = Path(name)
            system = systems.this_system(folder)
            with Processes(system.programs, folder):
                print(table(_measured(system.ports[0], lines)))
    except (BatchFailedError, NotReadyError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _measured(port: int, lines: int) -> list[list[str]]:
    made = clients.make()
    loop = _loop(port, made)
    before = _peak_memory_mb(port)
    sent = time.perf_counter()
    batch = str(_ask(port, "POST", "/lotes?nome=bench.csv", _file(made, lines))["id"])
    started = time.perf_counter()
    _ask(port, "POST", f"/lotes/{batch}/iniciar")
    _await_end(port, batch, lines)
    ended = time.perf_counter()
    size = _download(port, f"/lotes/{batch}/resultado.csv")
    fetched = time.perf_counter()
    return [
        ["what", "lines", "seconds", "lines/s", "x loop"],
        _row("loop over /avaliar", _LOOP_REQUESTS, _LOOP_REQUESTS / loop, loop),
        _row("upload", lines, started - sent, loop),
        _row("evaluate and record", lines, ended - started, loop),
        _row(f"result, {size / 1e6:.0f} MB", lines, fetched - ended, loop),
        _row("all of it", lines, fetched - sent, loop),
        [f"peak memory {_peak_memory_mb(port):.0f} MB", "", "", "", f"{before:.0f} MB before"],
    ]


def _row(what: str, lines: int, seconds: float, loop: float) -> list[str]:
    rate = lines / seconds
    return [what, f"{lines:,}", f"{seconds:.1f}", f"{rate:,.0f}", f"{rate / loop:.1f}"]


def _loop(port: int, made: Sequence[Client]) -> float:
    """Ask for one client after the other over one connection; return requests a second."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    begun = time.perf_counter()
    for client in made[:_LOOP_REQUESTS]:
        connection.request("POST", "/avaliar", avaliar_body(client))
        answer = connection.getresponse()
        answer.read()
        if answer.status != HTTPStatus.OK:
            raise BatchFailedError(f"/avaliar answered {answer.status}")
    return _LOOP_REQUESTS / (time.perf_counter() - begun)


def _file(made: Sequence[Client], lines: int) -> Iterator[bytes]:
    """Write so many clients, a piece at a time."""
    rows = [_line(client) for client in made]
    yield _HEADER.encode()
    for start in range(0, lines, len(rows)):
        yield "".join(rows[: lines - start]).encode()


def _line(client: Client) -> str:
    name, *amounts = astuple(client)
    return ";".join([name, *(f"{amount:.2f}".replace(".", ",") for amount in amounts)]) + "\n"


def _await_end(port: int, batch: str, lines: int) -> None:
    while (told := _ask(port, "GET", f"/lotes/{batch}"))["situacao"] == "em_andamento":
        time.sleep(_LOOK_SECONDS)
    if told["decididas"] != lines:
        raise BatchFailedError(f"{told['decididas']} of {lines} lines decided")


def _ask(
    port: int, method: str, path: str, body: Iterator[bytes] | None = None
) -> dict[str, object]:
    connection = http.client.HTTPConnection(HOST, port, timeout=600)
    connection.request(method, path, body, {"Content-Type": "text/csv"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise BatchFailedError(f"{method} {path} answered {answer.status}: {content.decode()}")
    told: dict[str, object] = json.loads(content)
    return told


def _download(port: int, path: str) -> int:
    """Fetch and forget; return the bytes."""
    connection = http.client.HTTPConnection(HOST, port, timeout=600)
    connection.request("GET", path)
    answer, size = connection.getresponse(), 0
    while part := answer.read(1 << 20):
        size += len(part)
    return size


def _peak_memory_mb(port: int) -> float:
    """Return the peak resident memory of whoever listens on a port, as Linux keeps it."""
    for connection in psutil.net_connections("tcp4"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr == (HOST, port):
            status = Path(f"/proc/{connection.pid}/status").read_text()
            (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
            return int(line.split()[1]) * 1024 / 1e6
    raise BatchFailedError(f"nobody listens on {port}")


if __name__ == "__main__":
    sys.exit(main())
