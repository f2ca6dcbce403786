"""Compresses what is served, for who takes it: Starlette's way, and two things that HTTP asks for.

A weight of nought means no (RFC 9110, 12.5.3), and what is compressed is not byte for byte what the
file's tag names, so that its tag is a weak one, as nginx has it.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Compression:
    """Wraps an application that is asked over HTTP."""

    def __init__(self, app: ASGIApp) -> None:
        """Take what answers."""
        self._app = GZipMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer compressed, or as it is."""
        coding = b"gzip" if _takes_gzip(Headers(scope=scope).get("accept-encoding", "")) else b""
        others = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
        scope = {**scope, "headers": [*others, (b"accept-encoding", coding)]}

        async def send_tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                _weaken_tag(MutableHeaders(raw=message["headers"]))
            await send(message)

        await self._app(scope, receive, send_tagged)


def _takes_gzip(accepted: str) -> bool:
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return not weight or bool(weight.partition("=")[2].strip(" .0"))
    return False


def _weaken_tag(headers: MutableHeaders) -> None:
    if "content-encoding" in headers and "etag" in headers:
        headers["etag"] = f"W/{headers['etag']}"
