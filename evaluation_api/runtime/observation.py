"""What an operator sees of every request: a request id, counts and durations, security headers.

One plain ASGI middleware, since Starlette's BaseHTTPMiddleware costs more than the route it
wraps. Knows nothing of evaluations.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evaluation_api.runtime.identity import new_id

#: The request being answered by this task; "-" outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="-")

REQUESTS = Histogram(
    "evaluation_request_seconds",
    "From the request's arrival to the end of its answer",
    ["route", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
IN_FLIGHT = Gauge("evaluation_requests_in_flight", "Requests being answered")
REFUSED = Counter("evaluation_refused", "Requests turned away because too many were in flight")
DECISIONS = Counter("evaluation_decisions", "Decisions taken", ["outcome", "cluster"])
PENDING = Gauge("evaluation_pending", "Evaluations that wait for the model, as of the last look")
MODEL_AWAY = Gauge("evaluation_model_away", "1 while the model service does not answer")

_LONGEST_ID: Final = 128
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", _CONTENT_SECURITY_POLICY.encode()),
)


class Observation:
    """Wraps the application, so that what nobody caught is answered with id and headers too."""

    def __init__(self, app: ASGIApp, unexpected: Callable[[Exception], ASGIApp]) -> None:
        """Wrap an application. unexpected: makes the answer to what nobody caught."""
        self._app = app
        self._unexpected = unexpected
        self._durations: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what becomes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = _request_id(scope)
        token = request_id.set(identity)
        encoded = identity.encode()
        started = time.perf_counter()
        status = 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", encoded),
                    *_HEADERS,
                ]
            await send(message)

        IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, send_observed)
        except Exception as exc:
            if status:  # half an answer is out: let the server close the connection
                raise
            await self._unexpected(exc)(scope, receive, send_observed)
        finally:
            IN_FLIGHT.dec()
            self._observe(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Note a duration under the route's pattern: a path with an id would be a new series."""
        route = str(getattr(scope.get("route"), "path", "other"))
        label = (route, str(scope["method"]), status)
        series = self._durations.get(label)
        if series is None:
            series = self._durations[label] = REQUESTS.labels(*label)
        series.observe(seconds)


def _request_id(scope: Scope) -> str:
    """Keep the caller's X-Request-ID when it is fit for a log line, else make one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and 0 < len(value) <= _LONGEST_ID:
            text: str = value.decode("latin-1")
            if text.isascii() and text.isprintable():
                return text
    return new_id()
