"""An application that asks who one is, without a record: keys and sessions are told it."""

from datetime import timedelta

from evaluation_api.access.credentials import CredentialKind, issue
from evaluation_api.access.gate import Access
from evaluation_api.access.identity import Identity, Kind, Role
from evaluation_api.access.keyring import Keyring
from evaluation_api.access.limits import RateLimit
from evaluation_api.access.sessions import Sessions

SECRET = "signs what browsers keep, for tests"  # noqa: S105 - of nothing


def access(per_second: float = 1e6, burst: int = 1_000_000) -> Access:
    """Make what lets people in, nobody known yet."""
    sessions = Sessions(SECRET)
    return Access(sessions, Keyring(sessions), RateLimit(per_second, burst))


def key(entrance: Access, *roles: Role, name: str = "vendas") -> dict[str, str]:
    """Have somebody known by a key alone; return the header that carries it."""
    made, secret = issue(CredentialKind.KEY, name, frozenset(roles), timedelta(days=1))
    entrance.keyring.learn([made])
    return {"Authorization": f"Bearer {secret}"}


def cookie(entrance: Access, *roles: Role, name: str = "ana") -> dict[str, str]:
    """Have somebody signed in; return the header that says so."""
    who = Identity(Kind.LINK, name, frozenset(roles))
    return {"Cookie": f"sessao={entrance.sessions.seal('a session', who)}"}
