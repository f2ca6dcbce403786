"""What a browser keeps of whoever signed in: a cookie that is signed and says who, for eight hours.

Every replica knows it by its signature; that a session ended early is the keyring's to know.
"""

import hashlib
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import cookie_parser

from evaluation_api.access.cookies import SESSION
from evaluation_api.access.credentials import SESSION_LIFETIME, Pass
from evaluation_api.access.identity import Identity, Kind, Role

#: Longer than any of ours.
_LONGEST: Final = 1024
_KEPT: Final = 4096


class Sessions:
    """Signs cookies, and reads them."""

    def __init__(
        self, secret: str, clock: Callable[[], float] = time.time, *, is_https: bool = False
    ) -> None:
        """Take what is signed with, the same on all replicas.

        is_https: whether browsers come by HTTPS alone; they let no other host of the domain, and
        nobody on the way, set a cookie of the name that holds then.
        """
        self.is_https = is_https
        self.cookie = f"__Host-{SESSION}" if is_https else SESSION
        self._clock = clock
        self._serializer = URLSafeTimedSerializer(
            secret, salt=SESSION, signer_kwargs={"digest_method": hashlib.sha256}
        )
        # What is not signed raises, and raises are not kept: made-up cookies push nobody's out.
        self._read = lru_cache(maxsize=_KEPT)(self._load)

    def seal(self, session_id: str, who: Identity) -> str:
        """Return the cookie of who has signed in."""
        told = [session_id, who.kind, who.name, who.subject, sorted(who.roles)]
        return str(self._serializer.dumps(told))

    def find(self, cookies: bytes) -> Pass | None:
        """Return the session that a Cookie header carries, unless it is forged or over."""
        cookie = cookie_parser(cookies.decode("latin-1")).get(self.cookie, "")
        if not 0 < len(cookie) <= _LONGEST:
            return None
        try:
            session = self._read(cookie)
        except (BadData, ValueError):
            return None
        return session if self._clock() < session.until else None

    def _load(self, cookie: str) -> Pass:
        told, signed_at = self._serializer.loads(cookie, return_timestamp=True)
        session_id, kind, name, subject, roles = told
        who = Identity(Kind(kind), name, frozenset(map(Role, roles)), subject=subject)
        return Pass(session_id, who, (signed_at + SESSION_LIFETIME).timestamp())
