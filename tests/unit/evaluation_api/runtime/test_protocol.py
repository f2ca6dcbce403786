"""What unkind callers may take of a server with four places, and what they may not.

Its callers have half a second for what those of the service have ten for.
"""

import contextlib
import importlib.util
import os
import re
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from select import select

import httpx
import psutil
import pytest

from tests.services import CERTIFICATES, Server, eventually, free_port

PLACES = 4
LOOKS = 16
RESET = struct.pack("ii", 1, 0)
HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
POST_SLOW = b"POST /slow HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = (
    b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """Return a server of which nothing is taken, and leave it so to the next test."""
    yield shared
    eventually(lambda: is_let_go(shared), 10)


def is_let_go(server: Server) -> bool:
    """End what waits, which lets what is queued behind it begin; tell whether nothing is left."""
    for path in ("/go", "/health/live"):  # one of them has a place
        httpx.get(f"{server.url}{path}", verify=CERTIFICATES)
    return httpx.get(f"{server.url}/health/ready", verify=CERTIFICATES).text == "0"


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    port = free_port()
    arguments = ["-m", "tests.unit.evaluation_api.runtime.slow_app", str(port), "1", str(PLACES)]
    with Server(arguments, "/health", folder / "log", port) as started:
        yield started


def connect(server: Server, sent: bytes = b"", receive_buffer: int = 0) -> socket.socket:
    caller = socket.socket()
    if receive_buffer:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    caller.settimeout(20)
    caller.connect(("127.0.0.1", server.port))
    caller.sendall(sent)
    return caller


@contextmanager
def callers(server: Server, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(connect(server, sent)) for _ in range(count)]


def read_all(caller: socket.socket) -> bytes:
    """Read until the server closes."""
    received = b""
    try:
        while part := caller.recv(1_000_000):
            received += part
    except ConnectionResetError:
        pass
    return received


def read_until(caller: socket.socket, part: bytes, times: int) -> bytes:
    received = b""
    while received.count(part) < times:
        received += caller.recv(100_000)
    return received


def is_ended(caller: socket.socket, sent: bytes, times: int, pause_seconds: float = 0) -> bool:
    """Send the same again and again; tell whether the server hung up."""
    try:
        for _ in range(times):
            caller.sendall(sent)
            time.sleep(pause_seconds)
    except OSError:
        return True
    return False


def is_served(server: Server) -> bool:
    answer = httpx.post(f"{server.url}/echo", content=b"good", verify=CERTIFICATES)
    return answer.text == "good"


def places(server: Server) -> int:
    return int(httpx.get(f"{server.url}/health/ready", verify=CERTIFICATES).text)


def test_websocket_upgrades_are_plain_requests_and_leave_no_place_taken(server: Server) -> None:
    assert importlib.util.find_spec("wsproto"), "with it, uvicorn would take them"
    for _ in range(2 * PLACES):
        with connect(server, UPGRADE.replace(b"/health/live", b"/echo")) as caller:
            assert caller.recv(1000).startswith(b"HTTP/1.1 405")
    assert is_served(server)
    assert places(server) == 0


def test_one_connection_takes_one_place_however_much_it_asks(server: Server) -> None:
    with connect(server, GET % b"/slow" * (2 * PLACES)) as caller:
        eventually(lambda: places(server) == 1)
        assert is_served(server)
        received = b""
        while received.count(b"200 OK") < 2 * PLACES:
            httpx.get(f"{server.url}/health/live", verify=CERTIFICATES)
            received += caller.recv(100_000)
    eventually(lambda: places(server) == 0)


def test_a_connection_queues_32_requests_and_no_more(server: Server) -> None:
    with connect(server, GET % b"/big" * 33) as caller:
        received = 0
        while received < 33 * 200_000:
            received += len(caller.recv(1_000_000))
    with connect(server, GET % b"/big" * 34) as caller:
        assert len(read_all(caller)) < 34 * 200_000


def test_what_is_queued_takes_no_place_that_others_ask_for(server: Server) -> None:
    ask = HEAD + b"Content-Length: 1\r\n\r\nx"
    with connect(server, POST_SLOW):
        eventually(lambda: places(server) == 1)
        with connect(server, ask * 3) as caller:
            statuses = re.findall(rb"HTTP/1.1 (\d+)", read_until(caller, b"HTTP/1.1", 3))
            assert statuses == [b"200", b"503", b"200"]
            assert is_served(server)


