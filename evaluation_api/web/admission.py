"""Admits what this service answers: what is asked by its own names, and not by another's page.

A browser sends what any page has it send, with whatever its user may do here, or to whatever name a
page has pointed at this machine. What browsers say of such requests tells them apart, so that
callers which are no browser have nothing to prove.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from evaluation_api.access import cookies

#: For probes and Prometheus, which know the service by its address.
_FOR_ANY_HOST: Final = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
#: Several times the longest that there is: of 60 KB of slashes Starlette's files made 0.1 s.
_LONGEST_PATH: Final = 1024
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: What is read, and where it is a file; none that a form can have: a browser sends these to another
#: origin with its consent only.
_JSON: Final = frozenset({b"application/json"})
_READ_AT: Final = {"/lotes": frozenset({b"text/csv", b"application/octet-stream"})}
#: What a browser says of a page of ours, and of an address that its user has typed.
_OWN: Final = frozenset({b"same-origin", b"none"})

Headers = dict[bytes, bytes]


class Admission:
    """Passes a request on, or answers why not."""

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], refusal: Callable[[HTTPStatus], ASGIApp]
    ) -> None:
        """Wrap an application. hosts: its names, without a port. refusal: answers with a status."""
        self._app = app
        self._hosts = frozenset(host.strip().lower().encode() for host in hosts)
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is refused."""
        status = self._judge(scope) if scope["type"] == "http" else None
        app = self._app if status is None else self._refusal(status)
        await app(scope, receive, send)

    def _judge(self, scope: Scope) -> HTTPStatus | None:
        headers: Headers = dict(scope["headers"])
        if b"cookie" in headers:
            scope["headers"] = [_without_others(*header) for header in scope["headers"]]
        host = headers.get(b"host", b"")
        if _name(host) not in self._hosts and scope["path"] not in _FOR_ANY_HOST:
            return HTTPStatus.MISDIRECTED_REQUEST
        if len(scope["path"]) > _LONGEST_PATH:
            return HTTPStatus.NOT_FOUND
        if scope["method"] in _READING:
            return None
        if _is_of_another_page(headers, host):
            return HTTPStatus.FORBIDDEN
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            read = _READ_AT.get(scope["path"], _JSON)
            if _media_type(headers.get(b"content-type", b"")) not in read or not _is_plain(headers):
                return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        return None


def _without_others(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name, cookies.own(value) if name == b"cookie" else value


@lru_cache(maxsize=16)
def _name(host: bytes) -> bytes:
    """Return a host's name without its port; an IPv6 address has colons of its own."""
    name, _, port = host.lower().rpartition(b":")
    return name if port.isdigit() else host.lower()


def _is_of_another_page(headers: Headers, host: bytes) -> bool:
    """Compare the page's origin with the host that the browser asked: the gateway's, behind one."""
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        return site not in _OWN
    asked = headers.get(b"x-forwarded-host", host).lower()
    return origin is not None and origin.lower().partition(b"://")[2] != asked


def _is_plain(headers: Headers) -> bool:
    return headers.get(b"content-encoding", b"identity").lower() == b"identity"


@lru_cache(maxsize=16)
def _media_type(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip().lower()
