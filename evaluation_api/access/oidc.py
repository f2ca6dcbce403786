"""Signs people in with a provider's accounts: OpenID Connect, the code flow with PKCE, by Authlib.

What came of it is an identity; the session that it begins is the caller's business.
"""

import hashlib
import logging
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from httpx2 import AsyncByteStream, HTTPError, TransportError
from joserfc.errors import JoseError
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from evaluation_api.access.cookies import WAY
from evaluation_api.access.identity import Identity, Kind, Role
from evaluation_api.access.limits import AtOnce
from evaluation_api.decision import errors, sentences
from evaluation_api.decision.limits import LONGEST_NAME, SUBJECT_LENGTH, is_readable
from evaluation_api.decision.names import in_one_form

logger = logging.getLogger(__name__)

PATH: Final = "/entrar/oidc"
#: What a person may take at the provider's page.
_MOST_SECONDS: Final = 600
_TIMEOUT_SECONDS: Final = 5
#: Who is being signed in: of a provider that does not answer one caller kept as many waiting as may
#: read at once, and nobody else could.
_MOST_AT_ONCE: Final = 16
#: Of each answer of the provider's; one of 900 groups has 40 KB.
_MOST_BYTES: Final = 2**20
#: Of why somebody did not come in, in the log: a part of it may be typed by anybody.
_LONGEST_REASON: Final = 200

#: What Authlib raises of an answer that is no JSON, or another kind of it.
_UNREADABLE: Final = AttributeError, KeyError, RuntimeError, TypeError, ValueError

#: Answers the browser of whoever has signed in.
Welcome = Callable[[Request, Identity], Awaitable[Response]]


@dataclass(eq=False, repr=False, kw_only=True)
class Provider:
    """One provider, and what its groups may do here.

    public_url: where browsers are led back to. secret: signs what they keep meanwhile.
    """

    discovery_url: str
    client_id: str
    client_secret: str
    scope: str
    name_claim: str
    groups_claim: str
    roles: Mapping[str, Iterable[Role]]
    public_url: str
    secret: str
    _client: Any = field(init=False)
    _signing_in: AtOnce = field(init=False)

    def __post_init__(self) -> None:
        """Register it; it is asked when somebody comes."""
        many = f"{_MOST_AT_ONCE} others are being signed in"
        self._signing_in = AtOnce(_MOST_AT_ONCE, partial(errors.ProviderUnavailableError, many))
        self.public_url = self.public_url.rstrip("/")
        self._client = OAuth().register(
            "provider",
            client_id=self.client_id,
            client_secret=self.client_secret,
            server_metadata_url=self.discovery_url,
            client_kwargs={
                "scope": self.scope,
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_SECONDS,
                "event_hooks": {"response": [_bound]},
            },
        )

    def app(self, welcome: Welcome) -> ASGIApp:
        """Return what is mounted at PATH: the way to the provider, and back from it."""

        async def begin(request: Request) -> Response:
            back = f"{self.public_url}{PATH}/retorno"
            with _told(), self._signing_in.place():
                led: Response = await _asked(self._client.authorize_redirect(request, back))
            return led

        async def end(request: Request) -> Response:
            with _told(), self._signing_in.place():
                who = await self._identity(request)
            return await welcome(request, who)

        return SessionMiddleware(
            Router([Route("/inicio", begin), Route("/retorno", end)]),
            self.secret,
            session_cookie=WAY,
            max_age=_MOST_SECONDS,
            path=PATH,
            same_site="lax",
            https_only=self.public_url.startswith("https:"),
        )

    async def _identity(self, request: Request) -> Identity:
        # Authlib keeps them, and asks again for one that it is named and does not know: a provider
        # of a single key need not name it.
        self._client.server_metadata.pop("jwks", None)
        token = await _asked(self._client.authorize_access_token(request))
        if not (claims := dict(token.get("userinfo") or {})):
            raise errors.ProviderUnavailableError("its answer has no ID token")
        if not claims["sub"]:
            raise errors.UnidentifiedError("the provider told of an account without a subject")
        subject = subject_of(claims)
        if not {self.name_claim, self.groups_claim} <= claims.keys():
            claims = joined(claims, await _asked(self._client.userinfo(token=token)))
        told = claims.get(self.name_claim)
        name = in_one_form(told) if isinstance(told, str) else ""
        if not is_readable(name, LONGEST_NAME):
            raise errors.NoEntryError(
                f"no claim {self.name_claim}", sentences.no_name(self.name_claim)
            )
        if self.name_claim == "email" and claims.get("email_verified") is False:
            raise errors.NoEntryError(
                "the provider has not verified the address", sentences.UNVERIFIED_ADDRESS
            )
        if not (roles := self._roles_of(claims.get(self.groups_claim))):
            raise errors.NoEntryError("of no group that has a role", sentences.NO_GROUP)
        return Identity(Kind.ACCOUNT, name, roles, subject=subject)

    def _roles_of(self, groups: object) -> frozenset[Role]:
        """Return what groups may do: a list of texts, or a single one; others have no role here."""
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        found = (self.roles.get(group) for group in named if isinstance(group, str))
        return frozenset().union(*filter(None, found))


class _Bounded(AsyncByteStream):
    """What a provider answers, up to a length. Raises TransportError beyond."""

    def __init__(self, stream: AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _MOST_BYTES
        async for some in self._stream:
            left -= len(some)
            if left < 0:
                raise TransportError(f"its answer has more than {_MOST_BYTES} bytes")
            yield some

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(answer: Any) -> None:  # noqa: ANN401 - of Authlib's client, before it is read
    answer.stream = _Bounded(answer.stream)


def joined(claims: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ID token's claims with those of userinfo, which is not signed.

    Raises UnidentifiedError for those of another account (OpenID Connect Core 5.3.2).
    """
    if told.get("sub") != claims["sub"]:
        raise errors.UnidentifiedError("what the provider told is of another account")
    return {**claims, **told}


def subject_of(claims: Mapping[str, Any]) -> str:
    """Return what tells an account from all others, of this provider and of any: 54 bits of it.

    Names are given anew, and changed; issuer and subject are not (OpenID Connect Core 5.7).
    """
    whose = f"{claims['iss']}\n{claims['sub']}".encode()
    return urlsafe_b64encode(hashlib.sha256(whose).digest()).decode()[:SUBJECT_LENGTH]


@contextmanager
def _told() -> Iterator[None]:
    """Log why somebody does not come in, which they are not told: it is for whoever set this up."""
    try:
        yield
    except errors.EvaluationError as exc:
        reason = "".join(filter(str.isprintable, str(exc)))[:_LONGEST_REASON]
        logger.warning("sign_in_failed", extra={"reason": reason})
        raise


async def _asked(asking: Awaitable[Any]) -> Any:  # noqa: ANN401 - Authlib's own
    """Return what the provider says. Raises UnidentifiedError or ProviderUnavailableError."""
    try:
        return await asking
    except OAuthError as exc:  # its description may name the person
        raise errors.UnidentifiedError(exc.error) from exc
    except JoseError as exc:
        raise errors.UnidentifiedError(str(exc)) from exc
    except HTTPError as exc:
        raise errors.ProviderUnavailableError(f"{type(exc).__name__}: {exc}") from exc
    except _UNREADABLE as exc:
        unreadable = f"its answer cannot be read ({type(exc).__name__})"
        raise errors.ProviderUnavailableError(unreadable) from exc
