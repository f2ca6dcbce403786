"""A search that is repeated until it is answered."""

from contextlib import suppress

from evaluation_api.decision.domain import Search, Summary
from evaluation_api.decision.errors import OverloadedError
from evaluation_api.record.search.searches import Searches


async def answered(searches: Searches) -> list[Summary]:
    """Search until that is answered: a busy machine may need longer than one search may take."""
    while True:
        with suppress(OverloadedError):
            return await searches.search(Search(1))
