"""Who read what, noted behind the answers."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evaluation_api.access.identity import Identity, Kind, Role
from evaluation_api.decision.errors import OverloadedError, RecordUnavailableError
from evaluation_api.operations import audit
from evaluation_api.record import database
from evaluation_api.record.chain import ChainLog
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.journal import Journal
from evaluation_api.record.sealer import Seals
from tests.unit.evaluation_api.record.test_chain import exported

ANA = Identity(Kind.LINK, "Ana", frozenset({Role.ANALYST}), "10.0.0.1")


def test_what_was_noted_is_in_the_chain_once_the_process_has_ended(engine: Engine) -> None:
    async def scenario() -> None:
        async with RecordExecutor() as executor, Journal(ChainLog(engine), executor) as journal:
            for number in range(600):
                journal.note(ANA, "read", evaluation=str(number))

    asyncio.run(scenario())
    Seals(engine).seal_all()

    told = exported(engine)[1:]
    assert [one["what"]["evaluation"] for one in told] == [str(number) for number in range(600)]
    assert {(one["kind"], one["who"], one["from"]) for one in told} == {
        ("read", "link:Ana", "10.0.0.1")
    }
    assert audit.verify(engine).faults == []


def test_what_a_page_looks_at_again_and_again_is_noted_once_an_hour_for_each_reader(
    engine: Engine,
) -> None:
    bia = Identity(Kind.LINK, "Bia", frozenset())
    looks = [(0.0, ANA, "1"), (2.0, ANA, "1"), (3600.0, ANA, "1"), (3601.0, ANA, "1")]
    looks += [(3602.0, ANA, "1"), (3602.0, ANA, "2"), (3602.0, bia, "1")]
    clock = iter([when for when, _, _ in looks]).__next__

    async def scenario() -> None:
        async with (
            RecordExecutor() as executor,
            Journal(ChainLog(engine), executor, clock=clock) as journal,
        ):
            for _, who, file in looks:
                journal.note_hourly(who, "file_read", file=file)

    asyncio.run(scenario())
    Seals(engine).seal_all()

    told = [(one["who"], one["what"]["file"]) for one in exported(engine)[1:]]
    assert told == [("link:Ana", "1"), ("link:Ana", "1"), ("link:Ana", "2"), ("link:Bia", "1")]


def test_what_was_noted_in_an_hour_is_forgotten_beyond_a_bound_and_noted_again(
    engine: Engine,
) -> None:
    async def scenario() -> None:
        async with (
            RecordExecutor() as executor,
            Journal(ChainLog(engine), executor, most_noted=2) as journal,
        ):
            for file in ("1", "2", "2", "3", "1"):
                journal.note_hourly(ANA, "file_read", file=file)

    asyncio.run(scenario())
    Seals(engine).seal_all()

    assert [one["what"]["file"] for one in exported(engine)[1:]] == ["1", "2", "3", "1"]


def test_nothing_more_is_read_when_too_much_could_not_be_noted(tmp_path: Path) -> None:
    """And what could not be is kept until it can be."""
    engine = database.connect(f"sqlite:///{tmp_path / 'without-tables.db'}")

    async def scenario() -> None:
        async with RecordExecutor() as executor:
            journal = Journal(ChainLog(engine), executor, most_waiting=2)
            for _ in range(2):
                journal.note(ANA, "read", evaluation="1")
            for _ in range(2):
                with pytest.raises(RecordUnavailableError):
                    await journal.write()
            with pytest.raises(OverloadedError):
                journal.note(ANA, "read", evaluation="1")

    asyncio.run(scenario())
    engine.dispose()
