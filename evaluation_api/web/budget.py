"""So few large files at once: evaluations find their places free, whoever reads or sends slowly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from evaluation_api.decision import errors

#: How many files come in, and how many results or files of a folder go out, at once: each may hold
#: its place for minutes.
AT_ONCE: Final = 8


class Budget:
    """So many places, and whoever finds none has to come again."""

    def __init__(self) -> None:
        self._free = AT_ONCE

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place. Raises ManyFilesError when there is none."""
        if not self._free:
            raise errors.ManyFilesError
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
