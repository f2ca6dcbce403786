"""Keys, links and sessions in the record, and how replicas follow it."""

import asyncio
import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event

from evaluation_api.access.credentials import Credential, CredentialKind, digest_of, issue
from evaluation_api.access.identity import Role
from evaluation_api.decision.errors import LinkGoneError
from evaluation_api.record import deadline
from evaluation_api.record.credentials import CredentialLog, CredentialWatch
from evaluation_api.record.executor import LATE_SECONDS, RecordExecutor
from tests.access import access

ROLES = frozenset({Role.ANALYST, Role.REVIEWER})


@pytest.fixture
def log(engine: Engine) -> CredentialLog:
    return CredentialLog(engine)


def add(
    log: CredentialLog, kind: CredentialKind, name: str = "ana", seconds: float = 600
) -> tuple[Credential, str]:
    made, secret = issue(kind, name, ROLES, timedelta(seconds=seconds))
    log.add(made)
    return made, secret


def test_what_is_kept_is_read_as_it_was(log: CredentialLog) -> None:
    made = [add(log, kind)[0] for kind in CredentialKind]

    assert log.everything() == made


def test_known_are_keys_in_force_and_sessions_that_were_ended(log: CredentialLog) -> None:
    key, _ = add(log, CredentialKind.KEY, "vendas")
    session, _ = add(log, CredentialKind.SESSION)
    for other in CredentialKind:
        add(log, other, "over", seconds=0)
    add(log, CredentialKind.LINK)
    add(log, CredentialKind.SESSION)
    revoked, _ = add(log, CredentialKind.KEY, "revoked")

    assert log.revoke(session.id) == 1
    assert log.revoke("revoked") == 1

    assert [one.id for one in log.known()] == [key.id, session.id]
    assert revoked.id not in [one.id for one in log.known()]


def test_a_name_ends_all_that_is_of_it_once(log: CredentialLog) -> None:
    for kind in CredentialKind:
        add(log, kind, "ana")
    add(log, CredentialKind.KEY, "vendas")

    assert log.revoke("ana") == 3
    assert log.revoke("ana") == 0


def test_a_link_is_used_once_and_its_session_is_there_with_that(log: CredentialLog) -> None:
    """So that nobody's name is revoked between the two, and no link is lost without a session."""
    made, secret = add(log, CredentialKind.LINK)
    digest = digest_of(secret.encode())
    commits: list[object] = []
    event.listen(log.engine, "commit", commits.append)

    session_id, who = log.use_link(digest, "127.0.0.1")

    assert len(commits) == 1
    assert who == replace(made.identity, address="127.0.0.1")
    link, session = log.everything()
    assert (link.id, session.id, session.kind) == (made.id, session_id, CredentialKind.SESSION)
    assert (session.name, session.roles) == ("ana", ROLES)
    with pytest.raises(LinkGoneError):
        log.use_link(digest, "127.0.0.1")


def test_a_used_link_is_nothing_that_can_be_ended_but_its_session_is(log: CredentialLog) -> None:
    """Whoever revokes the link's id must not think that its person is out."""
    made, secret = add(log, CredentialKind.LINK)
    session_id, _ = log.use_link(digest_of(secret.encode()), "")

    assert log.revoke(made.id) == 0
    assert log.revoke("ana") == 1
    assert [one.id for one in log.known()] == [session_id]


def test_no_key_no_old_and_no_revoked_link_signs_anybody_in(log: CredentialLog) -> None:
    _, key = add(log, CredentialKind.KEY)
    _, over = add(log, CredentialKind.LINK, "over", seconds=0)
    _, revoked = add(log, CredentialKind.LINK, "revoked")
    log.revoke("revoked")

    for secret in (key, over, revoked, "", "made up"):
        with pytest.raises(LinkGoneError):
            log.use_link(digest_of(secret.encode()), "")


def test_when_a_key_was_last_used_is_kept(log: CredentialLog) -> None:
    made, _ = add(log, CredentialKind.KEY)

    log.note_used({made.id: 1_800_000_000.0, "of nobody": 1.0})

    assert log.everything()[0].used_at == datetime.fromtimestamp(1_800_000_000, UTC)


def test_a_replica_learns_of_keys_and_of_their_end(log: CredentialLog) -> None:
    made, secret = add(log, CredentialKind.KEY)
    keyring = access().keyring
    scope = {"headers": [(b"authorization", f"Bearer {secret}".encode())]}

    async def look() -> None:
        async with RecordExecutor() as executor:
            await CredentialWatch(log, executor, keyring).look()

    asyncio.run(look())
    assert keyring.find(scope) == made.identity
    log.revoke(made.id)
    asyncio.run(look())
    assert keyring.find(scope) is None


def test_what_is_revoked_during_a_look_is_refused_after_the_next_which_is_within_5_s(
    log: CredentialLog,
) -> None:
    """By what is waited for, and not by a clock: one pause, and two looks at their longest."""
    made, secret = add(log, CredentialKind.KEY)
    keyring, looks = access().keyring, _TimedLooks(log)
    scope = {"headers": [(b"authorization", f"Bearer {secret}".encode())]}
    pauses: asyncio.Queue[float] = asyncio.Queue()
    go_on = asyncio.Event()

    async def pause(seconds: float) -> None:
        await pauses.put(seconds)
        await go_on.wait()
        go_on.clear()

    async def scenario() -> float:
        async with RecordExecutor() as executor:
            watch = CredentialWatch(looks, executor, keyring, sleep=pause)
            running = asyncio.create_task(watch.run())
            seconds = await pauses.get()
            assert keyring.find(scope) == made.identity
            log.revoke(made.id)
            go_on.set()
            await pauses.get()
            running.cancel()
        return seconds

    paused_seconds = asyncio.run(scenario())
    assert keyring.find(scope) is None
    assert len(looks.seconds) == 2
    assert paused_seconds + sum(seconds + LATE_SECONDS for seconds in looks.seconds) < 5


class _TimedLooks(CredentialLog):
    """Notes how long each look may take."""

    def __init__(self, log: CredentialLog) -> None:
        super().__init__(log.engine)
        self.seconds: list[float] = []

    def known(self) -> list[Credential]:
        self.seconds.append(deadline.seconds_left() or math.inf)
        return super().known()


@pytest.mark.parametrize(("seconds", "is_noted"), [(60, False), (0, True)])
def test_which_keys_were_used_is_written_once_in_a_while(
    log: CredentialLog, seconds: float, *, is_noted: bool
) -> None:
    made, _ = add(log, CredentialKind.KEY)
    keyring = access().keyring
    keyring.used[made.id] = time.time()

    async def look() -> None:
        async with RecordExecutor() as executor:
            await CredentialWatch(log, executor, keyring, note_seconds=seconds).look()

    asyncio.run(look())
    assert (log.everything()[0].used_at is not None, keyring.used == {}) == (is_noted, is_noted)
