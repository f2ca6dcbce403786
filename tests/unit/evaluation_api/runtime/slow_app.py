"""An application served for tests of the server: /slow waits until somebody asks for /health/live.

Callers have half a second, where those of the service have ten.
"""

import asyncio
import sys
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from evaluation_api.runtime import logs, server
from evaluation_api.runtime.load_shedding import ConcurrencyLimit
from evaluation_api.runtime.protocol import Bounds

_go = asyncio.Event()


async def slow(_: Request) -> PlainTextResponse:
    await _go.wait()
    return PlainTextResponse("slow")


async def go(_: Request) -> PlainTextResponse:
    _go.set()
    _go.clear()
    return PlainTextResponse("go")


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


async def asked(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse(request.headers.getlist("asked")[-1])


async def health(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def big(_: Request) -> PlainTextResponse:
    return PlainTextResponse(b"x" * 200_000)


async def places(_: Request) -> PlainTextResponse:
    return PlainTextResponse(str(limit.in_flight + limit.reads.in_flight))


def refuse(status: HTTPStatus) -> bytes:
    head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-length: 4\r\nretry-after: 1\r\n\r\n"
    return head.encode() + b"full"


app = Starlette(
    routes=[
        Route("/slow", slow, methods=["GET", "POST"]),
        Route("/echo", echo, methods=["POST"]),
        Route("/asked", asked, methods=["POST"]),
        Route("/big", big),
        Route("/health", health),
        Route("/health/live", go),
        Route("/health/slow", slow),
        Route("/metrics", slow),
        Route("/go", go),
        Route("/health/ready", places),
    ]
)

if __name__ == "__main__":
    port, accept_all, max_in_flight = map(int, sys.argv[1:])
    limit = ConcurrencyLimit(max_in_flight)
    logs.configure("INFO", "text")
    server.serve(
        app,
        "127.0.0.1",
        port,
        limit=limit,
        refusal=refuse,
        bounds=Bounds(max_connections=40, looks=10, look_seconds=0.05),
        accept_all=bool(accept_all),
        grace_seconds=1,
    )
