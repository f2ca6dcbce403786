"""Serves an application with uvicorn, set up for many short requests on kept-alive connections.

Knows sockets and nothing of what is served; the bench serves its ceiling with it too.
"""

import asyncio
import ctypes
import gc
import logging
import signal
import socket
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import uvicorn
from starlette.applications import Starlette

from evaluation_api.runtime import metrics
from evaluation_api.runtime.load_shedding import ConcurrencyLimit, connections_within_descriptors
from evaluation_api.runtime.protocol import BoundedProtocol, Bounds, Refusal

logger = logging.getLogger(__name__)

_BACKLOG: Final = 2048
#: Newcomers a turn beyond the most there may be: each is told so, and has a descriptor until then.
_REFUSED_AT_ONCE: Final = 32
#: A download that takes longer to end is cut off by us, cleanly, before somebody kills us for it:
#: Compose after 20 s, the chart after 30 s.
_GRACE_SECONDS: Final = 10
#: Longer than callers keep an idle connection: closed by us, it may meet their next request.
_KEEP_ALIVE_SECONDS: Final = 75
_TRIM_SECONDS: Final = 10
#: glibc's alone; other systems' libraries do it by themselves.
_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)


def serve(  # noqa: PLR0913 - each by name
    app: Starlette,
    host: str,
    port: int,
    *,
    limit: ConcurrencyLimit,
    refusal: Refusal,
    bounds: Bounds | None = None,
    accept_all: bool = True,
    grace_seconds: int = _GRACE_SECONDS,
    gateways: str = "",
) -> None:
    """Serve until told to stop, or hung up on. Requests beyond the limit are refused at once.

    refusal: makes the whole answer to what the application never sees. accept_all: whether all who
    come in a turn of the loop are let in together, and not one a turn as by uvloop. grace_seconds:
    how long the answers in progress may take to end when told to stop. gateways: addresses whose
    X-Forwarded-For is believed, "*" for all.

    Raises what opening the application raises, and OSError when there is nothing to listen on.
    """
    bounds = bounds or Bounds(connections_within_descriptors())
    protocol = partial(BoundedProtocol, limit=limit, refusal=refusal, bounds=bounds)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=protocol,  # type: ignore[arg-type]
        ws="none",  # where a library for them is installed, uvicorn would take them
        access_log=False,
        server_header=False,
        proxy_headers=bool(gateways),
        forwarded_allow_ips=gateways,
        lifespan="off",  # _Server's own
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
        callback_notify=_give_memory_back,
        timeout_notify=_TRIM_SECONDS,
    )
    server = Server(config, app, bounds.max_connections if accept_all else None)
    metrics.IN_FLIGHT.set_function(lambda: limit.in_flight)
    metrics.READS_IN_FLIGHT.set_function(lambda: limit.reads.in_flight)
    metrics.CONNECTIONS.set_function(lambda: len(server.server_state.connections))
    metrics.TASKS.set_function(lambda: len(asyncio.all_tasks()))
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, server.handle_exit)
    with listen(host, port) as listening:
        server.run(sockets=[listening])


class Server(uvicorn.Server):
    """Opens and closes the application by itself: uvicorn would print why it cannot be opened.

    And accepts by itself: uvloop lets in one newcomer a turn of the loop for each listening socket,
    and a busy turn takes a tenth of a second. 32 sockets let 600 newcomers wait for 20 turns, and
    256 of them cost each newcomer half a millisecond of the processor.
    """

    def __init__(
        self, config: uvicorn.Config, app: Starlette, max_connections: int | None = None
    ) -> None:
        """Take the parts. max_connections: None to have uvloop accept."""
        super().__init__(config)
        self._app = app
        self._max_connections = max_connections
        self._opened = AsyncExitStack()
        self._newcomers: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, and listen."""
        await self._opened.enter_async_context(self._app.router.lifespan_context(self._app))
        await super().startup(sockets if self._max_connections is None else [])
        if self._max_connections is not None:
            for listening in sockets or ():
                asyncio.get_running_loop().add_reader(listening, self._accept, listening)
        logger.info("serving", extra={"host": self.config.host, "port": self.config.port})

    def _accept(self, listening: socket.socket) -> None:
        """Let in all who have come and find room, and some more, who hear that there is none."""
        loop = asyncio.get_running_loop()
        inside = len(self.server_state.connections) + len(self._newcomers)
        for _ in range(max((self._max_connections or 0) - inside, 0) + _REFUSED_AT_ONCE):
            try:
                connected, _ = listening.accept()
            except OSError:  # nobody is there, or not any more; descriptors there are
                return
            task = loop.create_task(loop.connect_accepted_socket(self._protocol, connected))
            self._newcomers.add(task)
            task.add_done_callback(self._newcomers.discard)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, let answers end, and close the application."""
        for listening in sockets or ():
            asyncio.get_running_loop().remove_reader(listening)
        await super().shutdown(sockets)
        await self._opened.aclose()
        logger.info("stopped")


def spare_the_garbage_collector() -> None:
    """Keep what start-up made out of full collections, whose pauses were the p99.

    The young ones take together what they did at 50,000, and a fifth of it each: under twice the
    saturating load one of those held every caller up for 15 ms of the processor's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 500)


async def _give_memory_back() -> None:
    """Give the system what was freed: after 2,000 half requests glibc kept 160 MB of it.

    Takes 0.2 ms where there is nothing to give, and 30 ms then.
    """
    if _TRIM:
        _TRIM(0)


def listen(host: str, port: int) -> socket.socket:
    """Listen, without waiting for whoever comes; an OSError names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, f"{host} port {port}") from exc
    listening.settimeout(0)
    return listening
