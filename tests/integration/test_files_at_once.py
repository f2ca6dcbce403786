"""Many files at once, slowly, through the gateway: they take little, and nobody waits for them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from evaluation_api.web.pages import FILES_AT_ONCE
from tests.client_files import clients, done, send, step, upload
from tests.clients import MARIA
from tests.gateway import Gateway
from tests.services import Server, evaluation_server, eventually, worker_server
from tests.slow_callers import CUT_OFF, MEGABYTE, answer_to, asked, most_memory, outcome, own_limit

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]

LINES = 40_000


@pytest.fixture(scope="module")
def evaluation(model_service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with evaluation_server(tmp_path_factory.mktemp("files"), model_service.url) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(evaluation: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Start a gateway that believes whoever asks to be many clients."""
    trusting = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
    with Gateway(tmp_path_factory.mktemp("gateway"), evaluation.port, **trusting) as running:
        yield running


@pytest.fixture(scope="module")
def result(evaluation: Server, bentoml_home: Path) -> str:
    """Have a file evaluated; return where its result is: 8 MB, more than sockets hold."""
    with (
        worker_server(evaluation, bentoml_home),
        httpx.Client(base_url=evaluation.url, timeout=60) as http,
    ):
        client_file = send(http, clients(LINES))
        step(http, client_file, "iniciar")
        done(http, client_file)
    return f"/lotes/{client_file['id']}/resultado.csv"


def status(server: Server) -> str:
    assert server.running
    return Path(f"/proc/{server.running.first.pid}/status").read_text(encoding="ascii")


def memory(server: Server) -> int:
    assert server.running
    return int(psutil.Process(server.running.first.pid).memory_info().rss)


def is_evaluated(gateway: Gateway) -> bool:
    return httpx.post(f"{gateway.url}/avaliar", json=MARIA, timeout=5).status_code == 200


@pytest.mark.parametrize("readers", [80, 290])
def test_results_that_nobody_reads_take_little_memory(
    evaluation: Server, gateway: Gateway, result: str, readers: int
) -> None:
    get = b"GET %s HTTP/1.1\r\nHost: x\r\n%%s\r\n\r\n" % result.encode()
    before = memory(evaluation)
    with asked(gateway.port, get, readers) as connections:
        answers = [answer_to(connection) for connection in connections]
        statuses = Counter(answer.status for answer in answers)
        waits = {answer.getheader("retry-after") for answer in answers if answer.status == 503}
        good_caller = is_evaluated(gateway)
        for answer in answers:
            answer.close()

    assert statuses == {200: FILES_AT_ONCE, 503: readers - FILES_AT_ONCE}
    assert waits == {"10"}
    assert good_caller
    assert most_memory(status(evaluation)) < own_limit() * 3 // 4
    assert memory(evaluation) - before < 64 * MEGABYTE


@pytest.mark.parametrize("begun", [b"n", clients(2000)[:100_000]], ids=["a byte", "a hundred KB"])
def test_uploads_that_go_no_further_leave_room_for_evaluations_and_end(
    evaluation: Server, gateway: Gateway, begun: bytes
) -> None:
    post = (
        b"POST /lotes HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n%s\r\n"
        b"Content-Length: 1000000\r\n\r\n"
    )
    with asked(gateway.port, post, 280) as connections:
        for connection in connections:
            connection.sendall(begun)
        good_caller = is_evaluated(gateway)
        outcomes = Counter(outcome(connection) for connection in connections)

    assert good_caller
    assert outcomes.keys() <= {408, CUT_OFF, 503}
    assert outcomes[503] == (0 if begun == b"n" else 280 - FILES_AT_ONCE)
    assert most_memory(status(evaluation)) < own_limit() * 3 // 4


def test_who_reads_no_further_gives_the_place_back(
    evaluation: Server, gateway: Gateway, result: str
) -> None:
    get = b"GET %s HTTP/1.1\r\nHost: x\r\n%%s\r\n\r\n" % result.encode()
    with httpx.Client(base_url=evaluation.url, timeout=60) as http:
        small = upload(http, clients(1))["id"]
    url = f"{evaluation.url}/lotes/{small}/enviado"
    with asked(gateway.port, get, FILES_AT_ONCE) as connections:
        # Before their heads are read: by the time of the last the first may be cut off.
        eventually(lambda: httpx.get(url).status_code == 503, 10)
        statuses = {answer_to(connection).status for connection in connections}
        eventually(lambda: httpx.get(url).status_code == 200, 60)

    assert statuses == {200}
