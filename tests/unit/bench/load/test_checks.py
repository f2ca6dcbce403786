"""A system that answers wrong is not measured."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bench.load import checks
from bench.load.checks import WrongAnswerError
from bench.subjects import clients, languages
from bench.subjects.languages import Language
from bench.subjects.systems import System
from tests.unit.bench.answering import server

MADE = clients.make(3)
FOURS = '{"nome": "A", "cluster": 4, "resposta": "-"}'


def system(port: int, language: Language = languages.ORIGINAL) -> System:
    return System("key", "a system", [], [port], language)


def test_answers_that_agree_with_the_pickle_pass_and_are_counted() -> None:
    with server(200, fixed=FOURS) as port:
        assert checks.require_right_answers(system(port), MADE, [4, 4, 4]) == 3


def test_who_is_refused_while_a_load_is_still_answered_asks_again() -> None:
    with server(503, 503, 200, fixed=FOURS) as port:
        assert checks.require_right_answers(system(port), MADE, [4, 4, 4]) == 3


@pytest.mark.parametrize(
    ("status", "body", "language", "complaint"),
    [
        (200, FOURS, languages.ORIGINAL, r"predicted \[4\], the pickle \[0\]"),
        (200, FOURS, languages.EXPLAINED, "without id, decisao, motivos"),
        (200, "<html>", languages.ORIGINAL, "what it should not"),
        (503, "later", languages.ORIGINAL, "answered 503: later"),
    ],
)
def test_a_wrong_answer_is_shown(
    status: int, body: str, language: Language, complaint: str
) -> None:
    with server(status, fixed=body) as port, pytest.raises(WrongAnswerError, match=complaint):
        checks.require_right_answers(system(port, language), MADE, [4, 4, 0])


@pytest.mark.parametrize("said", ["[1, 2]", "[1]", "[1, 2, 1]"])
def test_every_client_of_a_group_is_checked(said: str) -> None:
    made, language = clients.make(4), replace(languages.DOCUMENTED, path="/")
    with server(200, fixed=said) as port, pytest.raises(WrongAnswerError):
        checks.require_right_answers(system(port, language), made, [1, 2, 1, 3], rows=2)


def test_what_was_recorded_is_counted(tmp_path: Path) -> None:
    record = tmp_path / "evaluations.db"
    with closing(sqlite3.connect(record)) as connection, connection:
        connection.execute("CREATE TABLE evaluations (id)")
        connection.execute("INSERT INTO evaluations VALUES (1), (2)")

    assert checks.count(record) == 2
