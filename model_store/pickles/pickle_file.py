"""A pickle as bytes, never opened: read up to a cap, named by its sha256.

A leaf: standard library only, for those who must not pay for scikit-learn.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from model_store.errors import UnreadablePickle
from model_store.pickles.kinds import in_folder

MAX_BYTES: Final = 1 << 20
"""Thirty times our own pickle; the same cap holds for a compressed one and for its contents."""

_OTHER_KINDS: Final = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read(path: Path) -> bytes:
    """Return the bytes of a regular file, never more than one past the cap.

    Raises UnreadablePickle, at once for what is no file: opening a pipe would wait for a writer.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 - a descriptor
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise UnreadablePickle(_no_file(path, mode))
            return file.read(MAX_BYTES + 1)
    except OSError as exc:
        if path.is_dir():
            raise UnreadablePickle(_no_file(path, stat.S_IFDIR)) from exc
        reason = exc.strerror or "it cannot be opened"
        raise UnreadablePickle(f"Cannot read {path}: {reason}.") from exc
    except ValueError as exc:
        raise UnreadablePickle(f"Cannot read {path}: {exc}.") from exc


def _no_file(path: Path, mode: int) -> str:
    if stat.S_ISDIR(mode):
        return f"{path} is {in_folder(path)}."
    kind = _OTHER_KINDS.get(stat.S_IFMT(mode), "something else")
    return f"{path} is {kind}, not a file: save the model to a file, and name that."


def sha256_of(content: bytes) -> str:
    """Return the 64 hex digits that name these bytes."""
    return hashlib.sha256(content).hexdigest()
