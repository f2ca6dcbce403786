"""Long work on the event loop, a millisecond at a time.

What computes belongs on the loop and not in a thread: a thread that computes holds the interpreter
for 5 ms before whoever waits gets it.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

_SLICE_LINES: Final = 64


async def mapped(change: Callable[..., T], *columns: Sequence[Any]) -> list[T]:
    """Map as the built-in does over sequences of one length, letting others in between."""
    made: list[T] = []
    for part in slices(len(columns[0])):
        made += map(change, *(column[part] for column in columns))
        await asyncio.sleep(0)
    return made


def slices(count: int) -> Iterator[slice]:
    """Cut so many items into what takes about a millisecond."""
    for start in range(0, count, _SLICE_LINES):
        yield slice(start, start + _SLICE_LINES)
