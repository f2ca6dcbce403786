"""A record that is searched: by an index and without it, and again until that is answered."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from evaluation_api.decision.domain import Outcome, Search, Summary
from evaluation_api.decision.errors import OverloadedError
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.search.history import History
from evaluation_api.record.search.searches import Searches
from tests.evaluations import decided_entry, pending_entry, prediction

NAMES = ["Maria Souza", "José d'Ávila", "Ana Li", "Li Wu", "João Marinho", "Zoë", "Mariana Ana"]
NOW = datetime.now(UTC)
SOUGHT = [
    Search(5, name="maria"),
    Search(5, name="mari ana"),
    Search(5, name="avila jose"),
    Search(5, name="li"),
    Search(5, name="m"),
    Search(5, name="wu li"),
    Search(5, name="zoe"),
    Search(5, name="nobody"),
    Search(5, name="%"),
    Search(5, outcome=Outcome.REFUSED),
    Search(5, cluster=3),
    Search(5, outcome=Outcome.APPROVED, cluster=4, name="ana"),
    Search(5, name="espera"),
    Search(5, since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1)),
    Search(5, until=NOW - timedelta(hours=1)),
]


async def answered(searches: Searches) -> list[Summary]:
    """Search until that is answered: a busy machine may need longer than one search may take."""
    while True:
        with suppress(OverloadedError):
            return await searches.search(Search(1))


def fill_record(log: EvaluationLog) -> None:
    entries = [
        decided_entry(NAMES[number**2 % 7], prediction(number % 5), when=NOW)
        for number in range(300)
    ]
    log.append([*entries, *(pending_entry("Espera") for _ in range(3))])


def compare_searches(plain: History, indexed: History) -> None:
    """Search for all of SOUGHT, page by page, and find the same either way."""
    for search in SOUGHT:
        found = plain.search(search)
        assert indexed.search(search) == found, search
        if found:
            onward = replace(search, before_id=found[-1].id)
            assert indexed.search(onward) == plain.search(onward), search
