"""What commands have in common: the record that settings name, a question, a number of days."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from evaluation_api.decision import errors
from evaluation_api.record import schema
from evaluation_api.settings import Settings

#: What a parser has its commands added to: argparse's own type is private.
Commands = Any


class Refusal(errors.EvaluationError):
    """What a command cannot do, in one sentence."""


@contextmanager
def record_of(settings: Settings, *, may_begin: bool = False) -> Iterator[Engine]:
    """Open the record, its tables up to date. Raises RecordUnavailableError.

    may_begin: make one where there is none, for what may come before the first start.
    """
    url = settings.database_url.get_secret_value()
    with schema.opened(url, may_begin=may_begin) as (engine, _):
        yield engine


def confirmed() -> bool:
    """Ask whether to delete for good. Raises Refusal without a terminal to ask on."""
    if not sys.stdin.isatty():
        raise Refusal("Nothing was deleted: without a terminal to confirm on, --yes is needed.")
    return input('Delete them for good? Type "yes": ').strip() == "yes"


def read_days(most: int, text: str) -> timedelta:
    """Read a number of days from 1 on. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of days from 1 to {most}")
    return timedelta(days=int(text))