@pytest.mark.parametrize("slow", [GET % b"/slow", POST_SLOW], ids=["reads", "work"])
def test_who_reads_and_who_asks_for_work_take_no_place_from_each_other(
    server: Server, slow: bytes
) -> None:
    other = ({GET % b"/slow", POST_SLOW} - {slow}).pop()
    with callers(server, 2 * PLACES, slow) as many:
        eventually(lambda: places(server) + len(select(many, [], [], 0)[0]) == len(many))
        held = places(server)
        with connect(server, other):
            eventually(lambda: places(server) == held + 1)
    assert held <= PLACES


def test_a_request_whose_caller_has_hung_up_takes_no_place_from_others(server: Server) -> None:
    with connect(server, GET % b"/slow"):
        eventually(lambda: places(server) == 1)
        assert server.running
        os.kill(server.running.first.pid, signal.SIGSTOP)
        gone = connect(server, GET % b"/slow")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        gone.close()
        os.kill(server.running.first.pid, signal.SIGCONT)
        assert is_served(server)
        assert places(server) == 1


@pytest.mark.parametrize("at_once", [1, 32])
def test_looks_have_places_of_their_own_sixteen_and_as_many_for_who_looks_seldom(
    server: Server, at_once: int
) -> None:
    looks, look = GET % b"/metrics" * at_once, GET % b"/health"
    with connect(server, look) as often, connect(server, look) as seldom:
        assert [one.recv(1000)[:13] for one in (often, seldom)] == [b"HTTP/1.1 200 "] * 2
        time.sleep(0.6)
        with callers(server, LOOKS, looks):
            eventually(lambda: is_answered(often, look, 503))  # its own look was a moment ago
            assert is_answered(seldom, look, 200)
            with connect(server) as newcomer:
                assert is_answered(newcomer, look, 200)
            with callers(server, LOOKS, looks), connect(server) as newcomer:
                assert is_answered(newcomer, look, 503)
                assert is_served(server)


def is_answered(caller: socket.socket, sent: bytes, status: int) -> bool:
    caller.sendall(sent)
    return caller.recv(1000).startswith(b"HTTP/1.1 %d " % status)


