"""Serves an application with uvicorn, set up for many short requests on kept-alive connections.

Knows sockets and nothing of what is served; the bench serves its ceiling with it too.
"""

import gc
import socket
from functools import partial
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from evaluation_api.runtime.load_shedding import (
    ConcurrencyLimit,
    LoadSheddingProtocol,
    OverloadAnswer,
)

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


def serve(  # noqa: PLR0913 - each by name
    app: ASGIApp,
    host: str,
    port: int,
    *,
    max_in_flight: int,
    overload_answer: OverloadAnswer,
    listeners: int = _LISTENERS,
    grace_seconds: int = _GRACE_SECONDS,
) -> None:
    """Serve until told to stop. Requests beyond max_in_flight get the overload answer at once.

    listeners: sockets that newcomers are accepted from. grace_seconds: how long the answers in
    progress may take to end when told to stop.
    """
    limit = ConcurrencyLimit(max_in_flight)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=partial(LoadSheddingProtocol, limit=limit, overload_answer=overload_answer),  # type: ignore[arg-type]
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
    )
    listener = config.bind_socket()
    listener.listen(_BACKLOG)
    uvicorn.Server(config).run(sockets=_duplicates(listener, listeners))


def spare_the_garbage_collector() -> None:
    """Keep what start-up made out of full collections, whose pauses were the p99."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _duplicates(listener: socket.socket, count: int) -> list[socket.socket]:
    return [listener, *(listener.dup() for _ in range(count - 1))]
