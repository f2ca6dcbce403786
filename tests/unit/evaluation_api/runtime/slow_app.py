"""An application served for test_server: /slow waits until somebody asks for /health/go."""

import asyncio
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from evaluation_api.runtime import server

_go = asyncio.Event()


async def slow(_: Request) -> PlainTextResponse:
    await _go.wait()
    return PlainTextResponse("slow")


async def go(_: Request) -> PlainTextResponse:
    _go.set()
    return PlainTextResponse("go")


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


async def health(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def refuse() -> bytes:
    return b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nretry-after: 1\r\n\r\nfull"


app = Starlette(
    routes=[
        Route("/slow", slow),
        Route("/echo", echo, methods=["POST"]),
        Route("/health", health),
        Route("/health/go", go),
    ]
)

if __name__ == "__main__":
    port, listeners = map(int, sys.argv[1:])
    server.serve(
        app,
        "127.0.0.1",
        port,
        max_in_flight=1,
        overload_answer=refuse,
        listeners=listeners,
        grace_seconds=1,
    )
