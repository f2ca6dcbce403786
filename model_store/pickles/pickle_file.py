"""A pickle as bytes, never opened: read up to a cap, named by its sha256.

A leaf: standard library only, for those who must not pay for scikit-learn.
"""

import hashlib
from pathlib import Path
from typing import Final

from model_store.errors import UnreadablePickle

MAX_BYTES: Final = 1 << 20
"""Thirty times our own pickle; the same cap holds for a compressed one and for its contents."""


def read(path: Path) -> bytes:
    """Return the bytes of a file, never more than one past the cap.

    Raises UnreadablePickle.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise UnreadablePickle(f"Cannot read {path}: {exc.strerror}.") from exc


def sha256_of(content: bytes) -> str:
    """Return the 64 hex digits that name these bytes."""
    return hashlib.sha256(content).hexdigest()
