"""That a system answers right before and after it is measured: a fast wrong answer is no speed."""

import http.client
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench.subjects.clients import Client
from bench.subjects.systems import System
from deploy.ports import HOST

ASKED = 50
_SECONDS = 10


class WrongAnswerError(Exception):
    """A system answered something else than it must, so that its speed means nothing."""


def require_right_answers(
    system: System, clients: Sequence[Client], clusters: Sequence[int], rows: int = 1
) -> int:
    """Ask each port about the first 50 groups of clients; return how many answers were checked.

    Raises WrongAnswerError.
    """
    starts = range(0, min(len(clients) // rows, ASKED) * rows, rows)
    for port in system.ports:
        with closing(http.client.HTTPConnection(HOST, port, timeout=_SECONDS)) as connection:
            for start in starts:
                group = slice(start, start + rows)
                _ask(system, connection, clients[group], list(clusters[group]))
    return len(starts) * len(system.ports)


def _ask(
    system: System,
    connection: http.client.HTTPConnection,
    group: Sequence[Client],
    expected: list[int],
) -> None:
    body, head = system.language.encode(group), {"Content-Type": "application/json"}
    connection.request("POST", system.language.path, body, head)
    answer = connection.getresponse()
    content = answer.read()
    said = content[:300].decode(errors="replace")
    if answer.status != http.HTTPStatus.OK:
        message = f"{system.title} answered {answer.status}: {said}"
        raise WrongAnswerError(message)
    try:
        predicted = system.language.read(content)
    except (KeyError, TypeError, ValueError) as exc:
        message = f"{system.title} answered what it should not ({exc}): {said}"
        raise WrongAnswerError(message) from exc
    if predicted is not None and predicted != expected:
        message = f"{system.title} predicted {predicted[:5]}, the pickle {expected[:5]}"
        raise WrongAnswerError(message)


def count(record: Path, query: str = "SELECT count(*) FROM evaluations") -> int:
    """Ask a record in SQLite for one number."""
    with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query).fetchone()[0])
