"""What the gateway refuses by itself, and how; what its image adds is tests/stack's."""

import json
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from deploy.processes import NotReadyError
from evaluation_api.runtime.observation import SECURITY_HEADERS
from tests import http2
from tests.clients import MARIA
from tests.gateway import Gateway
from tests.services import Server, eventually

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def gateway(
    evaluation_service: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway"), evaluation_service.port) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=20) as talking:
        yield talking


def say(gateway: Gateway, sent: bytes) -> httpx.Response:
    """Send bytes as they are; return the answer."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=15) as connection:
        connection.sendall(sent)
        with HTTPResponse(connection) as answer:
            answer.begin()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@contextmanager
def held(gateway: Gateway, sent: bytes, count: int) -> Iterator[list[socket.socket]]:
    """Hold so many connections on which this was sent, and nothing has been read."""
    with ExitStack() as stack:
        address = ("127.0.0.1", gateway.port)
        yield [stack.enter_context(_sending(address, sent)) for _ in range(count)]


def _sending(address: tuple[str, int], sent: bytes) -> socket.socket:
    connection = socket.create_connection(address)
    connection.sendall(sent)
    return connection


def assert_is_problem(response: httpx.Response, status: int) -> None:
    assert (response.status_code, response.headers["content-type"]) == (status, PROBLEM)
    told = response.json()
    assert (told["status"], told["instance"]) == (status, response.headers["x-request-id"])
    for name, value in SECURITY_HEADERS:
        assert response.headers.get_list(name.decode()) == [value.decode()]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 400),
        (b"POST /avaliar HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: new\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n", 400),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40_000 + b"\r\n\r\n", 414),
    ],
)
def test_what_is_no_request_is_a_problem(gateway: Gateway, sent: bytes, status: int) -> None:
    assert_is_problem(say(gateway, sent), status)


def test_a_head_of_30_kb_is_answered_by_both_versions_of_http_and_a_longer_one_is_not(
    gateway: Gateway, tmp_path: Path
) -> None:
    make_certificate(tmp_path / "tls")
    enhance_your_calm = (11).to_bytes(4, "big")
    with Gateway(tmp_path) as running:
        answered, refused = (http2.ask(running.tls_port, size) for size in (30_000, 33_000))
    head = "GET / HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n"
    of_older = [say(gateway, head.format("a" * size).encode()) for size in (30_000, 33_000)]

    assert (answered.kind, answered.content[:1]) == (http2.HEADERS, http2.FOUND)
    assert (refused.kind, refused.content[4:8]) == (http2.GO_AWAY, enhance_your_calm)
    assert of_older[0].status_code == 200
    assert_is_problem(of_older[1], 414)


def test_replicas_that_do_not_listen_yet_are_asked_nothing(
    evaluation_service: Server, tmp_path: Path
) -> None:
    """A container has its address before its service answers, and as few connections as any."""
    addresses = tmp_path / "addresses"
    addresses.write_text("127.0.0.1\n")
    with Gateway(tmp_path, evaluation_service.port, PATH=finding(addresses)) as gateway:
        addresses.write_text("127.0.0.1\n127.0.0.2\n127.0.0.3\n127.0.0.4\n")
        answered = answers_of(gateway, seconds=5)
        with socket.create_server(("127.0.0.3", evaluation_service.port)):
            eventually(lambda: "127.0.0.3" in (tmp_path / "run/upstream.conf").read_text(), 10)

    assert answered.keys() == {200}, answered


def test_replicas_that_are_gone_cost_nobody_their_answer(
    evaluation_service: Server, tmp_path: Path
) -> None:
    """Nobody answers at their addresses, which the name has for some seconds."""
    addresses = tmp_path / "addresses"
    addresses.write_text("127.0.0.1\n127.0.0.2\n127.0.0.3\n127.0.0.4\n127.0.0.5\n")
    with ExitStack() as stack:
        for number in range(2, 6):
            stack.enter_context(silent((f"127.0.0.{number}", evaluation_service.port)))
        gateway = Gateway(tmp_path, evaluation_service.port, PATH=finding(addresses))
        answered = answers_of(stack.enter_context(gateway), seconds=5)

    assert answered.keys() == {200}, answered


def finding(addresses: Path) -> str:
    """Return a PATH by which a name has the addresses in a file."""
    programs = addresses.with_name("programs")
    programs.mkdir()
    (programs / "getent").write_text(f"#!/bin/sh\ncat {addresses}\n")
    (programs / "getent").chmod(0o755)
    return f"{programs}:{os.environ['PATH']}:/usr/sbin"


def answers_of(gateway: Gateway, seconds: float) -> Counter[int]:
    """Count how requests without keys are answered, one after the other."""
    answered, until = Counter[int](), time.monotonic() + seconds
    with httpx.Client(base_url=gateway.url, timeout=20) as talking:
        while time.monotonic() < until:
            answered[talking.post("/avaliar", json=MARIA).status_code] += 1
    return answered


@contextmanager
def silent(address: tuple[str, int]) -> Iterator[None]:
    """Have an address where nobody answers whoever would connect: as many wait as may."""
    with socket.create_server(address, backlog=0), ExitStack() as stack:
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(address)
        yield


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost"])
def test_a_page_of_another_origin_changes_nothing(client: httpx.Client, origin: str) -> None:
    assert_is_problem(client.post("/avaliar", json=MARIA, headers={"Origin": origin}), 403)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost:80", "10.1.2.3:8080", "[::1]:80", "server:8080"),
        *("Clientes.example", "pessoas.example:8443"),
    ],
)
def test_a_browser_at_the_servers_own_address_is_answered(client: httpx.Client, host: str) -> None:
    told = {"Host": host, "Origin": f"http://{host}"}

    assert client.post("/avaliar", json=MARIA, headers=told).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "1"])
def test_a_page_that_has_its_own_name_pointed_here_reads_and_changes_nothing(
    client: httpx.Client, host: str
) -> None:
    told = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}

    for refusal in (
        client.post("/avaliar", json=MARIA, headers=told),
        client.get("/avaliacoes", headers=told),
        client.get("/", headers=told),
        client.get("/nothing", headers=told),
    ):
        assert_is_problem(refusal, 421)
        assert "WEB_HOST" in refusal.json()["detail"]


def test_a_person_who_asks_by_a_name_that_is_not_set_reads_where_to_set_it(
    client: httpx.Client,
) -> None:
    page = client.get("/", headers={"Host": "cartoes", "Accept": "text/html"})

    assert (page.status_code, page.headers["content-type"]) == (421, "text/html; charset=utf-8")
    assert "WEB_HOST" in page.text


@pytest.mark.parametrize("path", ["/gateway/live", "/health", "/health/ready"])
def test_a_probe_asks_by_any_name(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"Host": "10-0-0-7.pod"}).status_code == 200


def test_a_host_that_is_no_name_stops_the_start(tmp_path: Path) -> None:
    wrong = Gateway(tmp_path, GATEWAY_HOSTS="http://clientes.example")

    with pytest.raises(NotReadyError), wrong:
        pass

    assert "http://clientes.example is no name without scheme and port" in wrong.log.read_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GATEWAY_RATE_PER_SECOND", "many"),
        ("GATEWAY_RATE_PER_SECOND", "0"),
        ("GATEWAY_BURST", "65536"),
        ("GATEWAY_BURST", ""),
    ],
)
def test_a_setting_that_is_no_number_stops_the_start_by_its_name(
    tmp_path: Path, name: str, text: str
) -> None:
    wrong = Gateway(tmp_path, 9, **{name: text})

    with pytest.raises(NotReadyError), wrong:
        pass

    assert f"{name} must be a number from 1 to " in wrong.log.read_text()


def test_proxies_may_stand_with_commas_between(tmp_path: Path) -> None:
    with Gateway(tmp_path, GATEWAY_TRUSTED_PROXIES="10.0.0.0/8,192.168.0.0/16") as gateway:
        assert httpx.get(f"{gateway.url}/gateway/live").status_code == 200


def test_a_form_of_another_page_is_no_request(client: httpx.Client) -> None:
    refusal = client.post("/avaliar", data=MARIA)

    assert_is_problem(refusal, 415)


@pytest.mark.parametrize(
    "path", ["/avaliacoes/?nome=Ana", "/lotes/", "/docs", "/docs/.", "/js", "/vendor"]
)
def test_no_redirect_names_a_host(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"Host": "clientes.example"})

    assert "clientes.example" not in answer.text
    assert answer.headers.get("location", "/").startswith("/")
    assert not answer.headers.get("location", "/").startswith("//")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_page_is_compressed_for_who_takes_that_under_another_tag(client: httpx.Client) -> None:
    plain, refused, compressed = (
        client.get("/", headers={"Accept-Encoding": accepted})
        for accepted in ("", "gzip;q=0", "gzip")
    )

    assert [one.headers.get("content-encoding") for one in (plain, refused)] == [None, None]
    assert compressed.headers["content-encoding"] == "gzip"
    assert compressed.headers["etag"] != plain.headers["etag"] == refused.headers["etag"]
    for tag in (plain.headers["etag"], compressed.headers["etag"]):
        assert client.get("/", headers={"If-None-Match": tag}).status_code == 304


def test_a_path_that_is_no_text_is_a_line_that_is_json(gateway: Gateway) -> None:
    for path, name in (b"/%ff", b"odd-1"), (b"/\xff", b"odd-2"), (b"/%22%0a", b"odd-3"):
        head = b"GET %b HTTP/1.1\r\nHost: x\r\nX-Request-ID: %b\r\n\r\n"
        say(gateway, head % (path, name))
    log = gateway.folder / "access.log"
    eventually(lambda: all(b"odd-%d" % number in log.read_bytes() for number in (1, 2, 3)), 10)

    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    paths = {line["request_id"]: line["path"] for line in lines}
    assert [paths[f"odd-{number}"] for number in (1, 2, 3)] == ["?", "?", '/"\n']


@pytest.mark.parametrize(
    "asked", ["bytes=0-9", "bytes=9-0", "bytes=-", "pages=1-2", "bytes=0-9,20-"]
)
@pytest.mark.parametrize("path", ["/", "/docs/"])
def test_a_page_is_sent_whole_whatever_part_of_it_is_asked_for(
    client: httpx.Client, path: str, asked: str
) -> None:
    plain = {"Accept-Encoding": "identity"}  # nginx gives no part of what it compresses
    part, whole = (client.get(path, headers=plain | more) for more in ({"Range": asked}, {}))

    assert (part.status_code, part.content) == (200, whole.content)


def test_a_name_searched_for_by_post_is_in_no_log(client: httpx.Client, gateway: Gateway) -> None:
    found = client.post("/avaliacoes/busca", json={"nome": "Zuleica"})

    assert found.status_code == 200
    log = gateway.folder / "access.log"
    eventually(lambda: "busca" in log.read_text(), 10)  # nginx writes it when the answer has left
    assert "Zuleica" not in log.read_text()


def test_a_network_of_one_customer_is_one_client(tmp_path: Path) -> None:
    limited = Gateway(
        tmp_path,
        GATEWAY_RATE_PER_SECOND="1",
        GATEWAY_BURST="2",
        GATEWAY_TRUSTED_PROXIES="127.0.0.1",
    )
    with limited, httpx.Client(base_url=limited.url) as client:

        def refused(addresses: list[str]) -> int:
            told = [{"X-Forwarded-For": address} for address in addresses]
            answers = [client.get("/politica", headers=one) for one in told]
            return [answer.status_code for answer in answers].count(429)

        same_network = refused([f"2001:db8:1:2:{n:x}::1" for n in range(8)])
        other_networks = refused([f"2001:db8:1:{n:x}0::1" for n in range(8)])
        one_address = refused(["192.0.2.1"] * 8)
        other_addresses = refused([f"192.0.2.{n}" for n in range(2, 10)])
        mapped_addresses = refused([f"::ffff:198.51.100.{n}" for n in range(8)])

    assert min(same_network, one_address) >= 4
    assert other_networks == other_addresses == mapped_addresses == 0


def test_one_client_has_so_many_requests_at_once_and_no_more(
    evaluation_service: Server, tmp_path: Path
) -> None:
    half = (
        b"POST /avaliar HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99\r\n\r\n{"
    )
    limited = Gateway(tmp_path, evaluation_service.port, GATEWAY_BURST="8")
    with limited, held(limited, half, 8):
        refused = say(limited, half)

    assert_is_problem(refused, 429)
    assert refused.headers["retry-after"] == "1"


def test_one_client_sends_so_many_files_at_once_and_goes_on_evaluating(gateway: Gateway) -> None:
    half = (
        b"POST /lotes HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        b"Content-Length: 99\r\n\r\nnome"
    )
    with held(gateway, half, 4):
        refused = say(gateway, half)
        answered = httpx.post(f"{gateway.url}/avaliar", json=MARIA)
        listed = httpx.get(f"{gateway.url}/lotes")

    assert_is_problem(refused, 429)
    assert (answered.status_code, listed.status_code) == (200, 200)


def test_plain_http_leads_to_the_name_of_the_certificate_and_its_port(tmp_path: Path) -> None:
    make_certificate(tmp_path / "tls")
    with Gateway(tmp_path, GATEWAY_HTTPS_PORT="8443") as running:
        led = httpx.get(f"{running.url}/historico.html?a=b", headers={"Host": "evil.example"})

    assert led.status_code == 308
    assert led.headers["location"] == "https://clientes.example:8443/historico.html?a=b"


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key"])
def test_without_its_certificate_a_gateway_that_was_to_have_one_does_not_start(
    tmp_path: Path, missing: str
) -> None:
    make_certificate(tmp_path / "tls")
    (tmp_path / "tls" / missing).unlink()
    plain = Gateway(tmp_path)

    with pytest.raises(NotReadyError), plain:
        pass

    assert f"{missing} is not in TLS_FOLDER, or not readable by user" in plain.log.read_text()


@pytest.mark.parametrize(
    "public_url",
    ["http://localhost:80", "https://127.0.0.1", "http://[::1]:80", "http://SERVER", ""],
)
def test_where_people_reach_the_pages_may_be_known_already(tmp_path: Path, public_url: str) -> None:
    with Gateway(tmp_path, GATEWAY_PUBLIC_URL=public_url) as running:
        assert httpx.get(f"{running.url}/", headers={"Host": "server"}).status_code == 200


def make_certificate(folder: Path) -> None:
    folder.mkdir()
    files = ("-keyout", folder / "tls.key", "-out", folder / "tls.crt")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run(
        [*command, "-subj", "/CN=clientes.example", *files], check=True, capture_output=True
    )
