"""Who is let in to BentoML's application, who to the plain routes, and who to neither."""

import asyncio
import time
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from model_store.publications import Choice
from model_store.serving import routes
from model_store.serving.admission import LOOPBACK, Admission, Callers
from model_store.serving.live import LiveModel, Serving

#: What BentoML counts each request under, if it is asked.
BENTOMLS = ("/livez", "/readyz", "/healthz", "/metrics", "/docs.json", "/schema.json")
LIVE = LiveModel()
LIVE.now = Serving(cast("Any", None), Choice("x:1", None, None))
JSON = {"content-type": "application/json"}


async def bentoml(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("BentoML")(scope, receive, send)


def admission(plain: Starlette | None = None, hosts: str = LOOPBACK) -> Admission:
    return Admission(bentoml, plain=plain or routes.create_app(LIVE), hosts=hosts.split(","))


def ask(method: str, path: str, hosts: str = LOOPBACK, **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(admission(hosts=hosts))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8001") as one:
            return await one.request(method, path, headers=named)

    return asyncio.run(asked())


@pytest.mark.parametrize("path", BENTOMLS)
def test_bentoml_answers_its_own_paths(path: str) -> None:
    assert ask("GET", path).text == "BentoML"
    assert ask("POST", "/predict", **JSON).text == "BentoML"


@pytest.mark.parametrize(
    "path", ["/", "/predict/", "//predict", "/Predict", "/model/", "/static_content/x", "/x" * 9999]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bentoml_never_hears_of_an_unknown_path_and_nobody_is_redirected(
    method: str, path: str
) -> None:
    refusal = ask(method, path, **JSON)

    assert refusal.status_code == 404
    assert refusal.headers["content-type"] == "application/problem+json"
    assert "location" not in refusal.headers


def test_another_method_on_a_known_path_is_told_which_are_taken() -> None:
    refusal = ask("POST", "/model", **JSON)

    assert refusal.status_code == 405
    assert set(refusal.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8001", "127.0.0.1:1", "[::1]", "[::1]:80"]
)
def test_loopback_may_be_called_by_any_of_its_names(host: str) -> None:
    assert ask("POST", "/predict", host=host, **JSON).is_success


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example:80", "", ":80", "127.0.0.1.evil.example", "[::2]"],
)
def test_another_host_is_refused_but_for_probes_and_prometheus(host: str) -> None:
    assert ask("POST", "/predict", host=host, **JSON).status_code == 421
    assert ask("GET", "/model", host=host).status_code == 421
    for path in ("/livez", "/readyz", "/healthz", "/health", "/metrics"):
        assert ask("GET", path, host=host).is_success


def test_a_setting_names_the_hosts() -> None:
    hosts = "ml_model_service, model.internal"

    assert ask("POST", "/predict", hosts, host="ml_model_service:8001", **JSON).is_success
    assert ask("POST", "/predict", hosts, host="Model.Internal", **JSON).is_success
    assert ask("POST", "/predict", hosts, host="localhost", **JSON).status_code == 421


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "http://localhost:8000"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_origin_is_refused(headers: dict[str, str]) -> None:
    assert ask("POST", "/predict", **JSON, **headers).status_code == 403
    assert ask("GET", "/docs.json", **headers).is_success


def test_a_page_of_its_own_origin_is_not() -> None:
    own = {"origin": "http://localhost:8001", "sec-fetch-site": "same-origin"}

    assert ask("POST", "/predict", **JSON, **own).is_success


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_page_may_send_without_asking_is_refused_by_the_headers_name(
    content_type: str,
) -> None:
    refusal = ask("POST", "/predict", **{"content-type": content_type})

    assert refusal.status_code == 415
    assert "Content-Type" in refusal.json()["detail"]
    assert ask("POST", "/predict", **{"content-type": "Application/JSON; charset=utf-8"}).is_success


def test_no_web_socket_is_opened() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(admission()({"type": "websocket", "path": "/predict"}, receive, send))

    assert sent == [{"type": "websocket.close"}]


def test_the_metrics_are_read_once_for_all_who_ask_at_a_time_and_again_a_moment_later() -> None:
    read = 0

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal read
        read += 1
        await PlainTextResponse(str(read))(scope, receive, send)

    async def asked() -> None:
        app = Admission(count, plain=routes.create_app(LIVE), hosts=[])
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://any"
        ) as one:
            started = time.monotonic()
            for _ in range(50):
                assert (await one.get("/metrics")).text == str(read)
            assert read <= 1 + (time.monotonic() - started) / 0.05
            while (await one.get("/metrics")).text == "1":
                assert time.monotonic() - started < 30

    asyncio.run(asked())


TOKEN = b"of the evaluation service and the worker"
RIGHT = {"authorization": f"Bearer {TOKEN.decode()}"}


@pytest.mark.parametrize(
    ("callers", "headers", "status"),
    [
        (Callers(TOKEN, may_be_unnamed=False), RIGHT, 200),
        (Callers(TOKEN, may_be_unnamed=False), {}, 401),
        (Callers(TOKEN, may_be_unnamed=False), {"authorization": "Bearer another"}, 401),
        (Callers(TOKEN, may_be_unnamed=False), {"authorization": TOKEN.decode()}, 401),
        (Callers(TOKEN, may_be_unnamed=True), {}, 200),
        (Callers(TOKEN, may_be_unnamed=True), RIGHT, 200),
        (Callers(TOKEN, may_be_unnamed=True), {"authorization": "Bearer another"}, 401),
        (Callers(None, may_be_unnamed=True), RIGHT, 200),
    ],
)
def test_callers_are_known_by_a_token_and_probes_and_metrics_need_none(
    callers: Callers, headers: dict[str, str], status: int
) -> None:
    app = Admission(bentoml, plain=routes.create_app(LIVE), hosts=["localhost"], callers=callers)

    async def asked() -> dict[str, int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as one:
            predicted = await one.post("/predict", headers=headers | JSON)
            others = [await one.get(path) for path in ("/livez", "/readyz", "/metrics", "/health")]
            described = await one.get("/schema.json", headers=headers)
        return {
            "/predict": predicted.status_code,
            "/schema.json": described.status_code,
            "others": max(other.status_code for other in others),
        }

    assert asyncio.run(asked()) == {"/predict": status, "/schema.json": status, "others": 200}
