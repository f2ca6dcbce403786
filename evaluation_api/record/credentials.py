"""Keys, links and sessions in the record, and what keeps a keyring in step with them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, or_, select, update

from evaluation_api.access.credentials import (
    SESSION_LIFETIME,
    Credential,
    CredentialKind,
    issue,
)
from evaluation_api.access.identity import Identity, Role, of_terminal
from evaluation_api.access.keyring import Keyring
from evaluation_api.decision import errors
from evaluation_api.record import chain, database, rows
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.tables import credentials
from evaluation_api.runtime.background import Events, repeat

logger = logging.getLogger(__name__)

_EVENTS: Final = Events("credentials_not_read", "credential_watch_failed")
#: From one look's end to the next one's beginning. What is revoked during a look is seen by the
#: next: within this and the time of two looks, together less than 5 s, it lets nobody in any more.
LOOK_SECONDS: Final = 2.0
_NOTE_SECONDS: Final = 60.0
_IN_FORCE: Final = credentials.c.revoked_at.is_(None)
_IS_LINK: Final = credentials.c.kind == CredentialKind.LINK
#: What can let somebody in, or keeps them in, until it runs out.
_OF_USE: Final = _IN_FORCE & (~_IS_LINK | credentials.c.used_at.is_(None))


class CredentialLog(database.Keeper):
    """What lets somebody into one record. Every method raises RecordUnavailableError."""

    def add(self, made: Credential) -> None:
        """Keep a new one, made at a terminal."""
        with self._writing() as connection:
            _add(connection, made, of_terminal())

    def begin_session(self, who: Identity) -> str:
        """Keep a new session of somebody, and return its id."""
        with self._writing() as connection:
            return _begin_session(connection, who)

    def known(self) -> list[Credential]:
        """Return the keys in force, and the sessions that were ended before their time."""
        keys = (credentials.c.kind == CredentialKind.KEY) & _IN_FORCE
        ended = (credentials.c.kind == CredentialKind.SESSION) & ~_IN_FORCE
        return self._find((keys | ended) & (credentials.c.expires_at > datetime.now(UTC)))

    def everything(self) -> list[Credential]:
        """Return all there are, oldest first."""
        return self._find(credentials.c.id != "")

    def use_link(self, digest: str, address: str) -> tuple[str, Identity]:
        """Begin the session of who has a link, and let nobody use it again.

        Returns the session's id, and whose it is. Raises LinkGoneError.
        """
        now = datetime.now(UTC)
        this = (credentials.c.digest == digest) & _IS_LINK
        unused = this & _OF_USE & (credentials.c.expires_at > now)
        using = update(credentials).where(unused).values(used_at=now)
        with self._writing() as connection:
            if not connection.execute(using).rowcount:
                raise errors.LinkGoneError
            link = _decode(connection.execute(select(credentials).where(this)).one())
            who = replace(link.identity, address=address)
            return _begin_session(connection, who), who

    def revoke(self, which: str, by: Identity | None = None) -> int:
        """End what has this id or name: keys, links and sessions; return how many.

        by: who does; the account at a terminal if nobody is told.
        """
        now = datetime.now(UTC)
        named = or_(credentials.c.id == which, credentials.c.name == which)
        ending = update(credentials).where(named & _OF_USE & (credentials.c.expires_at > now))
        with self._writing() as connection:
            ended = connection.execute(ending.values(revoked_at=now)).rowcount
            told = {"which": which, "ended": ended}
            chain.note(connection, chain.by(by or of_terminal(), "revoked", **told))
        return ended

    def note_used(self, used: Mapping[str, float]) -> None:
        """Write when each id was last used, as time.time() has it."""
        with self._writing() as connection:
            for identity, when in used.items():
                at = datetime.fromtimestamp(when, UTC)
                noting = update(credentials).where(credentials.c.id == identity)
                connection.execute(noting.values(used_at=at))

    def _find(self, which: Any) -> list[Credential]:  # noqa: ANN401 - SQLAlchemy's own
        query = select(credentials).where(which).order_by(credentials.c.id)
        with self._transaction() as connection:
            return [_decode(row) for row in connection.execute(query)]


@dataclass(eq=False, repr=False)
class CredentialWatch:
    """Reads them again every two seconds, and writes once a minute which keys were used.

    look() once before anybody is let in, then run(). sleep: for tests.
    """

    log: CredentialLog
    executor: RecordExecutor
    keyring: Keyring
    note_seconds: float = _NOTE_SECONDS
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _note_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._note_at = time.monotonic() + self.note_seconds

    async def run(self) -> None:
        """Look until cancelled; what was known goes on while the record is away."""
        pause = partial(self.sleep, LOOK_SECONDS)
        await repeat(self.look, pause, errors.EvaluationError, logger, _EVENTS)

    async def look(self) -> None:
        """Have the keyring learn what is in force now. Raises RecordUnavailableError."""
        self.keyring.learn(await self.executor.run_refresh(self.log.known))
        if self.keyring.used and time.monotonic() >= self._note_at:
            used, self.keyring.used = self.keyring.used, {}
            self._note_at = time.monotonic() + self.note_seconds
            await self.executor.run_write(self.log.note_used, used)


def _begin_session(connection: Connection, who: Identity) -> str:
    made, _ = issue(CredentialKind.SESSION, who.name, who.roles, SESSION_LIFETIME)
    _add(connection, made, who)
    return made.id


def _add(connection: Connection, made: Credential, by: Identity) -> None:
    values = asdict(made) | {"roles": ",".join(sorted(made.roles))}
    connection.execute(insert(credentials).values(values))
    kind = "sign_in" if made.kind is CredentialKind.SESSION else f"{made.kind}_created"
    told = {"id": made.id, "name": made.name, "roles": sorted(made.roles)}
    chain.note(connection, chain.by(by, kind, **told))


def _decode(row: Row[Any]) -> Credential:
    values = row._asdict()
    for name in ("made_at", "expires_at", "used_at", "revoked_at"):
        values[name] = None if values[name] is None else rows.in_utc(values[name])
    values["kind"] = CredentialKind(row.kind)
    values["roles"] = frozenset(map(Role, row.roles.split(",")))
    return Credential(**values)
