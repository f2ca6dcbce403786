"""Admits what this service answers, from whom it may: before BentoML's layers see a request.

Their metrics keep a label for every path that is asked for: 60 requests of 60 KB filled the store,
and each new worker died at start. So BentoML is asked its own few paths, and everything else is the
plain routes', which answer 404 to a stranger. A browser is told apart from a caller by what only
browsers send. Knows neither models nor predictions.
"""

import hmac
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_store.serving import answers, npy, requests

#: For probes and Prometheus, which know the service by its address.
_FOR_ANY_HOST: Final = frozenset({"/livez", "/readyz", "/healthz", "/health", "/metrics"})
#: Not its page at "/", which has whoever looks at it load a tag manager.
_BENTOML: Final = frozenset(
    {"/predict", "/livez", "/readyz", "/healthz", "/metrics", "/docs.json", "/schema.json"}
)
_METRICS: Final = "/metrics"
_METRICS_SECONDS: Final = 0.05
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: A web page may send any other without asking: those of a form, and none at all.
_MEDIA_TYPES: Final = frozenset({b"application/json", npy.MEDIA_TYPE.encode()})

LOOPBACK: Final = "localhost,127.0.0.1,[::1]"


class Callers(NamedTuple):
    """Who may ask: by this token, and where it is optional, who sends none."""

    token: bytes | None
    may_be_unnamed: bool

    def admit(self, header: bytes | None) -> bool:
        """Judge an Authorization header; a wrong one is nobody's, also where it is optional."""
        if header is None or self.token is None:
            return self.may_be_unnamed
        return hmac.compare_digest(header, b"Bearer " + self.token)


ANYBODY: Final = Callers(None, may_be_unnamed=True)


class Admission:
    """Sends each request to BentoML or to the plain routes, or turns it away."""

    def __init__(
        self,
        bentoml: ASGIApp,
        *,
        plain: ASGIApp,
        hosts: Iterable[str],
        callers: Callers = ANYBODY,
    ) -> None:
        """Wrap both. hosts: the names, without a port, by which callers may know this service."""
        self._callers = callers
        self._bentoml = bentoml
        self._metrics = Recent(bentoml, _METRICS_SECONDS)
        self._plain = plain
        self._hosts = frozenset(host.strip().lower().encode() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say why not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self._bentoml(scope, receive, send)
            return
        path = scope["path"]
        if path not in _FOR_ANY_HOST and (refusal := self._refusal(scope)):
            await answers.problem(*refusal)(scope, receive, send)
            return
        app = self._bentoml if path in _BENTOML else self._plain
        if path == _METRICS and scope["method"] in {"GET", "HEAD"}:
            app = self._metrics
        await app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").lower()
        if _name(host) not in self._hosts:
            return HTTPStatus.MISDIRECTED_REQUEST, "The Host header names another service"
        if not self._callers.admit(headers.get(b"authorization")):
            return HTTPStatus.UNAUTHORIZED, "The Authorization header must carry the token"
        if scope["method"] in _READING:
            return None
        if _is_of_a_foreign_page(headers, host):
            return HTTPStatus.FORBIDDEN, "A page of another origin asks"
        if requests.media_type_of(scope) not in _MEDIA_TYPES:
            detail = f"The Content-Type header must be application/json or {npy.MEDIA_TYPE}"
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail
        return None


class Recent:
    """Answers as an application did a moment ago, whoever asks.

    BentoML reads its metrics from files for 2 ms each time: 6,400 requests of 200 callers for them
    kept a prediction waiting for 5 s.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        """Wrap an application that answers all requests alike. seconds: for how long."""
        self._app = app
        self._seconds = seconds
        self._messages: list[Message] = []
        self._until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from memory, or ask."""
        if time.monotonic() >= self._until:
            messages: list[Message] = []

            async def keep(message: Message) -> None:
                messages.append(message)

            await self._app(scope, receive, keep)
            self._messages, self._until = messages, time.monotonic() + self._seconds
        for message in self._messages:
            await send(message)


def _name(host: bytes) -> bytes:
    """Return a host's name without its port; an IPv6 address has colons of its own."""
    name, _, port = host.rpartition(b":")
    return name if port.isdigit() else host


def _is_of_a_foreign_page(headers: Mapping[bytes, bytes], host: bytes) -> bool:
    origin = headers.get(b"origin")
    is_foreign = origin is not None and origin.lower().partition(b"://")[2] != host
    return is_foreign or headers.get(b"sec-fetch-site") == b"cross-site"
