"""Searches of a record with made-up rows, by the index and without it.

And what an append takes while the index is filled: it waits for no lock of it.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine

from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    Decision,
    Entry,
    Evaluation,
    Model,
    Outcome,
    Prediction,
    Search,
)
from evaluation_api.record import database, schema
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.search import name_index
from evaluation_api.record.search.history import History
from evaluation_api.record.search.searched import Filler
from evaluation_api.runtime.identity import new_id, now

_AT_ONCE: Final = 1_000
_TIMES: Final = 5
#: Rows of the last slice: those that were appended during the one before.
_FEW: Final = 2_000
_BETWEEN_APPENDS_SECONDS: Final = 0.002
_MODEL: Final = Model("credit_card_clusters:0123456789ab", "0" * 64)
#: As long as answers are.
_ANSWER: Final = "x" * 1_200
_FIRST: Final = ("Maria", "José", "Ana", "João", "Antônia", "Francisco", "Carla", "Paulo", "Zoë")
_LAST: Final = ("Silva", "Souza", "d'Ávila", "Oliveira", "Ferreira", "Alves", "Lima", "Quaresma")
_ASKED: Final = {
    "a rare name": Search(21, name="zulmira"),
    "a common name": Search(21, name="maria"),
    "two words": Search(21, name="paulo avila"),
    "two letters": Search(21, name="zu"),
    "nobody": Search(21, name="qwertz"),
    "a decision of nobody": Search(21, outcome=Outcome.REFUSED, cluster=4),
    "the newest": Search(21),
}


def run(rows: int, url: str) -> None:
    """Fill a record and print the slowest of a few searches of each kind, in milliseconds."""
    engine, indexed = database.connect(url), database.connect(url)
    schema.migrate(engine)
    log = EvaluationLog(engine)
    for entries in _entries(rows):
        log.append(entries)
    before = _slowest(History(engine))
    appends = _fill_beside_appends(_filler(indexed), log)
    after = _slowest(History(indexed, indexed=True))
    print(f"| of {rows} | without the index, ms | with it, ms |\n| --- | --: | --: |")
    for name in _ASKED:
        print(f"| {name} | {before[name]:.1f} | {after[name]:.1f} |")
    p99 = statistics.quantiles(appends, n=100)[98]
    print(f"\nAppends beside the index: p50 {statistics.median(appends):.2f} ms, p99 {p99:.2f} ms")
    for one in (engine, indexed):
        one.dispose()


def _entries(rows: int) -> Iterator[list[Entry]]:
    """Yield made-up evaluations, the first of a name of its own."""
    for start in range(0, rows, _AT_ONCE):
        yield [
            _entry(_name(number), number) for number in range(start, min(start + _AT_ONCE, rows))
        ]


def _name(number: int) -> str:
    first, last = _FIRST[number % len(_FIRST)], _LAST[number // 7 % len(_LAST)]
    return f"{first} {last}" if number else "Zulmira Quaresma"


def _entry(name: str, number: int = 0) -> Entry:
    applicant, identity, when = Applicant(name, CardUsage(1, 1, 1, 1, 1)), new_id(), now()
    prediction = Prediction(number % 5, _MODEL, None, 0.3, None)
    decision = Decision(Outcome.APPROVED, "0123456789ab")
    decided = Evaluation(identity, applicant, prediction, decision, when, 1.0)
    return Entry(identity, when, applicant, decided, _ANSWER)


def _slowest(history: History) -> dict[str, float]:
    return {name: max(_timed(history, search)) for name, search in _ASKED.items()}


def _timed(history: History, search: Search) -> Iterator[float]:
    for _ in range(_TIMES):
        started = time.perf_counter()
        history.search(search)
        yield 1000 * (time.perf_counter() - started)


def _filler(indexed: Engine) -> Callable[[], bool]:
    """Return what fills the index a slice at a time, and tells whether there may be more."""
    if indexed.dialect.name == "postgresql":
        return Filler(indexed).fill_some
    name_index.attach(indexed)
    return lambda: name_index.index_some(indexed) > _FEW


def _fill_beside_appends(fill_some: Callable[[], bool], log: EvaluationLog) -> list[float]:
    """Fill the index; return what each append took meanwhile, in milliseconds."""
    appends = []
    with ThreadPoolExecutor(1) as pool:
        filling = pool.submit(_fill, fill_some)
        while not filling.done():
            entry, started = _entry("Bento Alves"), time.perf_counter()
            log.append([entry])
            appends.append(1000 * (time.perf_counter() - started))
            time.sleep(_BETWEEN_APPENDS_SECONDS)
        filling.result()
    return appends


def _fill(fill_some: Callable[[], bool]) -> None:
    while fill_some():
        pass
