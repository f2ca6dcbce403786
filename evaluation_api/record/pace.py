"""How much long work writes at a time, so that callers in between wait 50 ms at most."""

from typing import Final

#: What a slice is to take; callers wait up to 50 ms, and a slower disk needs room.
_SLICE_SECONDS: Final = 0.02
_FIRST_SLICE: Final = 100
#: Fewer take hardly less than these: a transaction has a price of its own, on a slow disk more than
#: a slice is to take, and long work would end in one for each row.
_LEAST_SLICE: Final = 50


class Pace:
    """The size of the next slice, by how long the last one took."""

    def __init__(
        self, largest: int, slice_seconds: float | None = _SLICE_SECONDS, least: int = _LEAST_SLICE
    ) -> None:
        """Begin with a small one.

        largest, least: in rows. slice_seconds: None where nobody waits.
        """
        self.limit = largest if slice_seconds is None else _FIRST_SLICE
        self._largest, self._least, self._seconds = largest, least, slice_seconds

    def note(self, seconds: float) -> None:
        """Take how long a slice of limit rows took."""
        if self._seconds is None:
            return
        fitting = int(self.limit * self._seconds / seconds)
        self.limit = max(self._least, min(self._largest, 2 * self.limit, fitting))
