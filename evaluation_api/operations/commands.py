"""The operator's commands, python -m evaluation_api --help: serve, migrate, replay, purge, keys.

Prints to people, in English; what cannot be done is one sentence on standard error and exit
code 2. Wires parts as app.py does, and knows no SQL and no HTTP.
"""

# ruff: noqa: T201 - a command prints

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Final, NoReturn

from pydantic import ValidationError
from sqlalchemy import Engine

from evaluation_api import app, serving
from evaluation_api.decision import errors, policy_file
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.model.client import MAX_ROWS
from evaluation_api.operations import (
    audit_commands,
    key_commands,
    person_commands,
    replay,
    retention,
)
from evaluation_api.record import schema
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.policies import PolicyLog
from evaluation_api.runtime import logs
from evaluation_api.settings import Settings, wrong_settings

DIFFERENT: Final = 1
REFUSED: Final = 2

_CENTURY_DAYS: Final = 36_500


class Refusal(errors.EvaluationError):
    """What a command cannot do, in one sentence."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        settings = Settings()
        logs.configure(settings.log_level, settings.log_format)
        code: int = chosen.run(chosen, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        _end_as_a_program_whose_reader_left()
    except KeyboardInterrupt:
        return _refuse("Interrupted.")
    except (errors.EvaluationError, OSError, ValidationError) as exc:
        return _refuse(_sentence(exc))
    return code


def _end_as_a_program_whose_reader_left() -> NoReturn:
    """Die of SIGPIPE, as others do before `| head`; Python ignores it until then, for sockets."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    raise AssertionError("still alive")


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return REFUSED


def _sentence(exc: Exception) -> str:
    first_line = str(exc).partition("\n")[0]
    match exc:
        case ValidationError():
            return wrong_settings(exc)
        case errors.RecordUnavailableError():
            return f"The database cannot be used: {first_line}"
        case errors.ModelError():
            return f"The model service gives no predictions: {first_line}"
        case errors.InvalidRequestError():
            return "; ".join(f"{field.pointer}: {field.detail}" for field in exc.fields)
        case OSError():
            return ": ".join(filter(None, (exc.filename, exc.strerror)))
        case _:
            return str(exc)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m evaluation_api", description="Client evaluation.")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(metavar="COMMAND")

    commands.add_parser("serve", help="serve until told to stop (the default)")

    migrating = commands.add_parser("migrate", help="bring the database's tables up to date")
    migrating.set_defaults(run=_migrate)

    moved = commands.add_parser(
        "batch", help="is python -m portfolio score --record now", prefix_chars="+", add_help=False
    )
    moved.add_argument("ignored", nargs="*", help=argparse.SUPPRESS)
    moved.set_defaults(run=_moved)

    replaying = commands.add_parser(
        "replay", help="evaluate recorded requests again and report every difference"
    )
    which = replaying.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", default=[], metavar="ID", help="of these evaluations")
    which.add_argument("--all", action="store_true", help="of every decided evaluation")
    replaying.set_defaults(run=_replay)

    purging = commands.add_parser("purge", help="delete old evaluations with all that is theirs")
    # At least one: keys are promised to hold for 24 hours.
    days = partial(key_commands.read_days, _CENTURY_DAYS)
    purging.add_argument("--older-than", type=days, required=True, metavar="DAYS")
    purging.add_argument("--yes", action="store_true", help="do not ask")
    purging.set_defaults(run=_purge)

    key_commands.add_to(commands)
    audit_commands.add_to(commands)
    person_commands.add_to(commands, app.model_for, _confirmed)
    return parser


def _serve(_chosen: argparse.Namespace, settings: Settings) -> int:
    serving.serve(settings)
    return 0


def _migrate(_chosen: argparse.Namespace, settings: Settings) -> int:
    with schema.opened(settings.database_url.get_secret_value()) as (_, version):
        print(f"The tables are at {version}.")
    return 0


def _moved(_chosen: argparse.Namespace, _settings: Settings) -> int:
    raise Refusal("Files are evaluated by: python -m portfolio score FILE -o OUT --record")


def _purge(chosen: argparse.Namespace, settings: Settings) -> int:
    before = datetime.now(UTC) - chosen.older_than
    with schema.opened(settings.database_url.get_secret_value()) as (engine, _):
        older = retention.count_older(engine, before)
        what = f"{older.evaluations} evaluations and {older.files} files of clients"
        print(f"{what} were received before {before:%Y-%m-%d %H:%M} UTC.")
        if any(older) and (chosen.yes or _confirmed()):
            deleted = retention.purge(engine, before, _deleted_so_far(older.evaluations))
            print(f"{deleted} deleted, with their reviews and keys, and the files.")
        elif any(older):
            print("Nothing was deleted.")
        elif retention.is_unfinished(engine):
            retention.finish(engine)
            print("What a purge that was broken off had deleted is wiped.")
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


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise Refusal("Nothing was deleted: without a terminal to confirm on, --yes is needed.")
    return input('Delete them for good? Type "yes": ').strip() == "yes"


def _replay(chosen: argparse.Namespace, settings: Settings) -> int:
    with schema.opened(settings.database_url.get_secret_value()) as (engine, _):
        return asyncio.run(_replayed(engine, settings, None if chosen.all else chosen.ids))


async def _replayed(engine: Engine, settings: Settings, ids: list[str] | None) -> int:
    """Replay all evaluations, or those with ids; print what differs and tell whether any does."""
    unseen, done, found = set(ids or ()), 0, 0
    async with AsyncExitStack() as stack:
        criteria_of = _criteria(PolicyLog(engine), settings, stack)
        for chunk in EvaluationLog(engine).decided(ids, MAX_ROWS):
            unseen -= {recorded.id for recorded in chunk}
            erased = [one.id for one in chunk if one.erased_at is not None]
            for one in erased:
                print(f"{one}: apagado")
            async for sentence in replay.differences(chunk, criteria_of):
                print(sentence)
                found += 1
            done += len(chunk) - len(erased)
            if done:
                print(f"{done} evaluated again, {found} differences", file=sys.stderr)
    for missing in sorted(unseen):
        print(f"{missing}: no decided evaluation has this id")
    if not done:
        print("0 evaluated again", file=sys.stderr)
    return DIFFERENT if found or unseen else 0


def _criteria(log: PolicyLog, settings: Settings, stack: AsyncExitStack) -> replay.CriteriaOf:
    """Return the function that finds a policy's criteria, reading each policy once."""
    known: dict[str, replay.Criteria | None] = {}

    async def criteria_of(version: str) -> replay.Criteria | None:
        if version not in known:
            source = log.text(version)
            known[version] = None if source is None else await asked_as(policy_file.parse(source))
        return known[version]

    async def asked_as(policy: AnyPolicy) -> replay.Criteria:
        models = await stack.enter_async_context(app.model_for(policy, settings))
        return replay.Criteria(policy, models)

    return criteria_of
