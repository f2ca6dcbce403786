"""The model service as `bentoml serve` runs it, over HTTP."""

import asyncio
import json
import re
import resource
import shutil
import socket
import statistics
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import bentoml
import httpx
import msgspec
import psutil
import pytest

from deploy.processes import Running
from evaluation_api.decision.domain import FEATURES
from model_store import registry
from model_store.ledger import Ledger
from model_store.serving import answers, npy
from model_store.serving.requests import MAX_CLIENTS
from tests.clients import AMOUNTS, BAD_AMOUNTS, FIVE_CLIENTS, MALFORMED, Bad
from tests.services import CERTIFICATES, READY_SECONDS, Server, eventually, model_server
from tests.unit.model_store.amounts import spread

JSON = {"content-type": "application/json"}
COLUMNS = {"content-type": npy.MEDIA_TYPE}
MANY = spread(MAX_CLIENTS)


@pytest.fixture
def http(model_service: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=model_service.url, timeout=20, headers=JSON) as client:
        yield client


def published_tag() -> str:
    pin, _ = Ledger().published()
    assert pin
    return pin.tag


def amounts(values: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(FEATURES, values, strict=True))


def predict_at_once(url: str, bodies: list[bytes]) -> list[httpx.Response]:
    """Send every body in a request of its own: all connect, then all ask, then all listen."""
    host, port = urlsplit(url).hostname, urlsplit(url).port

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> httpx.Response:
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        return httpx.Response(int(head.split()[1]), content=content)

    async def send_all() -> list[httpx.Response]:
        connections = [await asyncio.open_connection(host, port) for _ in bodies]
        for (_, writer), body in zip(connections, bodies, strict=True):
            writer.write(
                b"POST /predict HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (len(body), body)
            )
        return await asyncio.gather(*(listen(*connection) for connection in connections))

    return asyncio.run(asyncio.wait_for(send_all(), 30))


def batches_of_one_and_all(http: httpx.Client) -> tuple[float, float]:
    """Read from the metrics how many batches held one request, and how many there were."""
    metrics = http.get("/metrics").text.splitlines()
    sizes = [line for line in metrics if line.startswith("bentoml_service_adaptive_batch_size_")]
    one = next((line for line in sizes if 'le="1.0"' in line), "none yet 0")
    every = next((line for line in sizes if "size_count" in line), "none yet 0")
    return float(one.rpartition(" ")[2]), float(every.rpartition(" ")[2])


def test_one_client_is_answered_with_an_object(http: httpx.Client) -> None:
    for values, cluster in FIVE_CLIENTS:
        answer = http.post("/predict", json=amounts(values))

        assert answer.status_code == 200
        assert answer.json()["cluster"] == cluster


def test_many_clients_are_answered_in_their_order(http: httpx.Client) -> None:
    answer = http.post("/predict", json=[amounts(values) for values, _ in FIVE_CLIENTS * 7])

    assert [one["cluster"] for one in answer.json()] == [c for _, c in FIVE_CLIENTS * 7]


def test_no_clients_are_answered_with_an_empty_list(http: httpx.Client) -> None:
    assert http.post("/predict", json=[]).json() == []


def test_1024_clients_are_taken_and_1025_refused(http: httpx.Client) -> None:
    assert len(http.post("/predict", json=[AMOUNTS] * MAX_CLIENTS).json()) == MAX_CLIENTS

    refusal = http.post("/predict", json=[AMOUNTS] * (MAX_CLIENTS + 1))

    assert refusal.status_code == 422
    assert "1024" in refusal.json()["detail"]


def test_an_answer_says_which_model_gave_it(http: httpx.Client) -> None:
    answer = http.post("/predict", json=AMOUNTS)

    described = http.get("/model").json()
    assert answer.headers["x-model-tag"] == described["tag"] == published_tag()
    assert answer.headers["x-model-sha256"] == described["sha256"]


