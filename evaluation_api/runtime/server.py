"""Serves an application with uvicorn, set up for many short requests on kept-alive connections.

Knows sockets and nothing of what is served; the bench serves its ceiling with it too.
"""

import asyncio
import ctypes
import gc
import logging
import signal
import socket
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import Final

import uvicorn
from starlette.applications import Starlette

from evaluation_api.runtime import metrics
from evaluation_api.runtime.load_shedding import ConcurrencyLimit, connections_within_descriptors
from evaluation_api.runtime.protocol import BoundedProtocol, Bounds, Refusal

logger = logging.getLogger(__name__)

#: uvloop accepts one new connection per listening socket and turn of the loop, and a busy turn
#: takes a tenth of a second: under 256 connections the 60th newcomer waited 3.3 s. With this
#: many listeners on the one port it waited 0.4 s.
_LISTENERS: Final = 32
_BACKLOG: Final = 2048
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
    listeners: int = _LISTENERS,
    grace_seconds: int = _GRACE_SECONDS,
    gateways: str = "",
) -> None:
    """Serve until told to stop, or hung up on. Requests beyond the limit are refused at once.

    refusal: makes the whole answer to what the application never sees. listeners: sockets that
    newcomers are accepted from. grace_seconds: how long the answers in progress may take to end
    when told to stop. gateways: addresses whose X-Forwarded-For is believed, "*" for all.

    Raises what opening the application raises, and OSError when there is nothing to listen on.
    """
    bounds = bounds or Bounds(connections_within_descriptors())
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=partial(BoundedProtocol, limit=limit, refusal=refusal, bounds=bounds),  # type: ignore[arg-type]
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
    server = _Server(config, app)
    metrics.IN_FLIGHT.set_function(lambda: limit.in_flight)
    metrics.READS_IN_FLIGHT.set_function(lambda: limit.reads.in_flight)
    metrics.CONNECTIONS.set_function(lambda: len(server.server_state.connections))
    metrics.TASKS.set_function(lambda: len(asyncio.all_tasks()))
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, server.handle_exit)
    with ExitStack() as stack:
        sockets = [stack.enter_context(_listen(host, port))]
        sockets += [stack.enter_context(sockets[0].dup()) for _ in range(listeners - 1)]
        server.run(sockets=sockets)


class _Server(uvicorn.Server):
    """Opens and closes the application by itself: uvicorn would print why it cannot be opened."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._app = app
        self._opened = AsyncExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._opened.enter_async_context(self._app.router.lifespan_context(self._app))
        await super().startup(sockets)
        logger.info("serving", extra={"host": self.config.host, "port": self.config.port})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
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


def _listen(host: str, port: int) -> socket.socket:
    """Listen; an OSError names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, f"{host} port {port}") from exc