def test_an_address_below_that_of_a_look_is_none(server: Server) -> None:
    with callers(server, PLACES, GET % b"/health/slow"):
        eventually(lambda: places(server) >= PLACES // 2)


def test_an_answer_that_nobody_reads_takes_no_place_and_is_dropped(server: Server) -> None:
    with ExitStack() as stack:
        unread = []
        for _ in range(2 * PLACES):
            unread.append(connect(server, GET % b"/big" * 30, receive_buffer=4096))
            stack.enter_context(unread[-1])
            eventually(lambda: places(server) == 0)
        assert is_served(server)
        for caller in unread:
            eventually(lambda caller=caller: is_reset(caller))  # type: ignore[misc]


def is_reset(caller: socket.socket) -> bool:
    return caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def test_of_what_nobody_reads_a_megabyte_a_connection_is_kept_at_most(tmp_path: Path) -> None:
    unread = 5
    with serve(tmp_path) as server, ExitStack() as stack:
        assert server.running
        process = psutil.Process(server.running.first.pid)
        before = process.memory_info().rss
        for _ in range(unread):
            stack.enter_context(connect(server, GET % b"/big" * 32, receive_buffer=4096))
            eventually(lambda: places(server) == 0)
        assert process.memory_info().rss - before < unread * 1_000_000


def test_refusals_that_nobody_reads_end_the_connection(server: Server) -> None:
    with callers(server, PLACES, GET % b"/slow"), connect(server, receive_buffer=4096) as caller:
        eventually(lambda: places(server) >= PLACES // 2)
        caller.settimeout(2)
        assert is_ended(caller, GET % b"/slow" * 10, 100_000)


@pytest.mark.parametrize(
    "half",
    [
        pytest.param(b"POST /echo HT", id="a head"),
        pytest.param(GET % b"/health" + b"POST /echo HT", id="a head behind a request"),
        pytest.param(HEAD + b"Content-Length: 10\r\n\r\nhalf", id="a body"),
        pytest.param(HEAD + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n", id="expecting"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", id="chunks"),
    ],
)
def test_half_a_request_takes_no_place_and_is_not_waited_for(server: Server, half: bytes) -> None:
    with callers(server, 2 * PLACES, half) as halves:
        assert places(server) == 0
        assert is_served(server)
        for caller in halves:
            assert b"HTTP/1.1 408 " in read_all(caller)


def test_a_trickled_head_is_not_waited_for(server: Server) -> None:
    with connect(server, b"GET / HTTP/1.1\r\n") as caller:
        assert is_ended(caller, b"a", 200, 0.02)


@pytest.mark.parametrize("first", [b"", GET % b"/health"], ids=["a newcomer's", "between requests"])
def test_silence_is_not_waited_for(server: Server, first: bytes) -> None:
    with connect(server, first) as caller:
        if first:
            assert caller.recv(1000)
            caller.sendall(b"\r\n")  # stops uvicorn's clock for connections at rest
        started = time.monotonic()
        read_all(caller)
        assert time.monotonic() - started < 10


def test_a_long_body_is_read_while_enough_of_it_comes(server: Server) -> None:
    part, parts = b"x" * 70_000, 20
    with connect(server, HEAD + b"Content-Length: %d\r\n\r\n" % (len(part) * parts)) as caller:
        for _ in range(parts):
            caller.sendall(part)
            time.sleep(0.06)  # longer, all in all, than a short body may take
        assert caller.recv(100).startswith(b"HTTP/1.1 200")


def test_half_of_long_bodies_take_places_of_their_own_sixteen_of_them(server: Server) -> None:
    half = HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 70_000
    with callers(server, 16, half), connect(server, half) as one_too_many:
        assert one_too_many.recv(100).startswith(b"HTTP/1.1 503 ")
        assert places(server) == 0
        assert is_served(server)
    eventually(lambda: is_read(server, half + b"x" * 930_000))
    assert places(server) == 0


def is_read(server: Server, request: bytes) -> bool:
    with connect(server, request) as caller:
        return caller.recv(100).startswith(b"HTTP/1.1 200")


def test_an_upload_of_which_too_little_comes_is_cut_off(server: Server) -> None:
    with connect(server, HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 70_000) as caller:
        assert b"200" not in read_all(caller)
    eventually(lambda: places(server) == 0)


def test_whoever_asks_before_sending_is_told_to_go_on(server: Server) -> None:
    with connect(server, HEAD + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n") as caller:
        assert caller.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.sendall(b"good")
        received = b""
        while not received.endswith(b"good"):
            received += caller.recv(1000)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"a: " + b"x" * 65_000, 200, id="just fits"),
        pytest.param(b"a: " + b"x" * 66_000, 431, id="too long"),
        pytest.param(b"a: " + b"x" * 2_000_000, 431, id="much too long"),
        pytest.param(b"\r\n".join([b"a: b"] * 99), 200, id="fields enough"),
        pytest.param(b"\r\n".join([b"a: b"] * 101), 431, id="too many fields"),
    ],
)
def test_a_head_has_64_kb_and_100_fields(server: Server, head: bytes, status: int) -> None:
    with connect(server) as caller:
        try:
            caller.sendall(b"GET /health HTTP/1.1\r\n" + head + b"\r\n\r\n")
        except OSError:
            assert status == 431
        assert caller.recv(100).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        pytest.param(b"\x16\x03\x01 no HTTP\r\n\r\n", b"400", id="no HTTP"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nz", b"400", id="no length"),
        pytest.param(b"GET / HTTP/1.1\r\na: " + b"x" * 66_000, b"431", id="a long head"),
    ],
)
@pytest.mark.parametrize("path", [b"/echo", b"/big"])
def test_what_was_asked_before_a_bad_request_is_answered_before_that_is_refused(
    server: Server, path: bytes, bad: bytes, status: bytes
) -> None:
    ask = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ngood" % path
    with connect(server, ask * 3 + bad) as caller:
        with contextlib.suppress(OSError):
            caller.sendall(GET % b"/health")
        statuses = re.findall(rb"HTTP/1.1 (\d+)", read_all(caller))
    assert len(statuses) == 4
    assert statuses[-1] == status
    eventually(lambda: places(server) == 0)


