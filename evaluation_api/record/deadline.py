"""Until when a thread's calls of the database may last, whatever the database does meanwhile.

A deadline begins where somebody begins to wait, so that the time in a queue is a part of it; and
what nobody waits for any longer is not committed. A commit that has begun cannot be taken back, so
it gets more time. Threads without a deadline wait for as long as it takes: an operator's
commands, and the start.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from evaluation_api.decision import errors

T = TypeVar("T")

#: For a commit that began in time: nobody knows what became of it before it has ended.
_COMMIT_SECONDS: Final = 2.0
#: For a step of what nobody waits for, as sealing: a service that stops waits until it has ended.
STEP_SECONDS = 10.0


@dataclass(slots=True)
class Deadline:
    """When a call's time is over, by time.monotonic(), and whether a commit has begun."""

    at: float
    has_committed: bool = False


class _Local(threading.local):
    """Of each thread its own."""

    deadline: Deadline | None = None


_local = _Local()


def run(deadline: Deadline, call: Callable[[], T]) -> T:
    """Make a call that ends by a deadline. Raises what it raises, of StopIteration RuntimeError."""
    _local.deadline = deadline
    try:
        return call()
    except StopIteration as exc:  # which no future takes: its caller would wait for nothing
        raise RuntimeError from exc
    finally:
        _local.deadline = None


def within(seconds: float, call: Callable[[], T]) -> T:
    """Make a call that ends so many seconds from now. Raises as run does."""
    return run(Deadline(time.monotonic() + seconds), call)


def seconds_left() -> float | None:
    """Return what is left of this thread's deadline, 0 when it is over; None without one."""
    if _local.deadline is None:
        return None
    return max(0.0, _local.deadline.at - time.monotonic())


def require() -> None:
    """Raise RecordUnavailableError when this thread's deadline is over."""
    if seconds_left() == 0:
        raise errors.RecordUnavailableError("no answer in time")


def begin_commit() -> None:
    """Give the commit that follows, the first of a call, its time. Raises as require does."""
    require()
    if _local.deadline is not None and not _local.deadline.has_committed:
        _local.deadline.at += _COMMIT_SECONDS
        _local.deadline.has_committed = True
