"""Files in the form that is asked for; each compressed once, whoever asks."""

import asyncio
import gzip
import os
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response

from evaluation_api.web.compression import CompressedFiles

TAKES_GZIP = Headers({"accept-encoding": "gzip"})


def smaller(files: CompressedFiles, path: Path, asked: Headers = TAKES_GZIP) -> Response:
    return asyncio.run(files.smaller(found(path), asked))


def found(path: Path) -> FileResponse:
    return FileResponse(path, stat_result=path.stat())


def test_a_file_is_compressed_once_for_all_who_ask_at_once_and_later(tmp_path: Path) -> None:
    path, files = tmp_path / "bundle.js", CompressedFiles()
    path.write_text("let a = 1;\n" * 100_000)

    fifty = [found(path) for _ in range(50)]

    async def ask_at_once() -> list[Response]:
        return await asyncio.gather(*(files.smaller(file, TAKES_GZIP) for file in fifty))

    answers = [*asyncio.run(ask_at_once()), smaller(files, path)]

    assert len({id(answer.body) for answer in answers}) == 1
    assert gzip.decompress(answers[0].body) == path.read_bytes()
    assert answers[0].headers["content-length"] == str(len(answers[0].body))


def test_a_file_that_is_written_anew_is_compressed_anew(tmp_path: Path) -> None:
    path, files = tmp_path / "page.html", CompressedFiles()
    path.write_text("before " * 1000)
    smaller(files, path)
    path.write_text("after! " * 1000)
    os.utime(path, ns=(0, 0))

    assert gzip.decompress(smaller(files, path).body).startswith(b"after")


def test_what_is_small_no_text_or_asked_for_plain_is_the_file_itself(tmp_path: Path) -> None:
    files = CompressedFiles()
    small, image, page = tmp_path / "a.css", tmp_path / "a.png", tmp_path / "a.html"
    for path, size in ((small, 999), (image, 5000), (page, 5000)):
        path.write_text("x" * size)
    plain = Headers({"accept-encoding": "gzip;q=0"})

    answers = [smaller(files, small), smaller(files, image), smaller(files, page, plain)]

    assert all(isinstance(answer, FileResponse) for answer in answers)
    assert [answer.headers.get("vary") for answer in answers] == [None, None, "Accept-Encoding"]
