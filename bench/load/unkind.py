"""Callers who are unkind, each kind at once and in number; a good one asks in their midst.

What is held for them is looked at before, at its highest, and when they have gone.
"""

import resource
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.load import answers, open_loop
from bench.subjects import clients, processes, systems
from bench.subjects.languages import EXPLAINED
from deploy import ports
from deploy.ports import HOST
from deploy.processes import Running

#: Of the memory before, at most.
KEPT = 1.5
#: Connections to the record and to the model service that a load opens and the service keeps.
_POOLED = 8
#: More than it can answer on any machine that this was tried on.
_TOO_MANY_A_SECOND = 6000
_SATURATING_SECONDS = 2.0
_TIMES = 10
_AT_ONCE = struct.pack("ii", 1, 0)
_HEAD = b"POST /avaliar HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
_LARGE = b"GET /docs/swagger-ui/swagger-ui-bundle.js HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
_LOOKS = 3
_PAUSE_SECONDS = 0.3
_GONE_SECONDS = 30.0
_REFUSED = 503
#: Not to be read from the system for every call.
_PLAIN = ssl.create_default_context()


@dataclass(frozen=True)
class Held:
    """What the evaluation service holds. connections and tasks include those of who looks."""

    memory_mb: float
    descriptors: int
    connections: int
    tasks: int
    in_flight: int

    @property
    def most_later(self) -> dict[str, int]:
        """How many may be held of what is counted, by name, once all who came have gone."""
        return {
            "descriptors": self.descriptors + _POOLED,
            "connections": self.connections,
            "tasks": self.tasks,
            "in_flight": self.in_flight,
        }

    def is_as_before(self, before: "Held") -> bool:
        """Tell whether nothing is held any more that was not; caches have filled meanwhile."""
        is_free = all(getattr(self, name) <= most for name, most in before.most_later.items())
        return is_free and self.memory_mb <= KEPT * before.memory_mb


@dataclass(frozen=True)
class Wave:
    """One kind of unkind callers. good_seconds: the longest that the good one waited meanwhile."""

    what: str
    callers: int
    good_seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Siege:
    """What was held before and after the waves. gone_seconds: from the last one's end to after."""

    before: Held
    waves: Sequence[Wave]
    after: Held
    gone_seconds: float


@dataclass(frozen=True)
class _Service:
    """The evaluation service under siege; a good caller is a new one each time."""

    running: Running
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def ask(self) -> float:
        """Return in how many seconds a good caller, who repeats what is refused, is answered.

        Raises httpx.HTTPError.
        """
        (client,) = clients.make(1)
        started = time.perf_counter()
        while (answer := self._post(EXPLAINED.encode([client]))).status_code == _REFUSED:
            if time.perf_counter() - started > _GONE_SECONDS:
                break
        answer.raise_for_status()
        return time.perf_counter() - started

    def _post(self, body: bytes) -> httpx.Response:
        url, headers = f"{self.url}{EXPLAINED.path}", {"content-type": "application/json"}
        return httpx.post(url, content=body, headers=headers, timeout=10, verify=_PLAIN)

    def offer(self, per_second: float, seconds: float) -> open_loop.OpenLoad:
        """Have so many callers ask a second, whatever becomes of those before them."""
        requests = open_loop.requests(EXPLAINED, clients.make(500))
        return open_loop.offer(self.port, requests, per_second, seconds)

    def memory_mb(self) -> float:
        return float(psutil.Process(self.running.first.pid).memory_info().rss / 1e6)

    def held(self) -> Held:
        told = httpx.get(f"{self.url}/metrics", timeout=10, verify=_PLAIN).text
        values = dict(line.rsplit(" ", 1) for line in told.splitlines() if line[0] != "#")
        names = ("evaluation_connections", "evaluation_tasks", "evaluation_requests_in_flight")
        connections, tasks, in_flight = (int(float(values[name])) for name in names)
        descriptors = psutil.Process(self.running.first.pid).num_fds()
        return Held(self.memory_mb(), descriptors, connections, tasks, in_flight)


def run(folder: Path, share: float = 1.0) -> Siege:
    """Besiege services of their own. share: of the callers there are. Raises NotReadyError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    model_port, port = ports.free(2)
    programs = (
        systems.model_program(folder, model_port),
        systems.evaluation_program(folder, port, model_port),
    )
    with processes.started(programs, folder) as running:
        return _besiege(_Service(running[-1], port), share)


def _besiege(service: _Service, share: float) -> Siege:
    # The first load finds the service cold, and opens its pools.
    loads = [service.offer(_TOO_MANY_A_SECOND, _SATURATING_SECONDS) for _ in range(2)]
    saturating = max(load.goodput for load in loads)
    for _ in range(100):
        service.ask()
    before = service.held()
    half_a_body = _HEAD + b"content-length: 60000\r\n\r\n" + b"x" * 59_000
    waves = [
        _hold(service, "idle connections", round(2000 * share), b""),
        _hold(service, "half a head", round(2000 * share), _HEAD + b"a: " + b"x" * 60_000),
        _hold(service, "half a body", round(2000 * share), half_a_body),
        _hold(service, "answers unread, 32 each", round(200 * share), _LARGE * 32),
        _cancel(service, round(10_000 * share)),
        _overload(service, _TIMES * saturating, 30 * share),
    ]
    ended = time.perf_counter()
    while not (after := service.held()).is_as_before(before):
        if time.perf_counter() - ended > _GONE_SECONDS:
            break
        time.sleep(_PAUSE_SECONDS)
    return Siege(before, waves, after, time.perf_counter() - ended)


def _hold(service: _Service, what: str, callers: int, sent: bytes) -> Wave:
    """Have callers send this much and then nothing; ask a few times while they stay."""
    with ExitStack() as stack:
        for _ in range(callers):
            stack.enter_context(_connected(service.port, sent))
        return Wave(what, callers, *_watch(service))


def _watch(service: _Service) -> tuple[float, float]:
    def looks() -> Iterator[tuple[float, float]]:
        for _ in range(_LOOKS):
            yield service.ask(), service.memory_mb()
            time.sleep(_PAUSE_SECONDS)

    seconds, memory_mb = zip(*looks(), strict=True)
    return max(seconds), max(memory_mb)


def _cancel(service: _Service, callers: int) -> Wave:
    """Have callers ask for an evaluation and hang up at once, one after the other."""
    (client,) = clients.make(1)
    request = answers.post(EXPLAINED.path, EXPLAINED.encode([client]))
    for _ in range(callers):
        _connected(service.port, request).close()
    return Wave("asked and hung up", callers, *_watch(service))


def _overload(service: _Service, per_second: float, seconds: float) -> Wave:
    """Have far more callers ask than can be answered; the good one comes when they have gone."""
    with ThreadPoolExecutor(1) as load:
        offered = load.submit(service.offer, per_second, seconds)
        highest = 0.0
        while not offered.done():
            highest = max(highest, service.memory_mb())
            time.sleep(_PAUSE_SECONDS)
    good_seconds, memory_mb = _watch(service)
    what = f"{offered.result().good:,} of them answered, in {seconds:.0f} s"
    return Wave(what, round(per_second * seconds), good_seconds, max(highest, memory_mb))


def _connected(port: int, sent: bytes) -> socket.socket:
    """Connect and send what the service takes without waiting; closing is a reset."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    caller.settimeout(10)
    caller.connect((HOST, port))
    with suppress(OSError):
        caller.sendall(sent)
    return caller