@pytest.mark.parametrize("query", ["", "?targets=1,3,4&margin=0.05"])
def test_columns_are_answered_as_json_is_to_the_last_bit(http: httpx.Client, query: str) -> None:
    clients = [amounts(client) for client in MANY.tolist()]

    people = http.post(f"/predict{query}", json=clients)
    columns = http.post(f"/predict{query}", content=npy.write(MANY), headers=COLUMNS)

    assert columns.headers["content-type"] == "application/x-npy"
    assert columns.headers["x-model-sha256"] == people.headers["x-model-sha256"]
    read = npy.read(columns.content, {24 if query else 8})
    assert msgspec.json.encode(answers.as_predictions(read, MANY)) == people.content
    assert len(columns.content) < len(people.content)


def test_no_other_kind_of_body_is_taken(http: httpx.Client) -> None:
    refusal = http.post("/predict", content=b"x", headers={"content-type": "text/plain"})

    assert refusal.status_code == 415
    assert "application/json or application/x-npy" in refusal.json()["detail"]


def test_any_version_in_the_store_predicts_and_one_that_is_gone_is_named(
    http: httpx.Client,
) -> None:
    tag = http.get("/model").json()["tag"]

    assert http.post(f"/models/{tag}/predict", json=AMOUNTS).json()["cluster"] == 4
    columns = http.post(f"/models/{tag}/predict", content=npy.write(MANY), headers=COLUMNS)
    assert (
        columns.content == http.post("/predict", content=npy.write(MANY), headers=COLUMNS).content
    )
    gone = http.post(f"/models/{registry.NAME}:000000000000/predict", json=AMOUNTS)
    assert gone.status_code == 404
    assert "000000000000" in gone.json()["detail"]


@pytest.mark.parametrize("query", ["targets=5", "toward=5", "margin=0.6", "target=1"])
def test_options_that_make_no_sense_are_refused(http: httpx.Client, query: str) -> None:
    refusal = http.post(f"/predict?{query}", json=AMOUNTS)

    assert refusal.status_code == 422
    assert query.partition("=")[0].replace("toward", "targets") in refusal.json()["detail"]


@pytest.mark.parametrize("targets", ["targets", "toward"])
def test_counterfactuals_come_only_when_asked_for(http: httpx.Client, targets: str) -> None:
    debtor = amounts(FIVE_CLIENTS[0][0])

    assert "alternatives" not in http.post("/predict", json=debtor).json()
    found = http.post(f"/predict?{targets}=1,3,4&margin=0.05", json=debtor).json()["alternatives"]
    assert found
    assert {one["cluster"] for one in found} <= {1, 3, 4}
    assert all(one["confidence"] >= 0.05 for one in found)


def test_bentomls_own_client_predicts_one_client_and_several(model_service: Server) -> None:
    clients = [amounts(values) for values, _ in FIVE_CLIENTS]

    with bentoml.SyncHTTPClient(model_service.url) as client:
        one, several = client.predict(clients[0]), client.predict(clients)
    client._temp_dir.cleanup()  # noqa: SLF001 - its close() forgets the folder

    assert one["cluster"] == FIVE_CLIENTS[0][1]
    assert [prediction["cluster"] for prediction in several] == [c for _, c in FIVE_CLIENTS]


def test_the_openapi_document_says_what_is_taken_and_answered(http: httpx.Client) -> None:
    document = http.get("/docs.json").json()

    predict = document["paths"]["/predict"]["post"]
    taken = predict["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    answered = predict["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]
    for (one, several), name in ((taken, "Client"), (answered, "Prediction")):
        assert one == several["items"] == {"$ref": f"#/components/schemas/{name}"}
        assert document["components"]["schemas"][name]["required"]
    assert npy.MEDIA_TYPE in predict["description"]
    assert {*predict["responses"]} == {"200", "default"}
    assert {*predict["responses"]["default"]["content"]} == {"application/problem+json"}


def test_a_millisecond_can_be_read_from_the_metrics(http: httpx.Client) -> None:
    assert http.post("/predict", json=AMOUNTS).is_success

    durations = [line for line in http.get("/metrics").text.splitlines() if "duration" in line]
    assert any('endpoint="/predict"' in line and 'le="0.001"' in line for line in durations)


def without_name(bad: Bad) -> bytes:
    """Make a body for the model service, which takes no name."""
    return bad.body.replace(b'"name": "Maria", ', b"")


