"""The gateway: what it adds to the evaluation service's answers, and what it answers itself."""

import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from evaluation_api.runtime.observation import SECURITY_HEADERS
from evaluation_api.web.pages import FILES_AT_ONCE
from tests.client_files import clients, done, send, step
from tests.clients import MARIA
from tests.services import eventually
from tests.slow_callers import MEGABYTE, answer_to, asked, most_memory, own_limit
from tests.stack.conftest import Figures
from tests.stack.running import EVALUATION, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

PROBLEM = "application/problem+json"
JSON = {"Content-Type": "application/json"}


@contextmanager
def gateway(stack: Stack, *options: str, port: int = 8080) -> Iterator[str]:
    """Run a gateway alone, with no evaluation service behind it; yield its host and port."""
    image = f"{stack.environment['IMAGE_PREFIX']}web:first"
    hardened = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "-p", f"127.0.0.1::{port}")
    container = stack.run("docker", "run", "--rm", "-d", *hardened, *options, image).strip()
    try:
        address = stack.run("docker", "port", container, f"{port}/tcp").strip()
        answers = ("docker", "exec", container, "healthy", "8080", "/gateway/live")
        eventually(lambda: stack.attempt(*answers).returncode == 0)
        yield address
    finally:
        stack.run("docker", "kill", container)


@pytest.fixture(scope="module")
def alone(stack: Stack) -> Iterator[httpx.Client]:
    """Talk to a gateway that has no evaluation service and lets one request a second pass."""
    limits = ("-e", "GATEWAY_RATE_PER_SECOND=1", "-e", "GATEWAY_BURST=2")
    with gateway(stack, *limits) as address, httpx.Client(base_url=f"http://{address}") as client:
        yield client


def assert_is_problem(response: httpx.Response, status: int) -> None:
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert response.status_code == body["status"] == status
    assert set(body) == {"type", "codigo", "title", "status", "detail", "instance"}
    assert body["instance"] == response.headers["x-request-id"]


def test_pages_are_served_with_the_headers_of_the_evaluation_service(client: httpx.Client) -> None:
    page, answer = client.get("/"), client.get("/politica")

    for name, value in SECURITY_HEADERS:
        assert page.headers[name.decode()] == value.decode()
        assert answer.headers.get_list(name.decode()) == [value.decode()]


def test_pages_are_compressed_and_asked_again_and_versioned_files_are_kept(
    client: httpx.Client,
) -> None:
    page = client.get("/", headers={"Accept-Encoding": "gzip"})
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    library = client.get("/vendor/bootstrap-5.3.8/bootstrap.min.css")

    assert page.headers["content-encoding"] == "gzip"
    assert page.headers["cache-control"] == "no-cache"
    assert again.status_code == 304
    assert "immutable" in library.headers["cache-control"]


def test_a_wrong_address_is_a_page_to_a_browser(client: httpx.Client) -> None:
    page = client.get("/nada.html", headers={"Accept": "text/html,*/*;q=0.8"})

    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Página não encontrada" in page.text
    assert page.headers["x-request-id"] in page.text


def test_a_request_id_is_passed_on_and_returned(client: httpx.Client, stack: Stack) -> None:
    identity = "analyst-4711"
    bad = client.post("/avaliar", json={}, headers={"X-Request-ID": identity})

    assert bad.headers.get_list("x-request-id") == [identity]
    assert bad.json()["instance"] == identity
    assert identity in stack.compose("logs", "web")


@pytest.mark.parametrize("identity", ['a"b', "a b", "<b>", "x" * 129])
def test_a_request_id_unfit_for_a_log_is_replaced(client: httpx.Client, identity: str) -> None:
    response = client.get("/nothing", headers={"X-Request-ID": identity})

    assert response.headers["x-request-id"] != identity
    assert_is_problem(response, 404)


def test_names_searched_for_are_in_no_log(client: httpx.Client, stack: Stack) -> None:
    client.get("/avaliacoes", params={"nome": "Zuleica"})

    assert "Zuleica" not in stack.compose("logs")


def test_a_body_over_64_kilobytes_is_a_problem(client: httpx.Client) -> None:
    body = b" " * (64 * 1024 + 1)

    assert_is_problem(client.post("/avaliar", content=body, headers=JSON), 413)


def test_an_unknown_page_and_a_wrong_method_are_problems(client: httpx.Client) -> None:
    assert_is_problem(client.get("/nothing.js"), 404)
    assert_is_problem(client.post("/"), 405)


