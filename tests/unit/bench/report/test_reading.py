"""What the bench reads: wrk's line, HTTP answers, BentoML's metric, the systems' JSON."""

import json

import pytest

from bench.load import answers, batches, wrk
from bench.load.quantiles import percentile
from bench.subjects import spoken

MEASURED = (
    'MEASURED {"seconds": 2.0, "answers": 1000, "not_2xx": 100, "socket_errors": 3, '
    '"p50_ms": 1.5, "p90_ms": 2.0, "p99_ms": 4.0, "max_ms": 9.0}'
)


def test_only_good_answers_count_as_requests_a_second() -> None:
    load = wrk.read(f"Running 2s test\n\n{MEASURED}\n")

    assert load.requests_per_second == 450
    assert load.errors == 103


def test_a_wrk_that_could_not_connect_says_why() -> None:
    with pytest.raises(wrk.WrkError, match="unable to connect"):
        wrk.read("", "unable to connect to 127.0.0.1:1 Connection refused")


def test_a_missing_wrk_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(wrk.MissingError, match="apt-get install wrk"):
        wrk.require()


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert percentile(range(100, 0, -1), percent) == expected


def test_the_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 99) == 0.0


ANSWER = b"HTTP/1.1 503 Unavailable\r\nX-Other: 1\r\nContent-Length: 5\r\n\r\nlater"


def test_an_answer_is_whole_only_with_its_last_byte() -> None:
    assert [answers.first(ANSWER[:end]) for end in range(len(ANSWER))] == [None] * len(ANSWER)
    assert answers.first(ANSWER) == answers.Answer(503, b"later", len(ANSWER))


def test_what_follows_an_answer_is_left_alone() -> None:
    answer = answers.first(ANSWER + b"HTTP/1.1 200 OK\r\n")

    assert answer is not None
    assert answer.size == len(ANSWER)


def test_an_answer_without_a_length_is_an_error_and_no_endless_wait() -> None:
    with pytest.raises(ValueError, match="without Content-Length"):
        answers.first(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def exposition(worker: str, *, alone: int, of_two: int) -> str:
    name = "bentoml_service_adaptive_batch_size"
    labels = f'method_name="predict",worker_index="{worker}"'
    return (
        f'{name}_bucket{{le="1.0",{labels}}} {alone}\n'
        f'{name}_bucket{{le="2.0",{labels}}} {alone + of_two}\n'
        f'{name}_bucket{{le="+Inf",{labels}}} {alone + of_two}\n'
        f"{name}_count{{{labels}}} {alone + of_two}\n"
        f"{name}_sum{{{labels}}} {alone + 2 * of_two}\n"
    )


def test_batches_of_all_workers_are_added_up() -> None:
    head = "# TYPE bentoml_service_adaptive_batch_size histogram\n"
    both = exposition("1", alone=6, of_two=2) + exposition("2", alone=0, of_two=2)

    read = batches.read(head + both)

    assert read == batches.Batches(count=10, mean_requests=1.4, of_several=4, largest_at_most=2.0)
    assert read.share_of_several == 0.4


def test_a_service_that_has_batched_nothing_has_no_batches() -> None:
    assert batches.read("").count == 0


@pytest.mark.parametrize(
    ("read", "body", "rows", "expected"),
    [
        (spoken.evaluation, {"nome": "A", "cluster": 4, "resposta": "-"}, 1, [4]),
        (spoken.predictions, {"cluster": 2}, 1, [2]),
        (spoken.predictions, [{"cluster": 2}, {"cluster": 0}], 2, [2, 0]),
        (spoken.labels, [2, 0], 2, [2, 0]),
        (spoken.tensor, {"outputs": [{"data": [3]}]}, 1, [3]),
    ],
)
def test_each_server_is_read_in_its_own_words(
    read: spoken.Read, body: object, rows: int, expected: list[int]
) -> None:
    assert read(json.dumps(body).encode(), rows) == expected


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (spoken.evaluation, {"cluster": 4}),
        (spoken.explained_evaluation, {"nome": "A", "cluster": 4, "resposta": "-"}),
        (spoken.canned, {"nome": "A", "cluster": 4, "resposta": "-"}),
        (spoken.labels, [1, 2]),
        (spoken.predictions, {"detail": "no"}),
    ],
)
def test_an_answer_that_lacks_something_is_no_answer(read: spoken.Read, body: object) -> None:
    with pytest.raises((KeyError, ValueError)):
        read(json.dumps(body).encode(), 1)
