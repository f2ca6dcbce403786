"""The layer around every request: an id, counts and durations, security headers, no bare failure.

One plain ASGI layer for all of them, since each would wrap what is sent once more, and Starlette's
BaseHTTPMiddleware costs more than the route it wraps. Knows nothing of evaluations.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evaluation_api.runtime import metrics
from evaluation_api.runtime.identity import read_or_make_id, request_id

#: What browsers are told to refuse, with every answer. The gateway says the same of its own.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", _CONTENT_SECURITY_POLICY.encode()),
)


@dataclass(eq=False, repr=False)
class Observation:
    """Wraps the application, so that what nobody caught is answered with id and headers too.

    unexpected: makes the answer to what nobody caught.
    """

    app: ASGIApp
    unexpected: Callable[[Exception], ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what becomes of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = read_or_make_id(scope)
        token = request_id.set(identity)
        headers = ((b"x-request-id", identity.encode()), *SECURITY_HEADERS)
        started = time.perf_counter()
        status = 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            await self.app(scope, receive, send_observed)
        except Exception as exc:
            if status:  # half an answer is out: let the server close the connection
                raise
            await self.unexpected(exc)(scope, receive, send_observed)
        finally:
            metrics.observe(scope, status, time.perf_counter() - started)
            request_id.reset(token)
