"""Pages as the evaluation service gives them where no gateway does, and problems as pages."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message

from evaluation_api.app import create_app
from evaluation_api.settings import Settings
from evaluation_api.web.pages import FILES_AT_ONCE
from evaluation_api.web.problems import MEDIA_TYPE

FRONTEND = Path(__file__).parents[4] / "frontend"
#: What Chromium sends when somebody opens an address.
NAVIGATION = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
LIBRARY = next(str(path.relative_to(FRONTEND)) for path in FRONTEND.glob("vendor/*/*.css"))
APP = create_app(Settings(frontend_path=FRONTEND, _env_file=None))


class Broken:
    """Services none of which can be had."""

    def __getattr__(self, name: str) -> None:
        """Fail, as a defect would."""
        raise ZeroDivisionError(name)


APP.state.services = Broken()


def ask(path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(APP, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(asking())


@pytest.mark.parametrize("path", ["/", "/lote.html", "/js/history.js", "/style.css", "/docs/"])
def test_a_page_and_its_modules_are_asked_again_and_answered_in_short(path: str) -> None:
    page = ask(path)
    again = ask(path, **{"If-None-Match": page.headers["etag"]})

    assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


def test_a_library_of_a_version_is_kept() -> None:
    library = ask(f"/{LIBRARY}")

    assert library.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("br, gzip;q=0.001", True),
        ("GZIP ; q=1.0", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, identity", False),
        ("br, gzip ; q=0", False),
        ("notgzip", False),
        ("", False),
    ],
)
def test_a_page_is_compressed_for_who_takes_that(accepted: str, *, is_compressed: bool) -> None:
    page = ask("/", **{"Accept-Encoding": accepted})

    assert (page.headers.get("content-encoding") == "gzip") is is_compressed
    assert page.headers["vary"] == "Accept-Encoding"


def test_a_compressed_page_has_another_tag_and_either_tag_spares_its_body() -> None:
    plain, compressed = (ask("/", **{"Accept-Encoding": coding}) for coding in ("", "gzip"))
    tags = {one.headers["etag"] for one in (plain, compressed)}

    assert len(tags) == 2
    for tag in tags:
        assert ask("/", **{"If-None-Match": tag, "Accept-Encoding": "gzip"}).status_code == 304


async def at_once() -> None:
    """Wait for nothing before an answer's body is read."""


async def status_of(
    path: str, before_reading: Callable[[], Awaitable[None]] = at_once
) -> tuple[int, bytes]:
    """Ask, read the body when its client comes to; return the answer's status and Retry-After."""
    told: dict[str, Any] = {}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            told.update(message)
            await before_reading()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": headers}
    await APP({**scope, "query_string": b""}, receive, send)
    return told["status"], dict(told["headers"]).get(b"retry-after", b"")


def test_few_large_files_are_sent_at_once_and_small_ones_always() -> None:
    large, small = "/docs/swagger-ui/swagger-ui-bundle.js", "/docs/swagger-ui/index.css"

    async def asking() -> tuple[object, ...]:
        all_begin, reads = asyncio.Barrier(FILES_AT_ONCE + 1), asyncio.Event()

        async def slowly() -> None:
            await all_begin.wait()
            await reads.wait()

        sent = [asyncio.create_task(status_of(large, slowly)) for _ in range(FILES_AT_ONCE)]
        await all_begin.wait()
        refused = set(await asyncio.gather(*(status_of(large) for _ in range(600))))
        meanwhile = await status_of(small)
        reads.set()
        return refused, meanwhile, set(await asyncio.gather(*sent)), await status_of(large)

    refused, meanwhile, sent, later = asyncio.run(asking())

    assert (refused, meanwhile) == ({(503, b"10")}, (200, b""))
    assert (sent, later) == ({(200, b"")}, (200, b""))


@pytest.mark.parametrize("path", ["/%2e", "/docs/%2e", "/docs/swagger-ui/%2e"])
def test_a_folder_by_another_name_is_no_page_and_no_redirect(path: str) -> None:
    answer = ask(path)

    assert (answer.status_code, answer.headers.get("location")) == (404, None)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nada.html", 404, "Não há nada neste endereço."),
        ("/avaliacoes/<b>/nada", 404, "Não há nada neste endereço."),
        ("/politica?sexo=F", 422, "“sexo” não é aceito"),
        ("/avaliacoes/1/dossie", 500, "Algo deu errado do nosso lado."),
    ],
)
def test_a_problem_is_a_page_to_a_browser_and_problem_json_to_a_program(
    path: str, status: int, words: str
) -> None:
    page, problem = ask(path, Accept=NAVIGATION), ask(path, Accept="*/*")

    assert page.status_code == problem.status_code == status
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert words in page.text
    assert page.headers["x-request-id"] in page.text
    assert problem.headers["content-type"] == MEDIA_TYPE
    assert problem.json()["instance"] == problem.headers["x-request-id"]


def test_a_page_of_a_problem_says_what_may_be_asked_as_the_problem_does() -> None:
    page, problem = ask("/", "POST", Accept=NAVIGATION), ask("/", "POST")

    assert page.status_code == problem.status_code == 405
    assert page.headers["allow"] == problem.headers["allow"] == "GET, HEAD"


def test_a_request_id_is_text_on_the_page() -> None:
    page = ask("/nada", Accept=NAVIGATION, **{"X-Request-ID": "<b>&"})

    assert "<b>&" not in page.text
