"""Kills a service under steady load and counts, in the database, what became of every request.

Every caller has an Idempotency-Key and repeats it until it is answered, as an honest client would.
Exit code 1 when a request was lost or decided twice, or a promise of time was not kept.
"""

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx

from bench.load.quantiles import percentile
from bench.subjects import clients
from bench.subjects.processes import Processes
from deploy import ports
from deploy.ports import HOST
from deploy.processes import Program
from evaluation_api.model.transport import KeptAliveTransport
from model_store import registry

REQUESTS_A_SECOND = 50
LARGEST_P99_MS = 200.0
LONGEST_DRAIN_SECONDS = 5.0

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.1


@dataclass
class Calls:
    """What callers saw. accepted_ms: durations of the 202 answers; attempts of every kind."""

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    accepted_ms: list[float] = field(default_factory=list)


@dataclass
class House:
    """Both services, either of which can be killed and started again on its port."""

    folder: Path
    stack: ExitStack
    model_port: int
    evaluation_port: int

    @property
    def database(self) -> Path:
        """The SQLite file of the record."""
        return self.folder / "evaluations.db"

    def start_model(self) -> Processes:
        """Start the model service; return once it is ready."""
        serve = ["-m", "bentoml", "serve", "--host", HOST, "--port", str(self.model_port)]
        return self._start(Program([sys.executable, *serve], [(self.model_port, "/readyz")]))

    def start_evaluation(self) -> Processes:
        """Start the evaluation service; return once it is ready."""
        environment = {
            "EVALUATION_PORT": str(self.evaluation_port),
            "EVALUATION_MODEL_URL": f"http://{HOST}:{self.model_port}",
            "EVALUATION_DATABASE_URL": f"sqlite:///{self.database}",
        }
        command = [sys.executable, "-m", "evaluation_api"]
        ready = [(self.evaluation_port, "/health/live")]
        return self._start(Program(command, ready, environment))

    def _start(self, program: Program) -> Processes:
        return self.stack.enter_context(Processes([program], self.folder))


async def load(house: House, seconds: float, calls: Calls) -> None:
    """Send requests at a steady rate, whatever becomes of them, and wait for all."""
    url = f"http://{HOST}:{house.evaluation_port}"
    bodies = cycle(clients.avaliar_body(client) for client in clients.make(500))
    transport = KeptAliveTransport()
    async with httpx.AsyncClient(base_url=url, transport=transport, timeout=10) as http:
        started = time.monotonic()
        asking = []
        for number in range(int(seconds * REQUESTS_A_SECOND)):
            await asyncio.sleep(max(0.0, started + number / REQUESTS_A_SECOND - time.monotonic()))
            calls.sent += 1
            asking.append(asyncio.create_task(ask(http, f"key-{number}", next(bodies), calls)))
        await asyncio.gather(*asking)


async def ask(http: httpx.AsyncClient, key: str, body: str, calls: Calls) -> None:
    """Ask with one key until there is an answer to keep."""
    headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        started = time.perf_counter()
        try:
            status = (await http.post("/avaliar", content=body, headers=headers)).status_code
        except httpx.HTTPError as exc:
            calls.statuses[type(exc).__name__] += 1
        else:
            calls.statuses[str(status)] += 1
            if status == httpx.codes.ACCEPTED:
                calls.accepted_ms.append(1000 * (time.perf_counter() - started))
            if status in {httpx.codes.OK, httpx.codes.ACCEPTED}:
                return
        await asyncio.sleep(_PAUSE_SECONDS)


def count(database: Path, query: str) -> int:
    """Ask the record for one number."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query).fetchone()[0])


async def drained(house: House) -> float:
    """Wait until nothing is pending; return the seconds that took."""
    started = time.monotonic()
    while count(house.database, "SELECT count(*) FROM evaluations WHERE pending"):
        if time.monotonic() - started > _PATIENCE_SECONDS:
            break
        await asyncio.sleep(_PAUSE_SECONDS / 5)
    return time.monotonic() - started


async def without_the_model(house: House, seconds: float) -> bool:
    """Kill the model service in the load's second quarter, and start it again."""
    model = house.start_model()
    house.start_evaluation()
    calls = Calls()
    loading = asyncio.create_task(load(house, seconds, calls))
    await asyncio.sleep(seconds / 4)
    await asyncio.to_thread(model.kill)
    await asyncio.sleep(seconds / 4)
    await asyncio.to_thread(house.start_model)
    drain_seconds = await drained(house)
    await loading
    await drained(house)
    p99 = percentile(calls.accepted_ms, 99)
    is_kept = p99 < LARGEST_P99_MS and drain_seconds < LONGEST_DRAIN_SECONDS
    print(f"  p99 of the 202 answers       {p99:8.1f} ms")
    print(f"  all decided after its return {drain_seconds:8.1f} s")
    return report(house, calls) and is_kept


async def without_the_evaluation_service(house: House, seconds: float) -> bool:
    """Kill the evaluation service twice, and start it again each time."""
    house.start_model()
    evaluation = house.start_evaluation()
    calls = Calls()
    loading = asyncio.create_task(load(house, seconds, calls))
    for _ in range(2):
        await asyncio.sleep(seconds / 3)
        await asyncio.to_thread(evaluation.kill)
        evaluation = await asyncio.to_thread(house.start_evaluation)
    await loading
    await drained(house)
    return report(house, calls)


def report(house: House, calls: Calls) -> bool:
    """Print the counts; tell whether every request has exactly one decision."""
    decided = count(
        house.database,
        "SELECT count(*) FROM idempotency_keys JOIN evaluations ON id = evaluation_id"
        " WHERE NOT pending AND answer IS NOT NULL",
    )
    every = count(house.database, "SELECT count(*) FROM evaluations")
    print(f"  requests                     {calls.sent:8}")
    for status, times in sorted(calls.statuses.items()):
        print(f"    answered {status:<20}{times:8}")
    print(f"  with a decision              {decided:8}")
    print(f"  lost                         {calls.sent - decided:8}")
    print(f"  decided more than once       {every - decided:8}")
    return calls.sent == decided == every


async def run(
    title: str, scenario: Callable[[House, float], Awaitable[bool]], seconds: float
) -> bool:
    """Run one scenario on services and a database of its own."""
    print(f"{title}: {REQUESTS_A_SECOND} requests/s for {seconds:.0f} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="outage-") as name, ExitStack() as stack:
        model_port, evaluation_port = ports.free(2)
        house = House(Path(name), stack, model_port, evaluation_port)
        return await scenario(house, seconds)


async def run_both(seconds: float) -> int:
    """Run both scenarios; return 1 unless every promise was kept."""
    kept = [
        await run("Model service killed", without_the_model, seconds),
        await run("Evaluation service killed twice", without_the_evaluation_service, seconds),
    ]
    print("every promise kept" if all(kept) else "NOT every promise was kept")
    return 0 if all(kept) else 1


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser("python -m bench.outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load, for each part")
    registry.import_pickle()
    return asyncio.run(run_both(parser.parse_args().seconds))


if __name__ == "__main__":
    sys.exit(main())