@pytest.mark.parametrize("bad", BAD_AMOUNTS.values(), ids=BAD_AMOUNTS)
def test_a_bad_amount_is_refused_by_field_and_the_next_client_is_answered(
    http: httpx.Client, bad: Bad
) -> None:
    refusal = http.post("/predict", content=without_name(bad))

    assert refusal.status_code == 422
    assert refusal.headers["content-type"] == "application/problem+json"
    field = bad.pointers[0].removeprefix("#/").removeprefix("#")
    assert field in refusal.json()["detail"]
    assert http.post("/predict", json=AMOUNTS).json()["cluster"] == 4


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_body_is_refused(http: httpx.Client, bad: Bad) -> None:
    refusal = http.post("/predict", content=bad.body)

    assert 400 <= refusal.status_code < 500
    assert http.post("/predict", json=AMOUNTS).is_success


def test_a_bad_client_in_a_list_is_named_by_its_place(http: httpx.Client) -> None:
    refusal = http.post("/predict", json=[AMOUNTS, {**AMOUNTS, "payments": -1}])

    assert refusal.status_code == 422
    assert "$[1].payments" in refusal.json()["detail"] or "1" in refusal.json()["detail"]


def test_a_chunked_megabyte_is_refused(http: httpx.Client) -> None:
    refusal = http.post("/predict", content=(b" " * 4096 for _ in range(256)))

    assert refusal.status_code == 413
    assert http.post("/predict", json=AMOUNTS).is_success


