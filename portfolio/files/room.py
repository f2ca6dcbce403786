"""What is told where a disk has no room for a file."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: Met by who writes, and by nobody who reads.
_NONE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an OSError say which file or folder there is no room for: of a write it names none."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _NONE:
            exc.filename = str(path)
        raise
