"""Shares calls among concurrent callers: what waits while a call runs goes in the next one.

One request's worth of HTTP or of a transaction costs far more than one row in it, so callers
that arrive together travel together. Idle, a caller goes at once and alone; busy, batches grow
by themselves. Knows nothing of what it carries.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: An item, the promise of its answer, and when it came (the loop's clock, in seconds).
_Waiting = tuple[Item, asyncio.Future[Answer], float]

#: Beside a running call another one leaves with so many items: fewer travel cheaper together.
_COMPANY = 64
#: Or when one has waited so long: then the call that runs is stuck, and overtaken.
_PATIENCE_SECONDS = 0.1


class Coalescer(Generic[Item, Answer]):
    """Turns a call for many into a call for one.

    call: takes up to max_items items and gives as many answers, in the same order; what it raises
    is raised to those it carried and to nobody else.
    lanes: calls that may run at the same time. max_waiting: items beyond which callers are refused.
    max_age_seconds: what has waited longer is refused instead of carried. overloaded: makes what a
    caller who is refused is raised.
    """

    def __init__(  # noqa: PLR0913 - each limit by name
        self,
        call: Callable[[list[Item]], Awaitable[Sequence[Answer]]],
        *,
        max_items: int,
        max_waiting: int,
        max_age_seconds: float,
        overloaded: Callable[[], Exception],
        lanes: int = 1,
    ) -> None:
        """Start idle; needs a running event loop only when called."""
        self._call = call
        self._max_items = max_items
        self._max_waiting = max_waiting
        self._max_age_seconds = max_age_seconds
        self._overloaded = overloaded
        self._lanes = self._free_lanes = lanes
        self._departing = False
        self._looking_again = False
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Answer:
        """Carry one item and give its own answer.

        Raises what overloaded makes, at once when max_waiting items wait already.
        """
        if len(self._waiting) >= self._max_waiting:
            raise self._overloaded()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future, loop.time()))
        self._depart_soon(loop)
        return await future

    def _depart_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave after this turn of the loop, so that all who arrive in it travel together."""
        if self._free_lanes and not self._departing:
            self._departing = True
            loop.call_soon(self._depart, loop)

    def _depart(self, loop: asyncio.AbstractEventLoop) -> None:
        self._departing = False
        now = loop.time()
        while self._free_lanes and self._is_worth_a_call(now):
            if batch := self._board(now - self._max_age_seconds):
                self._free_lanes -= 1
                task = loop.create_task(self._carry(batch))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        if self._waiting and self._free_lanes and not self._looking_again:
            self._looking_again = True
            loop.call_later(_PATIENCE_SECONDS, self._look_again, loop)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looking_again = False
        self._depart(loop)

    def _is_worth_a_call(self, now: float) -> bool:
        """Tell whether those who wait should leave, though they could share the next call."""
        if not self._waiting:
            return False
        if self._free_lanes == self._lanes:
            return True
        _, _, arrived = self._waiting[0]
        return len(self._waiting) >= _COMPANY or now - arrived >= _PATIENCE_SECONDS

    def _board(self, oldest: float) -> list[_Waiting[Item, Answer]]:
        """Take the longest-waiting items, without those who have gone or came before oldest."""
        batch: list[_Waiting[Item, Answer]] = []
        while self._waiting and len(batch) < self._max_items:
            waiting = self._waiting.popleft()
            _, future, arrived = waiting
            if future.done():
                continue
            if arrived < oldest:
                future.set_exception(self._overloaded())
            else:
                batch.append(waiting)
        return batch

    async def _carry(self, batch: list[_Waiting[Item, Answer]]) -> None:
        try:
            answers = await self._call([item for item, _, _ in batch])
            for (_, future, _), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        except Exception as exc:  # noqa: BLE001 - whatever it is, its callers are waiting for it
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(exc)
        finally:
            for _, future, _ in batch:
                future.cancel()  # no-op once answered; a cancelled call leaves nobody hanging
            self._free_lanes += 1
            self._depart_soon(asyncio.get_running_loop())
