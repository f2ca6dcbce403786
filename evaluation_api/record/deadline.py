"""Until when a thread's calls of the database may last, whatever the database does meanwhile.

A deadline begins where somebody begins to wait, so that the time in a queue is a part of it; and
what nobody waits for any longer is not committed. Threads without one wait for as long as it takes:
an operator's commands, and the start.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from evaluation_api.decision.errors import RecordUnavailableError

T = TypeVar("T")


class _Local(threading.local):
    """Of each thread its own, by time.monotonic()."""

    at = math.inf


_local = _Local()


def run(deadline: float, call: Callable[[], T]) -> T:
    """Make a call that ends by a deadline (time.monotonic()). Raises what it raises."""
    _local.at = deadline
    try:
        return call()
    finally:
        _local.at = math.inf


def seconds_left() -> float | None:
    """Return what is left of this thread's deadline, 0 when it is over; None without one."""
    if _local.at == math.inf:
        return None
    return max(0.0, _local.at - time.monotonic())


def require() -> None:
    """Raise RecordUnavailableError when this thread's deadline is over."""
    if _local.at < time.monotonic():
        raise RecordUnavailableError("no answer in time")
