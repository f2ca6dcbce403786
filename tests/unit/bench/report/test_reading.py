"""What the bench reads: wrk's line, HTTP answers, BentoML's metric, the systems' JSON."""

import json

import pytest

from bench.load import answers, wrk
from bench.subjects import languages
from bench.subjects.languages import Language

MEASURED = (
    'MEASURED {"seconds": 2.0, "answers": 1000, "not_2xx": 100, "socket_errors": 3, '
    '"p50_ms": 1.5, "p99_ms": 4.0}'
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


@pytest.mark.parametrize(
    ("language", "body", "expected"),
    [
        (languages.ORIGINAL, {"nome": "A", "cluster": 4, "resposta": "-"}, [4]),
        (languages.PREDICT, {"cluster": 2}, [2]),
        (languages.PREDICT, [{"cluster": 2}, {"cluster": 0}], [2, 0]),
        (languages.DOCUMENTED, [2, 0], [2, 0]),
        (languages.TENSORS, {"outputs": [{"data": [3]}]}, [3]),
    ],
)
def test_each_server_is_read_in_its_own_words(
    language: Language, body: object, expected: list[int]
) -> None:
    assert language.read(json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    ("language", "body"),
    [
        (languages.ORIGINAL, {"cluster": 4}),
        (languages.EXPLAINED, {"nome": "A", "cluster": 4, "resposta": "-"}),
        (languages.CANNED, {"nome": "A", "cluster": 4, "resposta": "-"}),
        (languages.PREDICT, {"detail": "no"}),
    ],
)
def test_an_answer_that_lacks_something_is_no_answer(language: Language, body: object) -> None:
    with pytest.raises((KeyError, ValueError)):
        language.read(json.dumps(body).encode())
