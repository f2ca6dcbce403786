"""Ready means ready: the count that refuses is the one that readiness and the metric tell."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.clients import MARIA
from tests.services import CERTIFICATES, evaluation_server, eventually


def test_a_service_that_refuses_is_not_ready_until_it_has_a_place_again(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent_model,
        evaluation_server(
            tmp_path,
            f"http://127.0.0.1:{silent_model.getsockname()[1]}",
            EVALUATION_MAX_IN_FLIGHT="1",
            EVALUATION_MODEL_DEADLINE_SECONDS="15",
        ) as server,
        httpx.Client(base_url=server.url, verify=CERTIFICATES, timeout=20) as http,
        ThreadPoolExecutor(1) as thread,
    ):
        waiting = thread.submit(httpx.post, f"{server.url}/avaliar", json=MARIA, timeout=20)
        taken = "evaluation_requests_in_flight 1.0"
        eventually(lambda: taken in http.get("/metrics").text, 14)
        refused, not_ready = http.post("/avaliar", json=MARIA), http.get("/health/ready")
        silent_model.close()  # which hangs up on whoever still waits
        waiting.result()
        eventually(lambda: http.get("/health/ready").status_code == 200, 10)
        metrics = http.get("/metrics").text

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert not_ready.status_code == 503
    assert not_ready.json()["partes"]["lugares"] == "esgotados"
    assert 'evaluation_refused_total{why="full"} 1.0' in metrics


def test_health_waits_for_no_model_of_which_nothing_is_heard(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent_model,
        evaluation_server(
            tmp_path,
            f"http://127.0.0.1:{silent_model.getsockname()[1]}",
            EVALUATION_MODEL_DEADLINE_SECONDS="15",
        ) as server,
        httpx.Client(base_url=server.url, verify=CERTIFICATES, timeout=20) as http,
    ):
        health = [http.get("/health/ready") for _ in range(3)]

    assert {one.status_code for one in health} == {200}
    assert {one.json()["situacao"] for one in health} == {"degradada"}
    assert max(one.elapsed.total_seconds() for one in health) < 10
