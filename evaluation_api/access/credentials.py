"""What lets somebody in: keys of systems, one-time links and sessions of people, as they are kept.

Of a key and a link only the SHA-256 is: 256 random bits need no slower one.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from evaluation_api.access.identity import Identity, Kind, Role
from evaluation_api.runtime.identity import new_id, now

#: What programs that look for leaked secrets can recognise.
PREFIX: Final = "ccce_"
SESSION_LIFETIME: Final = timedelta(hours=8)
#: How much of a key is shown in lists, the prefix included.
_HINT: Final = len(PREFIX) + 6


class CredentialKind(StrEnum):
    """Which of them; the values are SQL's."""

    KEY = "chave"
    LINK = "link"
    SESSION = "sessao"


@dataclass(frozen=True, slots=True)
class Credential:
    """One of them. digest: None for a session, which is signed. hint: how the secret begins."""

    id: str
    kind: CredentialKind
    name: str
    roles: frozenset[Role]
    made_at: datetime
    expires_at: datetime
    digest: str | None = None
    hint: str = ""
    used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def identity(self) -> Identity:
        """Return whom a key or a link lets in; who has a session says so by a cookie."""
        kind = Kind.KEY if self.kind is CredentialKind.KEY else Kind.LINK
        return Identity(kind, self.name, self.roles)


class Pass(NamedTuple):
    """A key or a session as it lets somebody in. until: as time.time() has it."""

    id: str
    identity: Identity
    until: float


def issue(
    kind: CredentialKind, name: str, roles: frozenset[Role], lifetime: timedelta
) -> tuple[Credential, str]:
    """Make a new one, and its secret, which is shown once; a session has none."""
    secret = "" if kind is CredentialKind.SESSION else PREFIX + secrets.token_urlsafe(32)
    digest, hint = digest_of(secret.encode()) if secret else None, secret[:_HINT]
    made_at = now()
    made = Credential(new_id(), kind, name, roles, made_at, made_at + lifetime, digest, hint)
    return made, secret


def digest_of(secret: bytes) -> str:
    """Return what is kept of a secret, whatever it is."""
    return hashlib.sha256(secret).hexdigest()
