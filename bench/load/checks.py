"""That a system answers right before and after it is measured: a fast wrong answer is no speed."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench.load.answers import Line, post
from bench.load.one_by_one import WrongAnswerError
from bench.subjects.clients import Client
from bench.subjects.systems import System

ASKED = 50
_GOOD = 200


def require_right_answers(
    system: System, clients: Sequence[Client], clusters: Sequence[int], rows: int = 1
) -> None:
    """Ask about the first 50 groups of clients and compare. Raises WrongAnswerError."""
    for port in system.ports:
        line = Line(port)
        try:
            for start in range(0, min(len(clients) // rows, ASKED) * rows, rows):
                group = slice(start, start + rows)
                _ask(system, line, clients[group], list(clusters[group]))
        finally:
            line.close()


def _ask(system: System, line: Line, group: Sequence[Client], expected: list[int]) -> None:
    answer = line.ask(post(system.path, system.encode(group)))
    said = answer.body[:300].decode(errors="replace")
    if answer.status != _GOOD:
        message = f"{system.title} answered {answer.status}: {said}"
        raise WrongAnswerError(message)
    try:
        predicted = system.read(answer.body, len(group))
    except (KeyError, TypeError, ValueError) as exc:
        message = f"{system.title} answered what it should not ({exc}): {said}"
        raise WrongAnswerError(message) from exc
    if predicted is not None and predicted != expected:
        message = f"{system.title} predicted {predicted[:5]}, the pickle {expected[:5]}"
        raise WrongAnswerError(message)


def count_recorded(record: Path) -> int:
    """Count the evaluations in a record."""
    with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM evaluations").fetchone()
    return int(count)
