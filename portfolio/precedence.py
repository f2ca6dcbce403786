"""Lets those go first who wait for one client, where they share cores, and holds none of them up.

Who has a file locked is not to stand back meanwhile: whoever waits for the file would stand back,
too. On Linux a thread has a niceness of its own, which what it starts inherits; elsewhere a process
has one, and all of it stands back.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

#: A tenth of the share of those who do not stand back.
_NICENESS: Final = 10

_thread: Final = ThreadPoolExecutor(1, thread_name_prefix="in-front")


def stand_back() -> None:
    """Let others go first from now on, in this thread and in what it starts."""
    in_front(os.getpid)  # its thread is to be there before
    os.nice(_NICENESS)


def in_front(start: Callable[[], T]) -> T:
    """Start what does not stand back, though its caller does."""
    return _thread.submit(start).result()