def test_500_callers_at_once_share_batches_and_no_bad_one_harms_a_neighbour(
    http: httpx.Client, model_service: Server
) -> None:
    alone_before, before = batches_of_one_and_all(http)
    bad = [without_name(bad) for bad in [*BAD_AMOUNTS.values(), *MALFORMED.values()]]
    bodies = [
        bad[i // 10 % len(bad)]
        if i % 10 == 9
        else json.dumps(amounts(FIVE_CLIENTS[i % 5][0])).encode()
        for i in range(500)
    ]

    answers = predict_at_once(model_service.url, bodies)

    for i, answer in enumerate(answers):
        if i % 10 == 9:
            assert 400 <= answer.status_code < 500, answer.text
        else:
            assert (answer.status_code, answer.json()["cluster"]) == (200, FIVE_CLIENTS[i % 5][1])
    alone, every = batches_of_one_and_all(http)
    assert every - before > alone - alone_before, "every batch held one request"


def test_a_single_caller_is_answered_at_once_after_a_burst(
    http: httpx.Client, model_service: Server
) -> None:
    body = json.dumps(AMOUNTS).encode()

    def median_seconds() -> float:
        answers = [http.post("/predict", content=body).raise_for_status() for _ in range(40)]
        return statistics.median(answer.elapsed.total_seconds() for answer in answers)

    before = median_seconds()
    assert all(a.is_success for a in predict_at_once(model_service.url, [body] * 256))

    assert median_seconds() < 2 * before + 0.02, "BentoML's learned wait was 38 ms"


@pytest.fixture(params=["golden.json", "model.yaml"])
def spoilt_home(request: pytest.FixtureRequest, bentoml_home: Path, tmp_path: Path) -> Path:
    """Return a BentoML home whose copy of the published version was edited or torn."""
    home = tmp_path / "home"
    shutil.copytree(bentoml_home / "models", home / "models")
    (home / "models" / published_tag().replace(":", "/") / request.param).write_text("{")
    return home


def test_a_model_that_cannot_serve_ends_the_start_in_one_sentence(spoilt_home: Path) -> None:
    server = model_server(spoilt_home, CREDIT_CARD_MODEL_TAG=published_tag())

    with Running(server.program, server.log) as running:
        assert running.first.wait(READY_SECONDS) != 0

    assert server.printed().count("is corrupt") == 1
    assert "Traceback" not in server.printed()


def test_a_published_version_that_was_spoilt_is_served_from_its_archive(spoilt_home: Path) -> None:
    with model_server(spoilt_home) as server:
        answer = httpx.post(f"{server.url}/predict", json=AMOUNTS, verify=CERTIFICATES)

    assert answer.headers["x-model-tag"] == published_tag()
    assert "It is brought in from its archive." in server.printed()


def test_a_machine_that_never_saw_the_published_version_serves_it_from_its_archive(
    tmp_path: Path,
) -> None:
    (tmp_path / "models").mkdir()

    with model_server(tmp_path) as server:
        answer = httpx.post(f"{server.url}/predict", json=AMOUNTS, verify=CERTIFICATES)

    assert answer.headers["x-model-tag"] == published_tag()


def test_a_version_that_is_tried_says_that_it_is_not_published(bentoml_home: Path) -> None:
    with model_server(bentoml_home, CREDIT_CARD_MODEL_TAG=published_tag()) as server:
        answer = httpx.post(f"{server.url}/predict", json=AMOUNTS, verify=CERTIFICATES)
        health = httpx.get(f"{server.url}/health", verify=CERTIFICATES).json()
        metrics = httpx.get(f"{server.url}/metrics", verify=CERTIFICATES).text
        assert f"serving {published_tag()} (not published)" in server.printed()

    assert "credit_card_model_published 0" in metrics
    assert answer.headers["x-model-tag"] == f"{published_tag()} (not published)"
    assert health["published"] is False


def test_the_fast_path_answers_as_bentomls_own_way_does(
    model_service: Server, bentoml_home: Path
) -> None:
    good = json.dumps(AMOUNTS).encode()
    several = json.dumps([amounts(values) for values, _ in FIVE_CLIENTS]).encode()
    bad = [without_name(bad) for bad in [*BAD_AMOUNTS.values(), *MALFORMED.values()]]
    queries = ["", "targets=1,3,4&margin=0.05", "toward=2", "targets=5", "margin=x", "target=1"]
    asked = [(body, query, JSON) for query in queries for body in (good, several, b"[]", *bad[:3])]
    asked += [(body, "", JSON) for body in (*bad, b"[" + b"[]," * 2000 + b"[]]", b" " * 600_000)]
    by_columns = (npy.write(MANY), npy.write(MANY[:0]), npy.write(-MANY), good)
    asked += [(body, query, COLUMNS) for query in queries for body in by_columns]

    with model_server(bentoml_home, MODEL_SERVICE_SHORTCUTS="off") as plain_service:
        for body, query, kind in asked:
            fast, plain = (
                httpx.post(
                    f"{service.url}/predict?{query}",
                    content=body,
                    headers=kind,
                    verify=CERTIFICATES,
                )
                for service in (model_service, plain_service)
            )

            assert (fast.status_code, fast.content) == (plain.status_code, plain.content)
            assert told(fast) == told(plain)
            assert ("server" in fast.headers, "server" in plain.headers) == (False, True)


def told(answer: httpx.Response) -> dict[str, str]:
    """Return the headers that tell a caller anything: BentoML's own way signs with its name."""
    return {k: v for k, v in answer.headers.items() if k not in {"date", "server"}}


def test_a_model_that_has_gone_wrong_is_alive_and_not_ready(bentoml_home: Path) -> None:
    server = model_server(bentoml_home)
    server.arguments.append("tests.integration.forgetful_model:CreditCardClusters")
    server.ready_path = "/livez"

    with server:
        assert httpx.get(f"{server.url}/readyz", verify=CERTIFICATES).status_code == 503


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET /health HTTP/1.1\r\na: " + b"x" * 66_000, 431, id="a long head"),
        pytest.param(
            b"GET /livez HTTP/1.1\r\na: " + b"x" * 66_000 + b"\r\n\r\n", 431, id="that ends"
        ),
        pytest.param(b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431, id="fields"),
        pytest.param(b"\x16\x03\x01 is no HTTP\r\n\r\n", 400, id="no HTTP"),
        pytest.param(
            b"GET /livez HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            200,
            id="a WebSocket, not spoken",
        ),
    ],
)
def test_what_a_head_may_be_has_a_bound(model_service: Server, sent: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", model_service.port), timeout=5) as caller:
        caller.sendall(sent)
        assert caller.recv(1000).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (b"no HTTP\r\n\r\n", b"400"),
        (b"POST /livez HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nz", b"400"),
        (b"GET /livez HTTP/1.1\r\na: " + b"x" * 66_000, b"431"),
    ],
)
def test_what_was_asked_before_a_bad_request_is_answered_before_that_is_refused(
    model_service: Server, bad: bytes, status: bytes
) -> None:
    asked = b"GET /docs.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 3
    with socket.create_connection(("127.0.0.1", model_service.port), timeout=20) as caller:
        caller.sendall(asked + bad)
        received = read_until_closed(caller)
    statuses = re.findall(rb"HTTP/1.1 (\d+)", received)
    assert statuses == [b"200", b"200", b"200", status]


