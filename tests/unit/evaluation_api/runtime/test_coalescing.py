"""Concurrent callers who share calls: each gets its own answer, whoever comes, goes or fails."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation_api.decision.errors import OverloadedError
from evaluation_api.runtime.coalescing import Coalescer

Shared = Coalescer[int, int]


class Calls:
    """Doubles numbers, a few turns of the loop later; fails where told to."""

    def __init__(self, turns: int = 1, poison: int | None = None) -> None:
        """poison: the number whose whole call fails."""
        self.batches: list[list[int]] = []
        self.running = 0
        self.most_running = 0
        self._turns = turns
        self._poison = poison

    async def __call__(self, items: list[int]) -> Sequence[int]:
        self.batches.append(items)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for _ in range(self._turns):
                await asyncio.sleep(0)
            if self._poison in items:
                raise ValueError("poison")
            return [2 * item for item in items]
        finally:
            self.running -= 1


def shared(call: Callable[[list[int]], Awaitable[Sequence[int]]], **limits: Any) -> Shared:  # noqa: ANN401
    usual = {"max_items": 100, "max_waiting": 1000, "max_age_seconds": 60}
    return Coalescer(call, overloaded=OverloadedError, **{**usual, **limits})


@settings(max_examples=100, deadline=None)
@given(
    callers=st.lists(
        st.tuples(st.integers(0, 6), st.none() | st.integers(0, 12)), min_size=1, max_size=40
    ),
    turns=st.integers(0, 5),
    max_items=st.integers(1, 7),
    at_once=st.integers(1, 3),
)
def test_every_caller_gets_its_own_answer_whoever_else_gives_up(
    callers: list[tuple[int, int | None]], turns: int, max_items: int, at_once: int
) -> None:
    calls = Calls(turns)

    async def ask(coalesced: Shared, number: int, arrival: int) -> int:
        for _ in range(arrival):
            await asyncio.sleep(0)
        return await coalesced(number)

    async def give_up(task: "asyncio.Task[int]", after: int) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()

    async def scenario() -> list[int | BaseException]:
        coalesced = shared(calls, max_items=max_items, max_concurrent_calls=at_once)
        tasks = [
            asyncio.create_task(ask(coalesced, number, arrival))
            for number, (arrival, _) in enumerate(callers)
        ]
        leaving = [
            give_up(task, turns_until_gone)
            for task, (_, turns_until_gone) in zip(tasks, callers, strict=True)
            if turns_until_gone is not None
        ]
        async with asyncio.timeout(5):
            await asyncio.gather(*leaving)
            return await asyncio.gather(*tasks, return_exceptions=True)

    for number, answer in enumerate(asyncio.run(scenario())):
        gave_up = callers[number][1] is not None
        assert answer == 2 * number or (gave_up and isinstance(answer, asyncio.CancelledError))
    assert max(len(batch) for batch in calls.batches) <= max_items if calls.batches else True
    assert calls.most_running <= at_once


def test_idle_a_caller_goes_at_once_and_busy_the_others_share() -> None:
    calls = Calls(turns=3)

    async def scenario() -> None:
        coalesced = shared(calls)
        first = asyncio.create_task(coalesced(0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.gather(first, *(coalesced(number) for number in range(1, 6)))

    asyncio.run(scenario())

    assert calls.batches == [[0], [1, 2, 3, 4, 5]]


async def meanwhile(coalesced: Shared, numbers: Sequence[int]) -> None:
    """Let one call leave, and these callers come while it runs."""
    first = asyncio.create_task(coalesced(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.gather(first, *map(coalesced, numbers))


@pytest.mark.parametrize(("callers", "calls_at_once"), [(63, 1), (64, 2)])
def test_beside_a_running_call_few_wait_for_it_and_many_leave(
    callers: int, calls_at_once: int
) -> None:
    calls, others = Calls(turns=9), list(range(1, callers + 1))

    asyncio.run(meanwhile(shared(calls, max_concurrent_calls=2), others))

    assert (calls.batches, calls.most_running) == ([[0], others], calls_at_once)


def test_the_next_call_leaves_before_those_who_are_answered_go_on() -> None:
    seen: list[str] = []

    async def call(items: list[int]) -> list[int]:
        seen.append(f"{items} asked")
        await asyncio.sleep(0)
        return items

    async def ask(coalesced: Shared, number: int) -> None:
        await coalesced(number)
        seen.append(f"{number} goes on")

    async def scenario() -> None:
        coalesced = shared(call)
        first = asyncio.create_task(ask(coalesced, 0))
        await asyncio.sleep(0)
        await asyncio.gather(first, ask(coalesced, 1))

    asyncio.run(scenario())

    assert seen == ["[0] asked", "[1] asked", "0 goes on", "1 goes on"]


def test_many_who_are_answered_together_go_on_a_few_in_a_turn_of_the_loop() -> None:
    turn, turns = 0, Counter[int]()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def ask(coalesced: Shared, number: int) -> None:
        await coalesced(number)
        turns[turn] += 1

    async def scenario() -> None:
        counting, coalesced = asyncio.create_task(count_turns()), shared(Calls(), max_items=256)
        await asyncio.gather(*(ask(coalesced, number) for number in range(256)))
        counting.cancel()

    asyncio.run(scenario())

    assert turns.total() == 256
    assert max(turns.values()) <= 64


def test_a_call_that_is_stuck_is_overtaken_after_a_while() -> None:
    released = asyncio.Event()

    async def stuck_at_first(items: list[int]) -> list[int]:
        if items == [0]:
            await released.wait()
        return items

    async def scenario() -> None:
        coalesced = shared(stuck_at_first, max_concurrent_calls=2, overtake_after_seconds=0.01)
        stuck = asyncio.create_task(coalesced(0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await coalesced(1) == 1
        released.set()
        assert await stuck == 0

    asyncio.run(scenario())


def test_a_failed_call_fails_those_it_carried_and_nobody_else() -> None:
    calls = Calls(poison=3)

    async def scenario() -> list[int | BaseException]:
        coalesced = shared(calls, max_items=4)
        return await asyncio.gather(
            *(coalesced(number) for number in range(8)), return_exceptions=True
        )

    answers = asyncio.run(scenario())

    assert all(isinstance(answer, ValueError) for answer in answers[:4])
    assert answers[4:] == [8, 10, 12, 14]


def test_a_call_that_answers_too_few_fails_those_without_an_answer() -> None:
    async def answer_one(items: list[int]) -> list[int]:
        return items[:1]

    async def scenario() -> tuple[int | BaseException, int | BaseException]:
        coalesced = shared(answer_one)
        return await asyncio.gather(coalesced(1), coalesced(2), return_exceptions=True)

    first, second = asyncio.run(scenario())

    assert first == 1
    assert isinstance(second, ValueError)


def test_a_call_that_is_cancelled_leaves_nobody_waiting() -> None:
    async def shut_down(_: list[int]) -> list[int]:
        raise asyncio.CancelledError

    async def scenario() -> None:
        async with asyncio.timeout(5):
            await shared(shut_down)(1)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())


def test_who_gave_up_while_waiting_is_not_carried() -> None:
    calls = Calls(turns=3)

    async def scenario() -> None:
        coalesced = shared(calls)
        first = asyncio.create_task(coalesced(0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving, staying = (asyncio.create_task(coalesced(number)) for number in (1, 2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await first == 0
        assert await staying == 4

    asyncio.run(scenario())

    assert calls.batches == [[0], [2]]


def test_beyond_the_waiting_room_callers_are_refused_at_once() -> None:
    async def scenario() -> list[int | BaseException]:
        coalesced = shared(Calls(turns=5), max_waiting=3)
        return await asyncio.gather(
            *(coalesced(number) for number in range(5)), return_exceptions=True
        )

    answers = asyncio.run(scenario())

    assert answers[:3] == [0, 2, 4]
    assert all(isinstance(answer, OverloadedError) for answer in answers[3:])


def test_who_waited_too_long_is_refused_and_not_carried() -> None:
    calls = Calls()

    async def slow(items: list[int]) -> Sequence[int]:
        await asyncio.sleep(0.05)
        return await calls(items)

    async def scenario() -> int:
        coalesced = shared(slow, max_items=1, max_age_seconds=0.01)
        first = asyncio.create_task(coalesced(0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await coalesced(1)
        return await first

    assert asyncio.run(scenario()) == 0
    assert calls.batches == [[0]]
