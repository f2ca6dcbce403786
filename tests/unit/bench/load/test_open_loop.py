"""The open-loop load against a small server whose answers are known."""

import gc
import itertools
import time
import warnings
from collections.abc import Iterator

import pytest

from bench.load import answers, open_loop
from bench.load.open_loop import Request
from tests.unit.bench.answering import server

REQUESTS = [
    Request(answers.post("/", b"client-%d" % number), b"client-%d" % number)
    for number in range(100, 110)
]
GOOD, REFUSED, BROKEN = 200, 503, 500


def test_every_request_is_sent_and_every_answer_counted() -> None:
    with server(GOOD) as port:
        load = open_loop.offer(port, REQUESTS, per_second=500, seconds=0.4, open_at_first=16)

    assert load.good + load.unanswered in range(195, 202)
    assert load.unanswered <= 1
    assert load.goodput >= 375
    assert (load.refused, load.failed, load.mixed_up) == (0, 0, 0)


def test_connections_that_open_at_the_end_are_closed_too() -> None:
    with server(GOOD) as port, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")  # as an error it would keep the loop from being closed
        for _ in range(5):
            open_loop.offer(port, REQUESTS, per_second=20_000, seconds=0.003, open_at_first=1)
    assert warned == []


def test_refusals_and_failures_are_no_goodput() -> None:
    with server(GOOD, REFUSED, REFUSED, BROKEN) as port:
        load = open_loop.offer(port, REQUESTS, per_second=500, seconds=0.4, open_at_first=16)

    assert load.good > 40
    assert abs(load.refused - 2 * load.good) <= 2
    assert abs(load.failed - load.good) <= 1
    assert load.refusal_max_ms >= load.refusal_p99_ms > 0


def test_a_refusal_that_takes_long_surely_did() -> None:
    with server(REFUSED, seconds=0.2) as port:
        load = open_loop.offer(port, REQUESTS, per_second=500, seconds=0.4, open_at_first=256)

    assert 100 < load.refusal_surely_ms <= load.refusal_max_ms


class Interrupting(list[Request]):
    """Keeps whoever takes its requests from all else, the second time in the middle of many."""

    def __iter__(self) -> Iterator[Request]:
        for number in itertools.count():
            if number in {50, 75}:
                time.sleep(1.0)
            yield self[number % len(self)]


def test_while_nobody_looks_no_refusal_is_surely_slow() -> None:
    with server(REFUSED) as port:
        load = open_loop.offer(port, Interrupting(REQUESTS), 200, seconds=2.5, open_at_first=64)

    assert load.refusal_surely_ms < 900 < load.refusal_max_ms


class Noting(list[Request]):
    """Notes, whenever a request is taken, whether the garbage collector may begin."""

    def __iter__(self) -> Iterator[Request]:
        self.may_collect = set[bool]()
        while True:
            for number in range(len(self)):
                self.may_collect.add(gc.isenabled())
                yield self[number]


def test_the_garbage_collector_waits_for_the_end_of_a_load() -> None:
    requests = Noting(REQUESTS)
    with server(GOOD) as port:
        open_loop.offer(port, requests, per_second=250, seconds=0.1, open_at_first=16)

    assert requests.may_collect == {False}
    assert gc.isenabled()


def test_an_answer_to_somebody_else_is_noticed() -> None:
    with server(GOOD, fixed="client-100") as port:
        load = open_loop.offer(port, REQUESTS, per_second=250, seconds=0.4, open_at_first=16)

    assert 0 < load.good * 0.8 < load.mixed_up < load.good


def test_a_slow_server_is_asked_no_less() -> None:
    with server(GOOD, seconds=0.2) as port:
        load = open_loop.offer(port, REQUESTS, per_second=500, seconds=0.4, open_at_first=16)

    assert load.good > 180
    assert load.good_p50_ms > 200
    assert load.goodput < 300


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert open_loop.percentile(range(100, 0, -1), percent) == expected


def test_the_percentile_of_nothing_is_zero() -> None:
    assert open_loop.percentile([], 99) == 0.0
