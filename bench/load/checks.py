"""That a system answers right before and after it is measured: a fast wrong answer is no speed."""

import http.client
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.subjects.clients import Client
from bench.subjects.systems import System
from deploy.ports import HOST
from evaluation_api.record import database
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pending import PendingQueue

ASKED = 50
_SECONDS = 10
_POLL_SECONDS = 0.05
#: A load that ends leaves its last requests behind, as many as it had connections, and a service
#: that answers those refuses newcomers meanwhile.
_BUSY_SECONDS = 1.0
_CHUNK = 1000


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
    give_up_at = time.monotonic() + _BUSY_SECONDS
    status, content = _asked(system, connection, group)
    while status == http.HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < give_up_at:
        time.sleep(_POLL_SECONDS)
        status, content = _asked(system, connection, group)
    said = content[:300].decode(errors="replace")
    if status != http.HTTPStatus.OK:
        raise WrongAnswerError(f"{system.title} answered {status}: {said}")
    try:
        predicted = system.language.read(content)
    except (KeyError, TypeError, ValueError) as exc:
        message = f"{system.title} answered what it should not ({exc}): {said}"
        raise WrongAnswerError(message) from exc
    if predicted is not None and predicted != expected:
        message = f"{system.title} predicted {predicted[:5]}, the pickle {expected[:5]}"
        raise WrongAnswerError(message)


def _asked(
    system: System, connection: http.client.HTTPConnection, group: Sequence[Client]
) -> tuple[int, bytes]:
    language = system.language
    connection.request("POST", language.path, language.encode(group), system.headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def count(record: Path, query: str = "SELECT count(*) FROM evaluations") -> int:
    """Ask a record in SQLite for one number."""
    with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query).fetchone()[0])


@dataclass(frozen=True)
class Held:
    """What a record holds of so many keys that were answered, counted.

    lost: answered, and not recorded as it was answered. doubled: evaluations of a key beyond its
    first. unversioned: decisions without the model and the policy they are of, or without an
    answer.
    """

    recorded: int
    lost: int
    doubled: int
    unversioned: int


def hold(url: str, keys: Sequence[str], answers: Mapping[str, str], seconds: float) -> Held:
    """Read a record, once nothing waits for the model in it.

    answers: by key, what callers were given for good; of the other keys they were promised an
    answer. Waits up to so many seconds.
    """
    engine = database.connect(url)
    queue, log = PendingQueue(engine), EvaluationLog(engine)
    give_up_at = time.monotonic() + seconds
    while queue.count() and time.monotonic() < give_up_at:
        time.sleep(_POLL_SECONDS)
    recorded = [one for chunk in log.decided(None, _CHUNK) for one in chunk]
    starts = range(0, len(keys), _CHUNK)
    uses = [use for start in starts for use in log.find_by_keys(keys[start : start + _CHUNK])]
    engine.dispose()
    found = {key: use.answer for key, use in zip(keys, uses, strict=True) if use}
    return Held(
        len(recorded),
        lost=sum(
            found.get(key) is None or found[key] != answers.get(key, found[key]) for key in keys
        ),
        doubled=len(recorded) - len({use.id for use in uses if use}),
        unversioned=sum(
            not (one.model_tag and one.model_sha256 and one.policy_version and one.answer)
            for one in recorded
        ),
    )
