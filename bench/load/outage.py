"""A service is killed under steady load; the record tells what became of every request.

Every caller has an Idempotency-Key and repeats it until it is answered, as an honest client would.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx

from bench.load import checks
from bench.load.open_loop import percentile
from bench.subjects import clients, systems
from bench.subjects.languages import EXPLAINED
from deploy import ports
from deploy.ports import HOST
from deploy.processes import Program, Running

REQUESTS_A_SECOND = 50
_GIVE_UP_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
_DECIDED = (
    "SELECT count(*) FROM idempotency_keys JOIN evaluations ON id = evaluation_id"
    " WHERE NOT pending AND answer IS NOT NULL"
)


@dataclass
class Outage:
    """What callers saw, and what was recorded. accepted_ms: durations of the 202 answers.

    decided: keys with a decision; recorded: evaluations of any kind. drain_seconds: from the
    model's return until nothing was pending.
    """

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    accepted_ms: list[float] = field(default_factory=list)
    drain_seconds: float = 0.0
    decided: int = 0
    recorded: int = 0

    @property
    def accepted_p99_ms(self) -> float:
        """How long all but one in a hundred of the 202 answers took at most."""
        return percentile(self.accepted_ms, 99)


@dataclass(frozen=True)
class Services:
    """Both services, either of which can be killed and started again on its port."""

    folder: Path
    stack: ExitStack
    model_port: int
    evaluation_port: int

    @property
    def record(self) -> Path:
        """The SQLite file of the record."""
        return self.folder / "evaluations.db"

    def start_model(self) -> Running:
        """Start the model service; return once it is ready."""
        return self._start(systems.model_program(self.folder, self.model_port))

    def start_evaluation(self) -> Running:
        """Start the evaluation service; return once it is ready."""
        port, model = self.evaluation_port, self.model_port
        return self._start(systems.evaluation_program(self.folder, port, model))

    def _start(self, program: Program) -> Running:
        running = self.stack.enter_context(Running(program, self.folder / "printed.txt"))
        return running.wait_until_ready()


Scenario = Callable[[Services, Outage, float], Coroutine[None, None, None]]


def run(scenario: Scenario, seconds: float, folder: Path) -> Outage:
    """Run one scenario on services and a record of its own. Raises NotReadyError."""
    outage = Outage()
    with ExitStack() as stack:
        services = Services(folder, stack, *ports.free(2))
        asyncio.run(scenario(services, outage, seconds))
    outage.decided = checks.count(services.record, _DECIDED)
    outage.recorded = checks.count(services.record)
    return outage


async def without_the_model(services: Services, outage: Outage, seconds: float) -> None:
    """Kill the model service in the load's second quarter, and start it again."""
    model = services.start_model()
    services.start_evaluation()
    loading = asyncio.create_task(_load(services, outage, seconds))
    await asyncio.sleep(seconds / 4)
    await asyncio.to_thread(model.kill)
    await asyncio.sleep(seconds / 4)
    await asyncio.to_thread(services.start_model)
    outage.drain_seconds = await _drained(services)
    await loading
    await _drained(services)


async def without_the_evaluation_service(
    services: Services, outage: Outage, seconds: float
) -> None:
    """Kill the evaluation service twice, and start it again each time."""
    services.start_model()
    evaluation = services.start_evaluation()
    loading = asyncio.create_task(_load(services, outage, seconds))
    for _ in range(2):
        await asyncio.sleep(seconds / 3)
        await asyncio.to_thread(evaluation.kill)
        evaluation = await asyncio.to_thread(services.start_evaluation)
    await loading
    await _drained(services)


async def _load(services: Services, outage: Outage, seconds: float) -> None:
    """Send requests at a steady rate, whatever becomes of them, and wait for all."""
    url = f"http://{HOST}:{services.evaluation_port}"
    bodies = cycle(EXPLAINED.encode([client]) for client in clients.make(500))
    async with httpx.AsyncClient(base_url=url, timeout=10) as http, asyncio.TaskGroup() as asking:
        started = time.monotonic()
        for number in range(int(seconds * REQUESTS_A_SECOND)):
            await asyncio.sleep(max(0.0, started + number / REQUESTS_A_SECOND - time.monotonic()))
            outage.sent += 1
            asking.create_task(_ask(http, f"key-{number}", next(bodies), outage))


async def _ask(http: httpx.AsyncClient, key: str, body: str, outage: Outage) -> None:
    """Ask with one key until there is an answer to keep."""
    headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        started = time.perf_counter()
        try:
            status = (await http.post("/avaliar", content=body, headers=headers)).status_code
        except httpx.HTTPError as exc:
            outage.statuses[type(exc).__name__] += 1
        else:
            outage.statuses[str(status)] += 1
            if status == httpx.codes.ACCEPTED:
                outage.accepted_ms.append(1000 * (time.perf_counter() - started))
            if status in {httpx.codes.OK, httpx.codes.ACCEPTED}:
                return
        await asyncio.sleep(_PAUSE_SECONDS)


async def _drained(services: Services) -> float:
    """Wait until nothing is pending; return the seconds that took."""
    started = time.monotonic()
    while checks.count(services.record, "SELECT count(*) FROM evaluations WHERE pending"):
        if time.monotonic() - started > _GIVE_UP_SECONDS:
            break
        await asyncio.sleep(_PAUSE_SECONDS / 5)
    return time.monotonic() - started