def test_the_api_page_is_reached_with_and_without_its_slash(client: httpx.Client) -> None:
    assert client.get("/docs").headers["location"] == "/docs/"
    assert client.get("/docs/").status_code == 200
    assert client.get("/openapi.json").json()["info"]


def test_every_public_route_passes_the_gateway(client: httpx.Client) -> None:
    for path in client.get("/openapi.json").json()["paths"]:
        response = client.request("DELETE", path.replace("{", "").replace("}", ""))

        assert response.headers.get("allow"), f"{path}: the gateway answered, not the service"


def test_without_an_evaluation_service_pages_are_served_and_routes_are_unavailable(
    alone: httpx.Client,
) -> None:
    refused = alone.post("/avaliar", json=MARIA, headers={"Idempotency-Key": "a"})

    assert alone.get("/").status_code == 200
    assert_is_problem(refused, 503)
    assert refused.headers["retry-after"] == "2"


def test_too_many_requests_of_one_address_are_told_when_to_come_back(alone: httpx.Client) -> None:
    refused = [alone.get("/politica") for _ in range(8)]
    refused = [response for response in refused if response.status_code == 429]

    assert len(refused) >= 4
    assert_is_problem(refused[0], 429)
    assert refused[0].headers["retry-after"] == "1"
    assert alone.get("/").status_code == 200


def test_addresses_are_believed_from_a_trusted_proxy_only(stack: Stack) -> None:
    limits = ("-e", "GATEWAY_RATE_PER_SECOND=1", "-e", "GATEWAY_BURST=1")
    for trusted, is_limited in (("0.0.0.0/0", False), ("192.0.2.0/24", True)):
        proxies = ("-e", f"GATEWAY_TRUSTED_PROXIES={trusted} 198.51.100.0/24")
        with gateway(stack, *limits, *proxies) as address:
            statuses = [
                httpx.get(
                    f"http://{address}/politica", headers={"X-Forwarded-For": f"203.0.113.{n}"}
                ).status_code
                for n in range(6)
            ]
        assert (429 in statuses) is is_limited


def test_with_a_certificate_everything_is_https(stack: Stack, tmp_path: Path) -> None:
    make_certificate(tmp_path)
    mount = ("-v", f"{tmp_path}:/etc/gateway/tls:ro", "-e", "GATEWAY_HOSTS=bank.example")
    trust = ssl.create_default_context(cafile=tmp_path / "tls.crt")

    with gateway(stack, *mount, port=8443) as address:
        port = address.rpartition(":")[2]
        page = httpx.get(f"https://localhost:{port}/", verify=trust)
    with gateway(stack, *mount) as address:
        plain = httpx.get(f"http://{address}/historico.html", headers={"Host": "evil.example"})

    assert page.status_code == 200
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert plain.headers["location"] == "https://bank.example/historico.html"


def test_results_that_nobody_reads_fit_into_the_containers_own_memory(
    client: httpx.Client, stack: Stack, figures: Figures
) -> None:
    sent = send(client, clients(40_000))
    step(client, sent, "iniciar")
    done(client, sent)
    get = (
        b"GET /lotes/%s/resultado.csv HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n"
        b"%%s\r\n\r\n" % (sent["id"].encode(), stack.key["Authorization"].encode())
    )
    trusting = ("-e", "GATEWAY_TRUSTED_PROXIES=0.0.0.0/0", "--network", f"{stack.project}_front")
    (container,) = stack.containers(EVALUATION)

    with (
        gateway(stack, *trusting) as address,
        asked(int(address.rpartition(":")[2]), get, 290) as connections,
    ):
        statuses = Counter(answer_to(connection).status for connection in connections)
        url, headers = f"http://{address}/avaliar", stack.key
        good_caller = httpx.post(url, json=MARIA, headers=headers, timeout=5)
    status = stack.run("docker", "exec", container, "cat", "/proc/1/status")
    figures.note(evaluation_peak_megabytes=most_memory(status) // MEGABYTE)

    assert statuses == {200: FILES_AT_ONCE, 503: 290 - FILES_AT_ONCE}
    assert good_caller.status_code == 200
    assert most_memory(status) < own_limit() * 3 // 4
    assert stack.containers(EVALUATION) == [container]


def make_certificate(folder: Path) -> None:
    files = ("-keyout", folder / "tls.key", "-out", folder / "tls.crt")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o755)
