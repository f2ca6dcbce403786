"""A loop in the background survives whatever a look does, and ends when it is cancelled."""

import asyncio
import logging

import pytest

from evaluation_api.runtime.background import Events, repeat

LOGGER = logging.getLogger(__name__)


def test_a_failure_is_logged_as_what_it_is_and_the_next_look_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks = iter([TimeoutError("away"), ValueError("defect"), None])
    pauses = 0

    async def look() -> None:
        if (failure := next(looks)) is not None:
            raise failure

    async def pause() -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            raise asyncio.CancelledError

    async def run() -> None:
        events = Events("it_waits", "it_failed")
        await repeat(look, pause, TimeoutError, LOGGER, events)

    with caplog.at_level(logging.INFO), pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    told = [(r.levelname, r.message, bool(r.exc_info)) for r in caplog.records]
    assert told == [("INFO", "it_waits", False), ("ERROR", "it_failed", True)]


def test_a_look_that_is_cancelled_ends_the_loop() -> None:
    async def run() -> None:
        async def look() -> None:
            await asyncio.Event().wait()

        async def pause() -> None:
            raise AssertionError

        events = Events("it_waits", "it_failed")
        loop = repeat(look, pause, TimeoutError, LOGGER, events)
        task = asyncio.create_task(loop)
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
