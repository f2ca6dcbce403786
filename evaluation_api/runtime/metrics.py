"""What Prometheus is told of requests, whatever they are about."""

from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import Scope

REQUESTS = Histogram(
    "evaluation_request_seconds",
    "From the request's arrival to the end of its answer",
    ["route", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
IN_FLIGHT = Gauge("evaluation_requests_in_flight", "Requests being answered, but for reads")
READS_IN_FLIGHT = Gauge("evaluation_reads_in_flight", "GET and HEAD being answered")
REFUSED = Counter("evaluation_refused", "Requests and connections refused, and why", ["why"])
CONNECTIONS = Gauge("evaluation_connections", "Connections that are open")
TASKS = Gauge("evaluation_tasks", "Tasks of the event loop")

#: There are thirty more that no route takes, and each would be a series of 15 lines for each route.
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})


def observe(scope: Scope, status: int, seconds: float) -> None:
    """Note a duration under the route's pattern: a path with an id would be a new series."""
    route = str(getattr(scope.get("route"), "path", "other"))
    method = scope["method"] if scope["method"] in _METHODS else "other"
    _series(route, method, status).observe(seconds)


@cache
def _series(route: str, method: str, status: int) -> Histogram:
    """Return a series; looking one up by its labels costs more than observing it."""
    return REQUESTS.labels(route, method, status)
