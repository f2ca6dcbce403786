"""Lets in, between two transactions of long work, who waits to write to a SQLite file.

SQLite keeps no queue: whoever looks at the right moment may write, and long work, which goes on at
once, leaves few such moments. So who waits shares a lock on the file's folder meanwhile, and long
work goes on when nobody does. The kernel ends it with the process; nothing is left on the disk.
Not the file itself is locked: closing it would let go of what SQLite has locked in this process
(https://www.sqlite.org/howtocorrupt.html, 2.2).
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

#: For who waits to find the file free, and to write.
_LOOK_SECONDS: Final = 0.0005
#: Of those who come without end some wait for the next time, or long work would never go on.
_LONGEST_SECONDS: Final = 0.025


@contextmanager
def waiting(file: str) -> Iterator[None]:
    """Be known to wait for a file, while a block looks whether it is free.

    Waits for nothing by itself: who comes in the moment in which somebody looks for them, or may
    not read the folder, is not known, and finds the file free all the same, if not as soon.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            folder = stack.enter_context(_folder_of(file))
            fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


def let_in(file: str, longest_seconds: float = _LONGEST_SECONDS) -> bool:
    """Return when nobody waits for a file, or after longest_seconds; tell whether somebody did."""
    until, has_waited = time.monotonic() + longest_seconds, False
    with suppress(OSError), _folder_of(file) as folder:
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return has_waited
            has_waited = True
            time.sleep(_LOOK_SECONDS)
    return has_waited


@contextmanager
def _folder_of(file: str) -> Iterator[int]:
    folder = os.open(Path(file).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)
