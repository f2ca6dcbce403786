"""How many do something at once, and how often one caller may ask.

The rate is a leaky bucket that keeps one number for each caller (the generic cell rate algorithm,
https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm), in bounded memory. The fixed windows of
limits 5.8 take eight times as long, let twice the rate through, and are forgotten by a thread.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

#: Who asked too long ago to matter is forgotten first; of this many who asked just now, the oldest.
_MOST_CALLERS: Final = 16_384
_ROUNDING_SECONDS: Final = 1e-6


class AtOnce:
    """So many places, and whoever finds none has to come again. refusal: makes what is raised."""

    def __init__(self, places: int, refusal: Callable[[], Exception]) -> None:
        self._free = places
        self._refusal = refusal

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while a block runs. Raises what refusal makes when there is none."""
        if not self._free:
            raise self._refusal()
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class RateLimit:
    """Counts each caller's requests in this process."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        most_callers: int = _MOST_CALLERS,
    ) -> None:
        """Take the rate. burst: how many requests may come at once."""
        self._interval = 1 / per_second
        self._slack_seconds = (burst - 1) / per_second
        self._clock = clock
        self._most_callers = most_callers
        #: When each caller would next be due, if they kept to the rate.
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def seconds_to_wait(self, caller: str) -> float:
        """Count a request and return 0, or return how long the caller has to wait."""
        now = self._clock()
        due = max(now, self._due.get(caller, now))
        if (early := due - now - self._slack_seconds) > _ROUNDING_SECONDS:
            return early
        self._due[caller] = due + self._interval
        if len(self._due) > self._most_callers:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Make room for a quarter of all, so that one newcomer in many pays for it."""
        kept = {caller: due for caller, due in self._due.items() if due > now}
        surplus = max(0, len(kept) - self._most_callers * 3 // 4)
        self._due = dict(islice(kept.items(), surplus, None))
