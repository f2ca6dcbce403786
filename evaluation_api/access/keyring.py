"""Tells from a request's headers who asks, by what this process knows; no request asks the record.

What is known is read again every few seconds, so that what is revoked is on every replica.
"""

import time
from collections.abc import Iterable
from typing import Final

from starlette.types import Scope

from evaluation_api.access.credentials import Credential, CredentialKind, Pass, digest_of
from evaluation_api.access.identity import Identity
from evaluation_api.access.sessions import Sessions

_BEARER: Final = b"bearer "


class Keyring:
    """The keys that let in, and the sessions that do not any more."""

    def __init__(self, sessions: Sessions) -> None:
        """Start with none. sessions: reads cookies."""
        self._sessions = sessions
        self._keys: dict[str, Pass] = {}
        self._ended: set[str] = set()
        #: Those that were ended here, until the record tells so: a look may be older than that.
        self._ended_here: set[str] = set()
        #: By id, when each was last used, as time.time() has it; for whoever writes it down.
        self.used: dict[str, float] = {}

    def learn(self, known: Iterable[Credential]) -> None:
        """Take what the record has now: keys in force, and sessions that were ended early."""
        keys: dict[str, Pass] = {}
        ended: set[str] = set()
        for one in known:
            if one.revoked_at is not None:
                ended.add(one.id)
            elif one.kind is CredentialKind.KEY and one.digest is not None:
                keys[one.digest] = Pass(one.id, one.identity, one.expires_at.timestamp())
        self._ended_here -= ended
        self._keys, self._ended = keys, ended | self._ended_here

    def end(self, session_id: str) -> None:
        """Let nobody in by a session any more, before the record is read again."""
        self._ended_here.add(session_id)
        self._ended.add(session_id)

    def find(self, scope: Scope) -> Identity | None:
        """Return who asks, by key or by cookie; None for nobody that is known."""
        cookies = b""
        for name, value in scope["headers"]:
            if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
                return self._of_key(value)
            if name == b"cookie":
                cookies = value
        session = self._of_cookies(cookies) if cookies else None
        return None if session is None else session.identity

    def session_of(self, scope: Scope) -> Pass | None:
        """Return the session that a request's cookie is of, unless it was ended."""
        return self._of_cookies(dict(scope["headers"]).get(b"cookie", b""))

    def _of_cookies(self, cookies: bytes) -> Pass | None:
        session = self._sessions.find(cookies)
        return None if session is None or session.id in self._ended else session

    def _of_key(self, header: bytes) -> Identity | None:
        known, now = self._keys.get(digest_of(header[len(_BEARER) :])), time.time()
        if known is None or now >= known.until:
            return None
        self.used[known.id] = now
        return known.identity