@pytest.mark.parametrize("last", [b"", b"connection: close\r\n"])
@pytest.mark.parametrize(
    "body",
    [b"content-length: 2\r\n\r\n[]", b"transfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"],
)
def test_a_request_that_offers_another_protocol_keeps_its_body(
    model_service: Server, body: bytes, last: bytes
) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", model_service.port), timeout=5) as caller:
        caller.sendall(head + last + b"connection: upgrade\r\nupgrade: h2c\r\n" + body)
        assert caller.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_what_follows_a_body_has_the_bound_of_a_head(model_service: Server) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", model_service.port), timeout=3) as caller:
        caller.sendall(head + b"transfer-encoding: chunked\r\n\r\n0\r\na: ")
        with suppress(ConnectionError):
            caller.sendall(b"x" * 400_000)
            assert caller.recv(1000).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("coding", [b"chunked\r\n\r\n-1\r\n", b"of our own\r\n\r\n"])
def test_a_body_that_cannot_be_read_is_refused(model_service: Server, coding: bytes) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", model_service.port), timeout=3) as caller:
        caller.sendall(head + b"transfer-encoding: " + coding)
        assert read_until_closed(caller).startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in model_service.printed()


def test_nobody_is_waited_for_longer_than_ten_seconds(model_service: Server) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    docs = b"GET /docs.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
    halves = [b"", b"\r\n", head, head + b"content-length: 9\r\n\r\n{", docs * 33, docs * 400]
    started = time.monotonic()
    with ExitStack() as stack:
        for half in halves:
            caller = socket.create_connection(("127.0.0.1", model_service.port), timeout=60)
            stack.enter_context(caller).sendall(half)
            stack.callback(read_until_closed, caller)
    assert time.monotonic() - started < 30


def test_who_leaves_before_the_answers_is_no_line_in_the_log(model_service: Server) -> None:
    body = json.dumps([AMOUNTS] * 1024).encode()
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    ask = head + b"content-length: %d\r\n\r\n" % len(body) + body
    for _ in range(5):
        caller = socket.create_connection(("127.0.0.1", model_service.port), timeout=5)
        caller.sendall(ask * 4)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        caller.recv(1)
        caller.close()
    httpx.post(f"{model_service.url}/predict", json=[AMOUNTS] * 1024, verify=CERTIFICATES)
    assert "Traceback" not in model_service.printed()


def test_connections_beyond_half_of_the_descriptors_are_refused(model_service: Server) -> None:
    assert model_service.running
    worker = psutil.Process(model_service.running.first.pid)
    most = min(1024, worker.rlimit(psutil.RLIMIT_NOFILE)[0] // 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, most + 500)), hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        here = ("127.0.0.1", model_service.port)
        silent = [
            stack.enter_context(socket.create_connection(here, timeout=5)) for _ in range(most + 5)
        ]
        assert silent[-1].recv(1000).startswith(b"HTTP/1.1 503 ")
        silent[0].sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        assert silent[0].recv(1000).startswith(b"HTTP/1.1 200 ")
    eventually(lambda: httpx.get(f"{model_service.url}/livez", verify=CERTIFICATES).is_success, 5)


def read_until_closed(caller: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionResetError):
        while part := caller.recv(100_000):
            received += part
    return received


def test_bad_requests_of_a_kind_are_one_warning_a_second(model_service: Server) -> None:
    before, started = model_service.printed().count("Invalid HTTP request"), time.monotonic()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", model_service.port), timeout=5) as caller:
            caller.sendall(b"no HTTP\r\n\r\n")
            caller.recv(1000)
    told = model_service.printed().count("Invalid HTTP request") - before
    assert told <= 2 * (time.monotonic() - started + 1)  # a second may end in between
