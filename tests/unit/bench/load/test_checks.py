"""A system that answers wrong is not measured."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bench.load import checks
from bench.load.one_by_one import WrongAnswerError
from bench.subjects import clients, spoken
from bench.subjects.systems import System
from tests.unit.bench.answering import server

MADE = clients.make(3)
FOURS = '{"nome": "A", "cluster": 4, "resposta": "-"}'


def system(port: int, read: spoken.Read = spoken.evaluation) -> System:
    return System("key", "a system", [], [port], "/", clients.predict_body, read)


def test_answers_that_agree_with_the_pickle_pass() -> None:
    with server(200, fixed=FOURS) as port:
        checks.require_right_answers(system(port), MADE, [4, 4, 4])


@pytest.mark.parametrize(
    ("status", "body", "read", "complaint"),
    [
        (200, FOURS, spoken.evaluation, r"predicted \[4\], the pickle \[0\]"),
        (200, FOURS, spoken.explained_evaluation, "without id, decisao, motivos"),
        (200, "<html>", spoken.evaluation, "what it should not"),
        (503, "later", spoken.evaluation, "answered 503: later"),
    ],
)
def test_a_wrong_answer_is_shown(
    status: int, body: str, read: Callable[[bytes, int], list[int]], complaint: str
) -> None:
    with server(status, fixed=body) as port, pytest.raises(WrongAnswerError, match=complaint):
        checks.require_right_answers(system(port, read), MADE, [4, 4, 0])


def test_the_last_client_is_checked_too_when_they_come_in_groups() -> None:
    answer = '[{"cluster": 1}, {"cluster": 2}]'
    made = clients.make(4)
    with server(200, fixed=answer) as port, pytest.raises(WrongAnswerError):
        checks.require_right_answers(system(port, spoken.predictions), made, [1, 2, 1, 3], rows=2)


def test_what_was_recorded_is_counted(tmp_path: Path) -> None:
    record = tmp_path / "evaluations.db"
    with closing(sqlite3.connect(record)) as connection, connection:
        connection.execute("CREATE TABLE evaluations (id)")
        connection.execute("INSERT INTO evaluations VALUES (1), (2)")

    assert checks.count_recorded(record) == 2
