"""What people read: the static pages, served where no gateway does, and problems as a page.

The same rules for browsers' stores as the gateway's (deploy/nginx/site.conf.template).
"""

import json
from contextlib import nullcontext
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from evaluation_api.access.limits import AtOnce
from evaluation_api.decision import errors
from evaluation_api.web.compression import PIECE_BYTES, CompressedFiles

#: How many files come in, and how many results or files of a folder go out, at once: each may hold
#: its place for minutes, and evaluations find theirs free, whoever reads or sends slowly.
FILES_AT_ONCE: Final = 8
#: Asked again each time, and answered 304 unless changed: no page of a release meets the modules
#: of another.
_REVALIDATED: Final = "no-cache"
#: Each folder under it carries its version in its name.
_VENDOR: Final = "/vendor/"
_IMMUTABLE: Final = "public, max-age=31536000, immutable"


def _unbroken(shown: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """Keep a line from breaking between a currency and its amount."""
    return shown.replace("R$ ", "R$\N{NO-BREAK SPACE}") if isinstance(shown, str) else shown


templates: Final = Environment(
    loader=PackageLoader("evaluation_api.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_unbroken,
)
_PROBLEM: Final = templates.get_template("problema.html")
_READING: Final = frozenset({"GET", "HEAD"})
_KEPT: Final = ("Allow", "Retry-After")


class Files(StaticFiles):
    """Serves files, smaller where no gateway compresses them; says how long each may be kept."""

    def __init__(self, folder: Path) -> None:
        """Serve a folder's files, and its index.html where the folder is asked for."""
        super().__init__(directory=folder, html=True)
        self._compressed = CompressedFiles()
        self._downloads = AtOnce(FILES_AT_ONCE, errors.ManyFilesError)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a file. Raises ManyFilesError for a large one when so many are being sent.

        Always the whole: Starlette answers a Range that it cannot read with a text of its own.
        """
        scope = {**scope, "headers": [(n, v) for n, v in scope["headers"] if n != b"range"]}
        response = await self.get_response(self.get_path(scope), scope)
        is_large = scope["method"] == "GET" and (
            int(response.headers.get("content-length", "0")) > PIECE_BYTES
        )
        with self._downloads.place() if is_large else nullcontext():
            await response(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file. Raises HTTPException for none, or a folder by another name.

        What is sent to an address without a file is not found: that it takes GET would mislead.
        """
        response = await super().get_response(path, {**scope, "method": "GET"})
        if isinstance(response, RedirectResponse):  # to whatever host was asked for
            raise HTTPException(HTTPStatus.NOT_FOUND)
        if scope["method"] not in _READING:
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
        if isinstance(response, FileResponse):
            return await self._compressed.smaller(response, Headers(scope=scope))
        return response

    def file_response(self, *found: Any, **more: Any) -> Response:  # noqa: ANN401 - Starlette's own
        """Return a file, or that it is still the same."""
        response = super().file_response(*found, **more)
        scope: Scope = found[2]
        is_vendors = scope["path"].startswith(_VENDOR)
        response.headers["Accept-Ranges"] = "none"
        response.headers["Cache-Control"] = _IMMUTABLE if is_vendors else _REVALIDATED
        return response


class ProblemResponse(Response):
    """A problem: as a page for who opens an address in a browser, as it is for every program."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it in the form that was asked for."""
        # So navigation; fetch(), httpx and curl take anything.
        if "text/html" not in Headers(scope=scope).get("accept", ""):
            await super().__call__(scope, receive, send)
            return
        page = HTMLResponse(_PROBLEM.render(json.loads(bytes(self.body))), self.status_code)
        told = {name: self.headers[name] for name in _KEPT if name in self.headers}
        page.headers.update({**told, "Cache-Control": "no-store"})
        await page(scope, receive, send)
