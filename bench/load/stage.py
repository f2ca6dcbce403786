"""Services under steady load while something fails, what their callers saw, and what is recorded.

Every caller has an Idempotency-Key and repeats it until it is answered, as an honest client would.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import httpx

from bench.load import checks
from bench.load.checks import Held
from bench.load.open_loop import percentile
from bench.subjects import clients, systems
from bench.subjects.languages import EXPLAINED
from deploy import ports
from deploy.ports import HOST
from deploy.processes import Program, Running
from evaluation_api.model.transport import KeptAliveTransport

T = TypeVar("T")

REQUESTS_A_SECOND = 50
_CALM_SECONDS = 2.0
_GIVE_UP_SECONDS = 30.0
_TIMEOUT_SECONDS = 10.0
_HEADERS = {"Content-Type": "application/json", "Prefer": "respond-async"}
#: Shorter than Retry-After asks for, so that the end of a fault is seen; and not so short that the
#: callers who wait are a load of their own.
_PAUSE_SECONDS = 1.0


@dataclass
class Seen:
    """What callers saw: how often which status or error, and how long that took at most, in ms.

    answers: by key, what was given for good (200). back_seconds: from the fault's end to an answer
    to a request that was sent after it. accepted_ms: durations of the 202 answers.
    """

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    slowest_ms: dict[str, float] = field(default_factory=dict)
    accepted_ms: list[float] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    contradicted: int = 0
    back_seconds: float | None = None

    @property
    def accepted_p99_ms(self) -> float:
        """How long all but one in a hundred of the 202 answers took at most."""
        return percentile(self.accepted_ms, 99)

    def note(self, what: str, milliseconds: float) -> None:
        """Count what one request came to."""
        self.statuses[what] += 1
        self.slowest_ms[what] = max(self.slowest_ms.get(what, 0.0), milliseconds)
        if what == "202":
            self.accepted_ms.append(milliseconds)

    def keep(self, key: str, answer: str) -> None:
        """Keep an answer; another one than before for its key contradicts it."""
        self.contradicted += self.answers.setdefault(key, answer) != answer


@dataclass
class Stage:
    """Where one fault happens, for so many seconds.

    record_url: how the record is reached by whoever counts, whatever fails on the services' way.
    """

    folder: Path
    stack: ExitStack
    seconds: float
    model_port: int
    seen: Seen = field(default_factory=Seen)
    record_url: str = ""
    #: Whether each request goes to all evaluation services at once, and not to one in turn.
    is_racing: bool = False
    _programs: list[Program] = field(default_factory=list)
    _healed_at: float | None = None

    def enter(self, part: AbstractContextManager[T]) -> T:
        """Have a part for as long as the stage lasts."""
        return self.stack.enter_context(part)

    def start_model(self) -> Running:
        """Start the model service; return once it is ready."""
        return self.start(systems.model_program(self.folder, self.model_port))

    def serve(
        self,
        record_url: str,
        count: int = 1,
        *,
        way: str = "",
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Running]:
        """Start evaluation services on a record, by way of another URL; return once ready."""
        self.record_url = record_url
        started = []
        for port in ports.free(count):
            program = systems.evaluation_program(
                self.folder, port, self.model_port, way or record_url
            )
            own = replace(program, environment={**program.environment, **environment})
            self._programs.append(own)
            started.append(self.start(own))
        return started

    def start(self, program: Program) -> Running:
        """Start a program; return once it is ready."""
        return self.enter(Running(program, self.folder / "printed.txt")).wait_until_ready()

    def start_again(self) -> Running:
        """Start the first evaluation service again."""
        return self.start(self._programs[0])

    async def last(self, seconds: float | None = None) -> None:
        """Let the fault last."""
        await asyncio.sleep(self.seconds if seconds is None else seconds)

    @asynccontextmanager
    async def loaded(self) -> AsyncIterator[None]:
        """Run a block, which is the fault, under load from a while before it to a while after."""
        is_over = asyncio.Event()
        load = asyncio.create_task(self._load(is_over))
        await asyncio.sleep(min(_CALM_SECONDS, self.seconds))
        yield
        self._healed_at = time.monotonic()
        await asyncio.sleep(min(_CALM_SECONDS, self.seconds))
        is_over.set()
        await load

    async def _load(self, is_over: asyncio.Event) -> None:
        """Send requests at a steady rate, whatever becomes of them, and wait for all."""
        bodies = cycle(EXPLAINED.encode([client]) for client in clients.make(500))
        urls = [f"http://{HOST}:{port}" for program in self._programs for port, _ in program.ready]
        turns = cycle([urls] if self.is_racing else [[url] for url in urls])
        # httpx's own pool lends 100 connections, and is late by seconds where hundreds wait.
        # Its own half a second to connect is over where a busy machine keeps these callers waiting.
        transport = KeptAliveTransport(
            connect_timeout_seconds=_TIMEOUT_SECONDS, read_timeout_seconds=_TIMEOUT_SECONDS
        )
        async with (
            httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, transport=transport) as http,
            asyncio.TaskGroup() as asking,
        ):
            started = time.monotonic()
            while not is_over.is_set():
                due = started + self.seen.sent / REQUESTS_A_SECOND
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self.seen.sent += 1
                key, body = f"key-{self.seen.sent}", next(bodies)
                for url in next(turns):
                    asking.create_task(self._ask(http, url, key, body))

    async def _ask(self, http: httpx.AsyncClient, url: str, key: str, body: bytes) -> None:
        """Ask with one key until there is an answer to keep."""
        headers = {**_HEADERS, "Idempotency-Key": key}
        give_up_at = time.monotonic() + _GIVE_UP_SECONDS
        while time.monotonic() < give_up_at:
            started = time.monotonic()
            try:
                answer = await http.post(f"{url}/avaliar", content=body, headers=headers)
            except httpx.HTTPError as exc:
                self.seen.note(type(exc).__name__, 1000 * (time.monotonic() - started))
            else:
                self.seen.note(f"{answer.status_code}", 1000 * (time.monotonic() - started))
                if answer.is_success:
                    self._keep(key, answer, started)
                    return
            await asyncio.sleep(_PAUSE_SECONDS)

    def _keep(self, key: str, answer: httpx.Response, started: float) -> None:
        if answer.status_code != httpx.codes.OK:
            return
        self.seen.keep(key, answer.text)
        if self._healed_at is None or started < self._healed_at:
            return
        seconds = time.monotonic() - self._healed_at
        self.seen.back_seconds = min(seconds, self.seen.back_seconds or seconds)

    def check(self) -> Held:
        """Count what the record holds, once nothing waits in it."""
        keys = [f"key-{number}" for number in range(1, self.seen.sent + 1)]
        url = self.record_url.format(folder=self.folder)
        return checks.hold(url, keys, self.seen.answers, _GIVE_UP_SECONDS)
