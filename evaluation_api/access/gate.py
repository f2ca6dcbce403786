"""The layer around every route: who asks, whether they may, and whether not too often.

Before the routes, since /avaliar calls no dependency. What it refuses is a domain error; what the
answer looks like is not its business.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from evaluation_api.access import identity
from evaluation_api.access.keyring import Keyring
from evaluation_api.access.limits import RateLimit
from evaluation_api.access.roles import FREE, Rules
from evaluation_api.access.sessions import Sessions
from evaluation_api.decision import errors

if TYPE_CHECKING:
    from evaluation_api.access.oidc import Provider

#: What a customer of a provider has of IPv6; the gateway counts alike.
_NETWORK_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Access:
    """How people and systems come in, where they have to say who they are.

    provider: of people's identities.
    """

    sessions: Sessions
    keyring: Keyring
    limit: RateLimit
    provider: "Provider | None" = None


@dataclass(eq=False, repr=False)
class Gate:
    """Lets a request in, carrying who asks, or answers why not. refusal: answers with an error."""

    app: ASGIApp
    _: KW_ONLY
    rules: Rules
    access: Access
    refusal: Callable[[errors.EvaluationError], ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is refused."""
        app = self.app
        if scope["type"] == "http":
            try:
                self._admit(scope)
            except errors.EvaluationError as exc:
                app = self.refusal(exc)
        await app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        identity.keep(scope, identity.UNKNOWN)
        allowed = self.rules.of(scope)
        if allowed is FREE:
            return
        asking = self.access.keyring.find(scope) or identity.UNKNOWN
        if wait := self.access.limit.seconds_to_wait(asking.label or _network(scope)):
            raise errors.RateExceededError(wait)
        if allowed and asking.roles.isdisjoint(allowed):
            raise errors.NotAllowedError if asking.roles else errors.UnidentifiedError
        identity.keep(scope, asking)


def _network(scope: Scope) -> str:
    """Return what anonymous callers are counted by: a made-up key is nobody's."""
    client = scope.get("client")
    return _network_of(client[0]) if client else ""


@lru_cache(maxsize=1024)
def _network_of(address: str) -> str:
    try:
        told = ip_address(address.partition("%")[0])
    except ValueError:  # a gateway has passed on what a caller made up
        return ""
    if isinstance(told, IPv4Address):
        return address
    return str(told.ipv4_mapped or int(told) >> _NETWORK_BITS)
