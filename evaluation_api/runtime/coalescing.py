"""Shares calls among concurrent callers: what waits while a call runs goes in the next one.

One request's worth of HTTP or of a transaction costs far more than one row in it, so callers
that arrive together travel together. Idle, a caller goes at once and alone; busy, batches grow
by themselves. Knows nothing of what it carries.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: An item, the promise of its answer, and when it came (the loop's clock, in seconds).
_Waiting = tuple[Item, asyncio.Future[Answer], float]

#: Beside a running call another one leaves with so many items: fewer travel cheaper together.
_MIN_BATCH_SIZE = 64
#: Or when one has waited so long: then the call that runs is stuck, and overtaken.
_OVERTAKE_AFTER_SECONDS = 0.1
#: Callers who go on in one turn of the loop: what 256 of them did took 50 ms, and whoever came
#: meanwhile, to be refused or let in, waited as long.
_ANSWERED_AT_ONCE = 64


@dataclass(eq=False, repr=False)
class Coalescer(Generic[Item, Answer]):
    """Turns a call for many into a call for one.

    call: takes up to max_items items and gives as many answers, in the same order; what it raises
    is raised to those it carried and to nobody else. max_waiting: items beyond which callers are
    refused. max_age_seconds: what has waited longer is refused instead of carried. overloaded:
    makes what a caller who is refused is raised. overtake_after_seconds: for how long a running
    call keeps fewer than _MIN_BATCH_SIZE items waiting, unless it ends before.
    """

    call: Callable[[list[Item]], Awaitable[Sequence[Answer]]]
    _: KW_ONLY
    max_items: int
    max_waiting: int
    max_age_seconds: float
    overloaded: Callable[[], Exception]
    max_concurrent_calls: int = 1
    overtake_after_seconds: float = _OVERTAKE_AFTER_SECONDS
    _is_dispatching: bool = field(default=False, init=False)
    _overtaking: asyncio.TimerHandle | None = field(default=None, init=False)
    _waiting: deque[_Waiting[Item, Answer]] = field(default_factory=deque, init=False)
    _calls: int = field(default=0, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def __call__(self, item: Item) -> Answer:
        """Carry one item and return its own answer.

        Raises what overloaded makes, at once when max_waiting items wait already.
        """
        if len(self._waiting) >= self.max_waiting:
            raise self.overloaded()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future, loop.time()))
        if self._has_room and not self._is_dispatching:
            self._is_dispatching = True  # after this turn of the loop: who arrives in it comes too
            loop.call_soon(self._dispatch)
        return await future

    @property
    def _has_room(self) -> bool:
        return self._calls < self.max_concurrent_calls

    def _dispatch(self) -> None:
        self._is_dispatching = False
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._has_room and self._is_worth_a_call(now):
            if batch := self._take_batch(now - self.max_age_seconds):
                self._calls += 1
                task = loop.create_task(self._carry(batch))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        if self._waiting and self._has_room and self._overtaking is None:
            self._overtaking = loop.call_later(self.overtake_after_seconds, self._overtake)

    def _overtake(self) -> None:
        self._overtaking = None
        self._dispatch()

    def _is_worth_a_call(self, now: float) -> bool:
        """Tell whether those who wait should leave, though they could share the next call."""
        if not (self._waiting and self._calls):
            return bool(self._waiting)
        _, _, arrived = self._waiting[0]
        is_stuck = now - arrived >= self.overtake_after_seconds
        return is_stuck or len(self._waiting) >= _MIN_BATCH_SIZE

    def _take_batch(self, oldest: float) -> list[_Waiting[Item, Answer]]:
        """Take the longest-waiting items, without those who have gone or came before oldest."""
        batch: list[_Waiting[Item, Answer]] = []
        while self._waiting and len(batch) < self.max_items:
            waiting = self._waiting.popleft()
            _, future, arrived = waiting
            if future.done():
                continue
            if arrived < oldest:
                future.set_exception(self.overloaded())
            else:
                batch.append(waiting)
        return batch

    async def _carry(self, batch: list[_Waiting[Item, Answer]]) -> None:
        try:
            answers = await self._ask([item for item, _, _ in batch])
            in_turn = zip(batch, answers, strict=True)
            for number, ((_, future, _), answer) in enumerate(in_turn, start=1):
                if not future.done():
                    future.set_result(answer)
                if number % _ANSWERED_AT_ONCE == 0:
                    await asyncio.sleep(0)
        except Exception as exc:  # noqa: BLE001 - whatever it is, its callers are waiting for it
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(exc)
        finally:
            for _, future, _ in batch:
                future.cancel()  # no-op once answered; a cancelled call leaves nobody hanging

    async def _ask(self, items: list[Item]) -> Sequence[Answer]:
        """Make the call; the next one leaves before those who are answered go on."""
        try:
            return await self.call(items)
        finally:
            self._calls -= 1
            self._dispatch()
