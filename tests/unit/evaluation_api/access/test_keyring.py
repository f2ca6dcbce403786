"""Keys and sessions: whom they let in, and until when."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from evaluation_api.access import sessions
from evaluation_api.access.credentials import (
    SESSION_LIFETIME,
    Credential,
    CredentialKind,
    digest_of,
    issue,
)
from evaluation_api.access.identity import Identity, Kind, Role
from tests.access import SECRET, access, cookie

ROLES = frozenset({Role.ANALYST, Role.REVIEWER})
ENTRANCE = access()


def a_key(days: int = 1) -> tuple[Credential, str]:
    return issue(CredentialKind.KEY, "vendas", ROLES, timedelta(days=days))


def find(**headers: str) -> Identity | None:
    told = [(name.encode(), value.encode()) for name, value in headers.items()]
    return ENTRANCE.keyring.find({"headers": told})


def test_a_key_lets_in_with_its_name_and_roles_and_notes_that_it_did() -> None:
    made, secret = a_key()
    ENTRANCE.keyring.learn([made])

    assert find(authorization=f"Bearer {secret}") == Identity(Kind.KEY, "vendas", ROLES)
    assert find(authorization=f"bearer {secret}") is not None
    assert set(ENTRANCE.keyring.used) == {made.id}


def test_a_key_is_kept_as_its_digest_alone_and_is_recognisable() -> None:
    made, secret = a_key()

    assert secret.startswith("ccce_")
    assert len(secret) == len("ccce_") + 43
    assert made.digest == digest_of(secret.encode())
    assert secret not in repr(made)
    assert made.hint == secret[:11]


def test_a_key_that_is_revoked_or_over_lets_nobody_in() -> None:
    made, secret = a_key()
    header = f"Bearer {secret}"

    for useless in (
        [],
        [replace(made, revoked_at=datetime.now(UTC))],
        [replace(made, expires_at=datetime.now(UTC))],
        [replace(made, kind=CredentialKind.LINK)],
    ):
        ENTRANCE.keyring.learn(useless)
        assert find(authorization=header) is None


def test_a_session_lets_in_until_it_is_ended() -> None:
    made, _ = issue(CredentialKind.SESSION, "ana", ROLES, SESSION_LIFETIME)
    who = Identity(Kind.ACCOUNT, "ana", ROLES, subject="of hers")
    header = f"tema=escuro; sessao={ENTRANCE.sessions.seal(made.id, who)}"

    assert find(cookie=header) == who
    ENTRANCE.keyring.learn([replace(made, revoked_at=datetime.now(UTC))])
    assert find(cookie=header) is None


def test_a_session_that_was_ended_here_stays_so_whatever_a_look_of_before_has_read() -> None:
    entrance = access()
    made, _ = issue(CredentialKind.SESSION, "ana", ROLES, SESSION_LIFETIME)
    who = Identity(Kind.LINK, "ana", ROLES)
    scope = {"headers": [(b"cookie", f"sessao={entrance.sessions.seal(made.id, who)}".encode())]}
    assert entrance.keyring.find(scope) == who

    entrance.keyring.end(made.id)
    for read in ([], [], [replace(made, revoked_at=datetime.now(UTC))]):
        entrance.keyring.learn(read)
        assert (read, entrance.keyring.find(scope)) == (read, None)


def test_a_session_is_over_after_eight_hours() -> None:
    cookies = cookie(ENTRANCE, Role.ANALYST)["Cookie"].encode()
    begun = time.time()

    def found(seconds: float) -> bool:
        later = sessions.Sessions(SECRET, clock=lambda: begun + seconds)
        return later.find(cookies) is not None

    assert (found(8 * 3600 - 5), found(8 * 3600 + 1)) == (True, False)


def test_a_cookie_that_was_changed_lets_nobody_in() -> None:
    header = cookie(ENTRANCE, Role.ANALYST)["Cookie"]
    changed = [header[:at] + "A" + header[at + 1 :] for at in range(len("sessao="), len(header))]

    assert {find(cookie=one) for one in changed if one != header} == {None}


def test_a_key_goes_before_a_cookie() -> None:
    header = cookie(ENTRANCE, Role.ANALYST)["Cookie"]

    assert find(authorization="Bearer ccce_made_up", cookie=header) is None
    assert find(authorization="Basic YTpi", cookie=header) is not None
