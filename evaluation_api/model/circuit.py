"""A circuit breaker: after enough failures in a row, stop asking for a while, then probe.

Counts and clocks only; knows nothing of what is called.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

#: One failed call may be a replica that is being replaced, two its repeat; three are an outage.
_THRESHOLD = 3
#: A model that is back is noticed within this time, which a probe a second costs next to nothing.
_PAUSE_SECONDS = 1.0


@dataclass(eq=False, repr=False)
class Circuit:
    """Opens after `threshold` failures in a row; then lets one probe through each pause."""

    threshold: int = _THRESHOLD
    pause_seconds: float = _PAUSE_SECONDS
    clock: Callable[[], float] = time.monotonic
    _failures: int = field(default=0, init=False)
    _probe_at: float = field(default=0.0, init=False)

    @property
    def is_open(self) -> bool:
        """Whether the last calls failed, so that callers had better not count on an answer."""
        return self._failures >= self.threshold

    def admits(self) -> bool:
        """Tell whether a call may go now; while open, only the probe that is due, and only once."""
        if not self.is_open:
            return True
        now = self.clock()
        if now < self._probe_at:
            return False
        self._probe_at = now + self.pause_seconds
        return True

    def succeeded(self) -> None:
        """Close: the other side answers."""
        self._failures = 0

    def failed(self) -> None:
        """Count a failure, and open when there have been enough in a row."""
        self._failures += 1
        if self._failures == self.threshold:
            self._probe_at = self.clock() + self.pause_seconds
