"""The operator's command purge: deletes old evaluations with all that is theirs. Knows no SQL."""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from evaluation_api.operations import retention
from evaluation_api.operations.terminal import Commands, confirmed, read_days, record_of
from evaluation_api.settings import Settings

_CENTURY_DAYS: Final = 36_500


def add_to(commands: Commands) -> None:
    """Add the command."""
    purging = commands.add_parser("purge", help="delete old evaluations with all that is theirs")
    # At least one: keys are promised to hold for 24 hours.
    days = partial(read_days, _CENTURY_DAYS)
    purging.add_argument("--older-than", type=days, required=True, metavar="DAYS")
    purging.add_argument("--yes", action="store_true", help="do not ask")
    purging.set_defaults(run=_purge)


def _purge(chosen: argparse.Namespace, settings: Settings) -> int:
    before = datetime.now(UTC) - chosen.older_than
    with record_of(settings) as engine:
        older = retention.count_older(engine, before)
        what = f"{older.evaluations} evaluations and {older.files} files of clients"
        print(f"{what} were received before {before:%Y-%m-%d %H:%M} UTC.")
        if any(older) and (chosen.yes or confirmed()):
            deleted = retention.purge(engine, before, _deleted_so_far(older.evaluations))
            print(f"{deleted} deleted, with their reviews and keys, and the files.")
        elif any(older):
            print("Nothing was deleted.")
        elif retention.is_unfinished(engine):
            retention.finish(engine)
            print("What a purge or an erasure that was broken off had deleted is wiped.")
    return 0


def _deleted_so_far(total: int) -> Callable[[int], None]:
    """Return what says on standard error, once a second, how far a purge is."""
    told_at = time.monotonic()

    def tell(deleted: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= 1:
            told_at = time.monotonic()
            print(f"{deleted} of {total} deleted", file=sys.stderr)

    return tell
