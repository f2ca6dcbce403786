"""What comes of a provider of identities that answers nonsense, or refuses, and who is told why."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Router

from evaluation_api.access.identity import Identity, Role
from evaluation_api.access.oidc import PATH, Provider
from evaluation_api.decision.errors import ProviderUnavailableError, UnidentifiedError

TOKEN = {"access_token": "of-nobody", "token_type": "Bearer"}


class Answering(ThreadingHTTPServer):
    """A provider that answers, by path, what a test has it answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        discovery = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        self.answers = {"/discovery": (200, json.dumps(discovery)), "/keys": (200, '{"keys": []}')}


class Handler(BaseHTTPRequestHandler):
    """Answers what its server has for a path."""

    server: Answering

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, body = self.server.answers[self.path]
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET  # noqa: N815 - as http.server has it

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering() -> Iterator[Answering]:
    with Answering() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def provider_at(url: str) -> Provider:
    return Provider(
        discovery_url=f"{url}/discovery",
        client_id="evaluation",
        client_secret="of-the-client",  # noqa: S106 - of nothing
        scope="openid",
        name_claim="email",
        groups_claim="groups",
        roles={"credito": [Role.ANALYST]},
        public_url="http://site",
        secret="of 32 characters, for the cookies",  # noqa: S106 - of nothing
    )


def come_back(answering: Answering, *before: Callable[[str], None]) -> list[Identity]:
    """Go to the provider and come back with a code, as a browser does; return who came in.

    before: of each time, what is done before the return, told the nonce. Raises what is raised.
    """
    provider = provider_at(answering.url)
    came: list[Identity] = []

    async def welcome(_request: Request, who: Identity) -> Response:
        came.append(who)
        return Response()

    async def scenario() -> None:
        site = httpx.ASGITransport(Router([Mount(PATH, provider.app(welcome))]))
        async with httpx.AsyncClient(base_url="http://site", transport=site) as browser:
            for do in before or (lambda _nonce: None,):
                led = await browser.get(f"{PATH}/inicio")
                asked = httpx.URL(led.headers["location"]).params
                do(asked["nonce"])
                back = {"code": "made-up", "state": asked["state"]}
                await browser.get(f"{PATH}/retorno", params=back)

    asyncio.run(scenario())
    return came


def signing(answering: Answering) -> Callable[[str], None]:
    """Return what has the provider sign by a new key, its only one, which it does not name."""
    key = RSAKey.generate_key(2048)

    def sign(nonce: str) -> None:
        claims = {
            "iss": answering.url,
            "aud": "evaluation",
            "sub": "ana",
            "nonce": nonce,
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
            "email": "ana@example.com",
            "groups": ["credito"],
        }
        token = TOKEN | {"id_token": jwt.encode({"alg": "RS256"}, claims, key)}
        answering.answers["/token"] = (200, json.dumps(token))
        answering.answers["/keys"] = (200, json.dumps({"keys": [key.as_dict(private=False)]}))

    return sign


@pytest.mark.parametrize("path", ["/discovery", "/token"])
@pytest.mark.parametrize("nonsense", ["<html>", "[]", "null", "7", "{}"])
def test_a_provider_that_answers_nonsense_is_one_that_is_away(
    answering: Answering, caplog: pytest.LogCaptureFixture, path: str, nonsense: str
) -> None:
    answering.answers[path] = (200, nonsense)

    with pytest.raises(ProviderUnavailableError):
        come_back(answering)

    assert caplog.messages.count("sign_in_failed") == 1


def test_whoever_comes_after_the_only_key_was_exchanged_comes_in(answering: Answering) -> None:
    came = come_back(answering, signing(answering), signing(answering))

    assert [one.name for one in came] == ["ana@example.com"] * 2


@pytest.mark.parametrize("path", ["/discovery", "/token"])
def test_an_answer_without_measure_is_not_read_to_its_end(answering: Answering, path: str) -> None:
    answering.answers[path] = (200, json.dumps(TOKEN | {"scope": "x" * 2**21}))

    with pytest.raises(ProviderUnavailableError, match="more than"):
        come_back(answering)


def test_of_a_provider_that_says_nothing_sixteen_wait_and_others_are_told_at_once() -> None:
    async def welcome(_request: Request, _who: Identity) -> Response:
        return Response()

    async def scenario(port: int) -> None:
        app = provider_at(f"http://127.0.0.1:{port}").app(welcome)
        site = httpx.ASGITransport(Router([Mount(PATH, app)]))
        async with httpx.AsyncClient(base_url="http://site", transport=site) as browser:
            coming = [asyncio.ensure_future(browser.get(f"{PATH}/inicio")) for _ in range(17)]
            done, waiting = await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert ["16 others" in str(one.exception()) for one in done] == [True]

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(scenario(silent.getsockname()[1]))


def test_an_answer_without_an_id_token_says_nobody(answering: Answering) -> None:
    answering.answers["/token"] = (200, json.dumps(TOKEN))

    with pytest.raises(ProviderUnavailableError, match="no ID token"):
        come_back(answering)


def test_the_log_says_why_nobody_comes_in_and_not_what_the_provider_says_of_them(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    refused = {"error": "invalid_client\n", "error_description": "of ana@example.com"}
    answering.answers["/token"] = (401, json.dumps(refused))

    with pytest.raises(UnidentifiedError):
        come_back(answering)

    (record,) = [one for one in caplog.records if one.message == "sign_in_failed"]
    assert vars(record)["reason"] == "invalid_client"
