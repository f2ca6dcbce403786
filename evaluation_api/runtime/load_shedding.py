"""How much this process takes on at once; the protocol asks here, and so does readiness."""

import asyncio
import resource
import time
from collections import deque
from collections.abc import Callable
from typing import Final

#: Longer than it takes to answer what fits in.
_BURST_SECONDS: Final = 0.25
#: Whatever they hold, half a head and half a body each, fits into the container's memory.
_MAX_CONNECTIONS: Final = 2304
#: For the database, the model service, files of clients, the listeners.
_OTHER_DESCRIPTORS: Final = 256
#: Files, which are read as they come: their senders decide for how long.
_MAX_LONG_BODIES: Final = 16
#: Probes and Prometheus are a handful; 9,600 requests for the metrics took the loop for 15 s.
_MAX_LOOKS: Final = 16
#: So many more for those who look seldom, as probes do: of 300 who looked again at once each got an
#: answer in two of three times, and of the probes beside them one in three.
_MAX_SELDOM_LOOKS: Final = 16
#: Refusals at once, and so many more for each answer and each turn of the loop. Of ten times as
#: many callers as can be answered each asks again at once, and to refuse them took all of the time.
_REFUSED_AT_ONCE: Final = 512
_REFUSED_AN_ANSWER: Final = 4
_REFUSED_A_TURN: Final = 8
#: A page's answers wait for their reader for moments; so many at once are not read at all.
_MAX_UNREAD: Final = 256


class Places:
    """How many requests of a kind are being answered, and how many may be.

    A burst may take every place. When they do not become free again within burst_seconds, the load
    is no burst, and half of them must do: a longer queue would answer no more of them, and each
    one later.

    Counted here and not by uvicorn's tasks: those of a turn are forgotten in the next one, by
    when the callers they answered have asked again.
    """

    def __init__(self, max_in_flight: int, burst_seconds: float = _BURST_SECONDS) -> None:
        self.in_flight = 0
        self._max_in_flight = max_in_flight
        self._burst_seconds = burst_seconds
        self._nearly_empty_at = time.monotonic()

    def count(self, change: int) -> None:
        """Let requests in, or out."""
        self.in_flight += change
        if self.in_flight <= self._max_in_flight // 8:
            self._nearly_empty_at = time.monotonic()

    @property
    def is_busy(self) -> bool:
        """Whether who has more requests queued, or has hung up, leaves the places to others.

        The one asks again in the turn that answers it, so that no newcomer would find one free.
        """
        return self.in_flight >= max(1, self._max_in_flight // 8)

    @property
    def is_reached(self) -> bool:
        """Whether one more would be too many."""
        is_burst = time.monotonic() - self._nearly_empty_at < self._burst_seconds
        places = self._max_in_flight if is_burst else (self._max_in_flight + 1) // 2
        return self.in_flight >= places


class ConcurrencyLimit(Places):
    """The places of what is asked to be done, and beside them those of what takes none of these.

    Who only reads has as many of their own: 600 readers of one small page had three of four
    evaluations refused.
    """

    def __init__(self, max_in_flight: int, burst_seconds: float = _BURST_SECONDS) -> None:
        super().__init__(max_in_flight, burst_seconds)
        self.reads = Places(max_in_flight, burst_seconds)
        self._long_bodies = 0
        self._looks = 0
        self._unread: dict[Callable[[], None], None] = {}
        self._to_refuse: deque[Callable[[], None]] = deque()
        self._may_refuse = _REFUSED_AT_ONCE
        self._is_refusing = False

    def count(self, change: int) -> None:
        """Let requests in, or out; who is answered makes room for who is refused."""
        super().count(change)
        if change < 0:
            more = self._may_refuse - _REFUSED_AN_ANSWER * change
            self._may_refuse = min(more, _REFUSED_AT_ONCE)

    def count_long_body(self, change: int) -> None:
        """Begin to read a body as it comes, or end; its place is taken once it is whole."""
        self._long_bodies += change

    def count_look(self, change: int) -> None:
        """Begin to say how we are, or end; whatever else there is to do, these are answered."""
        self._looks += change

    def has_looks_enough(self, *, is_seldom: bool) -> bool:
        """Tell whether one more, from who looks seldom or often, would be too many."""
        return self._looks >= _MAX_LOOKS + is_seldom * _MAX_SELDOM_LOOKS

    @property
    def has_long_bodies_enough(self) -> bool:
        """Whether one more would be too many."""
        return self._long_bodies >= _MAX_LONG_BODIES

    def refuse(self, refuse: Callable[[], None]) -> None:
        """Refuse now, or in a later turn of the loop where that would be too many."""
        if self._may_refuse and not self._to_refuse:
            self._may_refuse -= 1
            refuse()
        else:
            self._to_refuse.append(refuse)
            self._refuse_next_turn()

    def _refuse_next_turn(self) -> None:
        if not self._is_refusing:
            self._is_refusing = True
            asyncio.get_running_loop().call_soon(self._refuse_on)

    def _refuse_on(self) -> None:
        self._is_refusing = False
        self._may_refuse += _REFUSED_A_TURN
        while self._to_refuse and self._may_refuse:
            self._may_refuse -= 1
            self._to_refuse.popleft()()
        if self._to_refuse:
            self._refuse_next_turn()

    def wait_for_reader(self, drop: Callable[[], None]) -> None:
        """Note that an answer waits for its reader; drop the one that waits longest, if too many.

        Waiting, it takes no place from others; it takes memory.
        """
        self._unread[drop] = None
        if len(self._unread) > _MAX_UNREAD:
            longest = next(iter(self._unread))
            self.read_on(longest)
            longest()

    def read_on(self, drop: Callable[[], None]) -> None:
        """Note that an answer is being read again, or nobody is there to read it."""
        self._unread.pop(drop, None)


def connections_within_descriptors() -> int:
    """Have all descriptors that there may be; return how many connections they are enough for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_CONNECTIONS + _OTHER_DESCRIPTORS
    if soft == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(_MAX_CONNECTIONS, max(soft - _OTHER_DESCRIPTORS, soft // 2))