def test_an_endless_head_is_refused_before_it_ends(server: Server) -> None:
    with connect(server, b"GET / HTTP/1.1\r\na: " + b"x" * 66_000) as caller:
        assert caller.recv(100).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "around",
    [
        pytest.param(b"0\r\na: " + b"x" * 400_000, id="a field after it"),
        pytest.param(b"0\r\n" + b"a: b\r\n" * 102, id="fields after it"),
        pytest.param(b"1;a=" + b"x" * 400_000, id="a chunk's extension"),
    ],
)
def test_what_is_around_a_body_is_no_longer_than_a_head(server: Server, around: bytes) -> None:
    with connect(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n") as caller:
        with contextlib.suppress(OSError):
            caller.sendall(around)
        assert caller.recv(100).startswith(b"HTTP/1.1 431 ")


def test_fields_after_a_body_are_none_of_the_requests(server: Server) -> None:
    sent = b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nasked: late\r\n\r\n"
    with connect(server, b"POST /asked HTTP/1.1\r\nasked: first\r\n" + sent) as caller:
        assert read_until(caller, b"first", 1).endswith(b"first")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 4\r\n\r\ngood", id="a length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n", id="chunks"),
    ],
)
@pytest.mark.parametrize("pause_seconds", [0, 0.1])
def test_a_request_that_offers_another_protocol_keeps_its_body(
    server: Server, body: bytes, pause_seconds: float
) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    head, end, sent = body.partition(b"\r\n\r\n")
    with connect(server, HEAD + offer + head + end) as caller:
        time.sleep(pause_seconds)
        caller.sendall(sent + GET % b"/health")
        received = read_until(caller, b"HTTP/1.1 200 ", 2)
        assert received.index(b"good") < received.rindex(b"HTTP/1.1")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_last_request_that_offers_another_protocol_is_answered(
    server: Server, version: bytes
) -> None:
    offer = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\ngood"
    with connect(server, HEAD.replace(b"1.1", version) + offer) as caller:
        assert read_all(caller).endswith(b"good")


def test_nobody_is_led_elsewhere(server: Server) -> None:
    with connect(server, b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n" + GET % b"/health") as caller:
        assert read_all(caller).count(b"HTTP/1.1") == 1


def test_newcomers_beyond_the_connections_that_there_may_be_are_refused(server: Server) -> None:
    with callers(server, 40, GET % b"/health") as most:  # who never asked is soon cut off
        for caller in most:
            caller.recv(1000)
        with connect(server) as newcomer:
            assert newcomer.recv(100).startswith(b"HTTP/1.1 503 ")
        most[0].close()
        eventually(lambda: is_served(server))


def test_a_shed_head_request_is_answered_without_a_body(server: Server) -> None:
    with callers(server, PLACES, GET % b"/slow"):
        eventually(lambda: places(server) >= PLACES // 2)
        time.sleep(0.3)  # no burst any more
        with connect(server, b"HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n") as caller:
            answer = caller.recv(1000)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert answer.endswith(b"\r\n\r\n")


def test_bad_requests_of_a_kind_are_one_warning_a_second(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        started = time.monotonic()
        for sent in [b"\x16\x03\x01 no HTTP\r\n\r\n", UPGRADE] * 20:
            with connect(server, sent) as caller:
                caller.recv(1000)
        seconds = time.monotonic() - started
        printed = server.printed()
        assert 1 <= printed.count("Invalid HTTP request received") <= seconds + 1
        assert "WebSocket" not in printed


def test_hanging_up_on_the_server_lets_it_say_goodbye(tmp_path: Path) -> None:
    ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup's is handed on
    with serve(tmp_path) as server:
        signal.signal(signal.SIGHUP, ours)
        assert server.running
        os.kill(server.running.first.pid, signal.SIGHUP)
        assert server.running.first.wait(10) == 0
        assert "INFO    stopped " in server.printed()
