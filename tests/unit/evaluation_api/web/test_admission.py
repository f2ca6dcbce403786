"""Who is answered: callers and our own pages, by our own names; no visitor of another page."""

import asyncio
import json
import time

import httpx
import pytest

from evaluation_api.app import create_fastapi_app
from evaluation_api.runtime.observation import SECURITY_HEADERS
from evaluation_api.web.problems import MEDIA_TYPE
from tests.clients import MARIA

APP = create_fastapi_app(hosts=("localhost", "[::1]", "clientes.example"))
REACHED = 500  # the endpoint found no services
JSON = {"Content-Type": "application/json"}


def ask(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> httpx.Response:
    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers, content=body)

    return asyncio.run(asking())


def send(headers: dict[str, str], path: str = "/avaliar") -> httpx.Response:
    return ask("POST", path, headers, json.dumps(MARIA).encode())


def assert_refused(answer: httpx.Response, status: int) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert answer.json()["instance"] == answer.headers["x-request-id"]
    for name, value in SECURITY_HEADERS:
        assert answer.headers.get_list(name.decode()) == [value.decode()]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "[::1]", "[::1]:8000"])
def test_the_service_answers_by_its_own_names_at_any_port(host: str) -> None:
    assert send({**JSON, "Host": host}).status_code == REACHED


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil.example", "::1", "", "[::1"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/avaliacoes"), ("POST", "/avaliar")])
def test_a_host_that_is_not_ours_is_refused(method: str, path: str, host: str) -> None:
    assert_refused(ask(method, path, {**JSON, "Host": host}, b"{}"), 421)


@pytest.mark.parametrize(
    "cookie", ['a="' + "\\\\" * 30_000 + '"', 'sessao="' + '\\"' * 30_000, "; " * 32_000]
)
def test_a_cookie_that_is_long_to_take_apart_takes_no_time(cookie: str) -> None:
    begun = time.process_time()
    ask("GET", "/avaliacoes", {"Cookie": cookie})
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live", "/metrics"])
def test_probes_and_prometheus_ask_by_any_address(path: str) -> None:
    assert ask("GET", path, {"Host": "10.1.2.3:8000"}).status_code != 421


@pytest.mark.parametrize(
    "told",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
)
@pytest.mark.parametrize("path", ["/avaliar", "/lotes/1/iniciar", "/avaliacoes/1/revisao"])
def test_a_page_of_another_origin_changes_nothing(path: str, told: dict[str, str]) -> None:
    assert_refused(send({**JSON, **told}, path), 403)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://before.a.proxy.example"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://server:8080", "X-Forwarded-Host": "server:8080"},
    ],
)
def test_callers_and_our_own_pages_are_answered(told: dict[str, str]) -> None:
    assert send({**JSON, **told}).status_code == REACHED


def test_another_page_may_lead_here() -> None:
    told = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}

    assert ask("GET", "/politica", told).status_code == REACHED


@pytest.mark.parametrize(
    "media_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""],
)
@pytest.mark.parametrize("path", ["/avaliar", "/lotes", "/avaliacoes/1/revisao"])
def test_what_any_page_may_send_unasked_is_no_request(path: str, media_type: str) -> None:
    refusal = send({"Content-Type": media_type}, path)

    assert_refused(refusal, 415)
    assert "Content-Type: application/json" in refusal.json()["detail"]


def test_a_body_without_a_type_or_a_length_is_no_request() -> None:
    async def asking() -> httpx.Response:
        async def body() -> object:
            yield b"{}"

        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/avaliar", content=body())  # type: ignore[arg-type]

    assert_refused(asyncio.run(asking()), 415)


FILE_TYPES = ["text/csv", "Text/CSV; charset=utf-8", "application/octet-stream"]
JSON_TYPES = ["application/json", "Application/JSON; charset=utf-8"]


@pytest.mark.parametrize(
    ("path", "media_types"), [("/avaliar", JSON_TYPES), ("/lotes", FILE_TYPES)]
)
def test_json_is_read_and_where_files_are_sent_files(path: str, media_types: list[str]) -> None:
    for media_type in media_types:
        assert send({"Content-Type": media_type}, path).status_code == REACHED


@pytest.mark.parametrize(
    ("path", "media_types"),
    [("/avaliar", FILE_TYPES), ("/avaliacoes/busca", FILE_TYPES), ("/lotes", JSON_TYPES)],
)
def test_a_file_is_no_json_nor_json_a_file(path: str, media_types: list[str]) -> None:
    for media_type in media_types:
        assert_refused(send({"Content-Type": media_type}, path), 415)


@pytest.mark.parametrize("path", ["/docs/" + "a/" * 30_000, "/" + "a/" * 30_000])
def test_a_path_of_many_parts_takes_no_time(path: str) -> None:
    begun = time.process_time()
    for _ in range(10):
        assert_refused(ask("GET", path, {}), 404)
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize("path", ["/avaliacoes/?nome=Ana", "/lotes/", "/politica/", "/docs", "/."])
def test_no_redirect_names_a_host(path: str) -> None:
    answer = ask("GET", path, {"Host": "clientes.example"})

    assert answer.status_code == 404 or answer.headers["location"] == "/docs/"
