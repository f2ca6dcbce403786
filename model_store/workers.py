"""What each serving process says of itself, beside the store, for whoever lists versions.

A process keeps one small file, locked for as long as it lives; what is not locked any more was left
by one that is gone, however it ended.
"""

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypedDict

from model_store import registry

MAX_NOTES: Final = 1024
_MAX_BYTES: Final = 4096
#: Whoever lists holds a file for a moment.
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.01

logger = logging.getLogger(__name__)


class Note(TypedDict):
    """What a process serves (a tag, as it is told), since when, and why nothing newer."""

    serves: str
    since: str
    refused: str | None


class WorkerNote:
    """This process's file; where none can be kept, as in a container, it says nothing."""

    def __init__(self) -> None:
        self._descriptor: int | None = None  # open, and locked, for as long as the process lives

    def say(self, told: Note) -> None:
        """Write what is true of this process from now on."""
        try:
            if self._descriptor is None:
                self._descriptor = _open_own()
            # All of the file in one write: whoever lists must not find it empty.
            os.pwrite(self._descriptor, json.dumps(told).encode().ljust(_MAX_BYTES), 0)
        except OSError as exc:
            logger.info("what this process serves is not listed: %s", exc.strerror)


def notes() -> Iterator[Note]:
    """Yield what each process that lives says; remove the files of those that are gone."""
    for path in sorted(registry.models_home().glob(f"{_PREFIX}*"))[:MAX_NOTES]:
        try:
            with path.open(encoding="utf-8") as file:
                if _lock(file.fileno()):
                    if _is_at(path, file.fileno()):
                        path.unlink()
                    continue
                told = json.loads(file.read(_MAX_BYTES))
                note = Note(serves=told["serves"], since=told["since"], refused=told["refused"])
        except (OSError, ValueError, KeyError, TypeError):  # gone, or just being written
            continue
        yield note


_PREFIX: Final = f".{registry.NAME}.worker-"


def _open_own() -> int:
    """Return this process's file, locked. Raises OSError, as where another holds it for long."""
    home = registry.models_home()
    path = home / f"{_PREFIX}{socket.gethostname()}-{os.getpid()}"
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _lock(descriptor) and _is_at(path, descriptor):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(_PAUSE_SECONDS)
    raise BlockingIOError(errno.EWOULDBLOCK, "another process has its file")


def _lock(descriptor: int) -> bool:
    """Lock a file that no process keeps; tell whether that was so."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Tell whether a locked file is still the one at its path: another may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
