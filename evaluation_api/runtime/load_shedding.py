"""Sheds requests beyond a limit of concurrency, before they cost anything but their parsing.

Builds on the callbacks of uvicorn's protocol, pinned by tests/unit/evaluation_api/runtime.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Longer than it takes to answer what fits in.
_BURST_SECONDS: Final = 0.25
#: What is asked to find out how we are must be answered most of all when there is too much to do.
_NEVER_SHED: Final = (b"/health", b"/metrics")

#: Makes a whole HTTP answer, head and body, for a request that is shed.
OverloadAnswer = Callable[[], bytes]


class ConcurrencyLimit:
    """How many requests of this process are being answered, and how many may be.

    A burst may take every place. When they do not become free again within burst_seconds, the load
    is no burst, and half of them must do: a longer queue would answer no more of them, and each
    one later.

    Counted here and not by uvicorn's tasks: those of a turn are forgotten in the next one, by
    when the callers they answered have asked again.
    """

    def __init__(self, max_in_flight: int, burst_seconds: float = _BURST_SECONDS) -> None:
        """Start with none."""
        self._in_flight = 0
        self._max_in_flight = max_in_flight
        self._burst_seconds = burst_seconds
        self._nearly_empty_at = time.monotonic()

    def count(self, change: int) -> None:
        """Let requests in, or out."""
        self._in_flight += change
        if self._in_flight <= self._max_in_flight // 8:
            self._nearly_empty_at = time.monotonic()

    @property
    def is_reached(self) -> bool:
        """Whether one more would be too many."""
        is_burst = time.monotonic() - self._nearly_empty_at < self._burst_seconds
        places = self._max_in_flight if is_burst else (self._max_in_flight + 1) // 2
        return self._in_flight >= places


class LoadSheddingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, within a limit that its connections share."""

    def __init__(  # what uvicorn passes on is its own business
        self,
        *args: Any,  # noqa: ANN401
        limit: ConcurrencyLimit,
        overload_answer: OverloadAnswer,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Take what uvicorn passes on."""
        super().__init__(*args, **kwargs)
        self._limit = limit
        self._overload_answer = overload_answer
        self._is_shedding = False
        self._admitted = 0

    def on_headers_complete(self) -> None:
        """Admit a request, or shed it.

        Refusing it in the application would cost half of what answering it does, and at twice
        the saturating load leave half of the time for answers.
        """
        idle = self.cycle is None or self.cycle.response_complete
        self._is_shedding = self._limit.is_reached and idle and not self.url.startswith(_NEVER_SHED)
        if not self._is_shedding:
            self._count(1)
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body of a request that was admitted."""
        if not self._is_shedding:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; answer it, if it is shed."""
        if not self._is_shedding:
            super().on_message_complete()
            return
        self._is_shedding = False
        self.transport.write(self._overload_answer())
        if self.parser.should_keep_alive():
            super().on_response_complete()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Note that a request is answered; uvicorn does not call this for a caller who has gone."""
        if self._admitted:
            self._count(-1)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the places of a caller who has gone."""
        self._count(-self._admitted)
        super().connection_lost(exc)

    def _count(self, change: int) -> None:
        self._admitted += change
        self._limit.count(change)
