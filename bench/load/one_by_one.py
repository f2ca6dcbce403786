"""One caller, one request after the other: what a single client sees on an idle system."""

import time
from collections.abc import Sequence

from bench.load.answers import Line
from bench.load.quantiles import percentile

_GOOD = 200


class WrongAnswerError(Exception):
    """A system answered something else than it must, so that its speed means nothing."""


def p50_ms(port: int, requests: Sequence[bytes], seconds: float) -> float:
    """Ask for so many seconds and return the median latency. Raises WrongAnswerError."""
    line = Line(port)
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    try:
        while time.perf_counter() < end:
            sent_at = time.perf_counter()
            answer = line.ask(requests[len(latencies) % len(requests)])
            latencies.append((time.perf_counter() - sent_at) * 1000)
            if answer.status != _GOOD:
                message = f"An idle system answered {answer.status}: {answer.body!r}"
                raise WrongAnswerError(message)
    finally:
        line.close()
    return percentile(latencies, 50)
