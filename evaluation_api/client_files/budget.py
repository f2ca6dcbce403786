"""How many files come in, and how many results go out, at once: a file holds its place for minutes.

Apart from the limit on requests, so that neither files nor evaluations take the others' places.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from evaluation_api.decision.errors import ManyFilesError

#: Each holds some megabytes while a chunk is read or written, and all of them share one core.
AT_ONCE: Final = 8


class Budget:
    """So many places, and whoever finds none has to come again."""

    def __init__(self, places: int = AT_ONCE) -> None:
        """Start with all of them free."""
        self._free = places

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place. Raises ManyFilesError when there is none."""
        if not self._free:
            raise ManyFilesError
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
