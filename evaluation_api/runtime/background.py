"""Background loops: look, pause, look again, until cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from logging import Logger
from typing import NamedTuple, NoReturn


class Events(NamedTuple):
    """What a loop logs of a look that failed: as may happen, or by a defect."""

    waits: str
    failed: str


async def repeat(
    look: Callable[[], Awaitable[None]],
    pause: Callable[[], Awaitable[None]] | float,
    expected: type[Exception],
    logger: Logger,
    events: Events,
) -> NoReturn:
    """Look until cancelled; whatever fails is tried again after the pause.

    pause: in seconds, or what waits. expected: what may happen, a service that is away; it is
    logged once, however long it lasts. Anything else is a defect, and is logged with its traceback:
    one client's must not leave the others waiting.
    """
    reason = ""
    while True:
        try:
            await look()
            reason = ""
        except expected as exc:
            if reason != type(exc).__name__:
                reason = type(exc).__name__
                logger.info(events.waits, extra={"reason": reason})
        except Exception:
            logger.exception(events.failed)
        await (pause() if callable(pause) else asyncio.sleep(pause))
