"""The auditor's command replay: evaluates recorded requests again, and knows no SQL."""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Final

from sqlalchemy import Engine

from evaluation_api import app
from evaluation_api.decision import policy_file
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.model.messages import MAX_ROWS
from evaluation_api.operations import replay
from evaluation_api.operations.terminal import Commands, record_of
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.policies import PolicyLog
from evaluation_api.settings import Settings

_DIFFERENT: Final = 1


def add_to(commands: Commands) -> None:
    """Add the command."""
    replaying = commands.add_parser(
        "replay", help="evaluate recorded requests again and report every difference"
    )
    which = replaying.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", default=[], metavar="ID", help="of these evaluations")
    which.add_argument("--all", action="store_true", help="of every decided evaluation")
    replaying.set_defaults(run=_replay)


def _replay(chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
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
    return _DIFFERENT if found or unseen else 0


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
