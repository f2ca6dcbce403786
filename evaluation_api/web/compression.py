"""Compresses files once each, and serves them so to who takes that; whatever changes is read again.

A weight of nought means no (RFC 9110, 12.5.3), and what is compressed is not byte for byte what the
file's tag names, so that its tag is a weak one, as nginx has it.
"""

import asyncio
import gzip
from os import PathLike
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

#: Less is hardly smaller, as nginx has it.
_LEAST_BYTES: Final = 1000
_TYPES: Final = ("text/", "application/javascript", "application/json", "image/svg+xml")
#: There are about 40 files; of pages that somebody writes anew, the last are kept.
_MOST_KEPT: Final = 128
#: Sent at once, so that who reads slowly holds little.
PIECE_BYTES: Final = 65_536


class CompressedFiles:
    """The files that were asked for, compressed, in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str | PathLike[str], int], bytes] = {}
        self._compressing = asyncio.Lock()

    async def smaller(self, file: FileResponse, asked: Headers) -> Response:
        """Return a file as it was asked for: compressed where that is taken and of use."""
        is_text = (file.media_type or "").startswith(_TYPES)
        if not is_text or file.stat_result is None or file.stat_result.st_size < _LEAST_BYTES:
            return file
        file.headers.add_vary_header("Accept-Encoding")
        if not _takes_gzip(asked.get("accept-encoding", "")):
            return file
        return _compressed(file, await self._content(file.path, file.stat_result.st_mtime_ns))

    async def _content(self, path: str | PathLike[str], changed_at: int) -> bytes:
        key = path, changed_at
        async with self._compressing:
            if key not in self._kept:
                content = await asyncio.to_thread(_read_compressed, path)
                while len(self._kept) >= _MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = content
        return self._kept[key]


def _read_compressed(path: str | PathLike[str]) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 6, mtime=0)


def _compressed(file: FileResponse, content: bytes) -> Response:
    own = {"content-length", "etag"}
    told = {name: value for name, value in file.headers.items() if name not in own}
    told |= {"etag": f"W/{file.headers['etag']}", "content-encoding": "gzip"}
    return _InPieces(content, file.status_code, told)


class _InPieces(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        start: dict[str, Any] = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        for at in range(0, len(self.body), PIECE_BYTES):
            piece = bytes(self.body[at : at + PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})


def _takes_gzip(accepted: str) -> bool:
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return not weight or bool(weight.partition("=")[2].strip(" .0"))
    return False
