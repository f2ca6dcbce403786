"""What callers see, and what is kept, when a part is killed: real processes, real signals."""

import asyncio
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from evaluation_api.model.transport import KeptAliveTransport
from tests.client_files import clients, done, look, send, step
from tests.clients import FIVE_CLIENTS, MARIA, asked
from tests.integration_page import end, start
from tests.services import Server, evaluation_server, eventually, model_server, worker_server

WAITING = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def model(bentoml_home: Path) -> Iterator[Server]:
    """Start a model service that these tests may kill; whoever kills it starts it again."""
    with model_server(bentoml_home) as server:
        yield server


@pytest.fixture(scope="module")
def evaluation(model: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start an evaluation service in front of it, which may be killed and started again, too."""
    with evaluation_server(tmp_path_factory.mktemp("outages"), model.url) as server:
        yield server


@pytest.fixture(scope="module")
def worker(evaluation: Server, bentoml_home: Path) -> Iterator[Server]:
    """Start a worker for its files."""
    with worker_server(evaluation, bentoml_home) as server:
        yield server


def rows(server: Server, query: str) -> list[Any]:
    """Ask the service's database directly."""
    file = server.environment["EVALUATION_DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()


def count(server: Server) -> int:
    """Count what a service has recorded, decided or not."""
    return int(rows(server, "SELECT count(*) FROM evaluations")[0][0])


@pytest.mark.usefixtures("worker")
def test_nothing_is_lost_while_the_model_is_away(model: Server, evaluation: Server) -> None:
    before = count(evaluation)
    with httpx.Client(base_url=evaluation.url, timeout=10) as http:
        batch = send(http, clients(50))
        model.kill()
        refused = http.post("/avaliar", json=MARIA)
        accepted, seconds = accept_many(http, 100)
        repeated = http.post("/avaliar", json=asked(FIVE_CLIENTS[0][0]), headers=keyed(0))
        waiting = http.get(accepted[0])
        step(http, batch, "iniciar")
        health = http.get("/health/ready")
        told = done(http, batch)  # by the published model, which the worker has itself

        model.start().wait_until_ready()
        eventually(lambda: not rows(evaluation, "SELECT 1 FROM evaluations WHERE pending"), 30)
        found = [http.get(location) for location in accepted]

    answers = [one.json() for one in found]
    assert (waiting.json()["situacao"], waiting.headers["retry-after"]) == ("pendente", "1")
    assert waiting.json()["protocolo"] == repeated.json()["protocolo"]
    assert not any("retry-after" in one.headers for one in found)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert (repeated.status_code, repeated.headers["location"]) == (202, accepted[0])
    assert (health.status_code, health.json()["situacao"]) == (200, "degradada")
    assert health.json()["partes"] == {"banco": "ok", "modelo": "indisponivel", "lugares": "ok"}
    assert statistics.median(seconds) < 0.2  # none waits for the model
    assert all(answer["situacao"] == "concluida" and answer["degradada"] for answer in answers)
    assert [answer["avaliacao"]["cluster"] for answer in answers] == [
        FIVE_CLIENTS[i % 5][1] for i in range(100)
    ]
    assert told["decididas"] == 50
    assert count(evaluation) == before + 150


def test_a_file_that_is_decided_by_the_model_service_waits_for_it_and_goes_on(
    model: Server, tmp_path: Path
) -> None:
    lines, home = 60_000, tmp_path / "no store"
    evaluation = evaluation_server(tmp_path, model.url)
    asking = worker_server(evaluation, home, PORTFOLIO_MODEL_URL=model.url)
    with evaluation, asking, httpx.Client(base_url=evaluation.url, timeout=30) as http:
        file = send(http, clients(lines, bad_every=100))
        step(http, file, "iniciar")
        eventually(lambda: look(http, file)["feitas"] > 0)
        model.kill()
        eventually(lambda: look(http, file).get("espera") == "modelo")
        midway = look(http, file)
        model.start().wait_until_ready()
        told = done(http, file)
        sent = list(range(2, lines + 2))
        names = [name for (name,) in rows(evaluation, "SELECT name FROM evaluations ORDER BY id")]

    assert (midway["situacao"], 0 < midway["feitas"] < lines) == ("em_andamento", True)
    assert (told["feitas"], told["com_erro"], told.get("espera")) == (lines, lines // 100, None)
    assert names == [f"Cliente {number}" for number in sent if number % 100]
    assert asking.printed().count("model_awaited") == 1


def test_the_program_of_the_integration_page_waits_until_the_model_is_back(
    model: Server, evaluation: Server, tmp_path: Path
) -> None:
    model.kill()
    program = start(evaluation, tmp_path, "while-the-model-is-away")
    eventually(lambda: bool(rows(evaluation, "SELECT 1 FROM evaluations WHERE pending")), 30)
    model.start().wait_until_ready()

    assert end(program).startswith("aprovado ")


def keyed(number: int) -> dict[str, str]:
    return {**WAITING, "Idempotency-Key": f"away-{number}"}


def accept_many(http: httpx.Client, count: int) -> tuple[list[str], list[float]]:
    """Ask for evaluations while the model is away; return where they will be, and the seconds.

    The first calls find the circuit closed, and their deadline is no part of the promise.
    """
    for _ in range(3):
        http.post("/avaliar", json=MARIA)
    locations, seconds = [], []
    for number in range(count):
        body = asked(FIVE_CLIENTS[number % 5][0])
        started = time.perf_counter()
        answer = http.post("/avaliar", json=body, headers=keyed(number))
        seconds.append(time.perf_counter() - started)
        assert answer.status_code == 202, answer.text
        assert answer.json()["situacao"] == "pendente"
        locations.append(answer.headers["location"])
    return locations, seconds


def test_callers_who_repeat_their_key_get_one_decision_whatever_is_killed(
    evaluation: Server,
) -> None:
    total = 400

    async def ask_until_answered(client: httpx.AsyncClient, number: int) -> str:
        for _ in range(600):
            try:
                answer = await client.post(
                    "/avaliar",
                    json=asked(FIVE_CLIENTS[number % 5][0], f"Repetido {number}"),
                    headers={"Idempotency-Key": f"key-{number}"},
                )
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == 200:
                return str(answer.json()["id"])
            await asyncio.sleep(0.1)
        raise AssertionError(f"key-{number} was never answered")

    async def ask_all() -> list[str]:
        async with httpx.AsyncClient(
            base_url=evaluation.url, transport=KeptAliveTransport(), timeout=10
        ) as client:
            asking = []
            for number in range(total):
                asking.append(asyncio.create_task(ask_until_answered(client, number)))
                await asyncio.sleep(0.004)
                if number in {total // 3, 2 * total // 3}:
                    evaluation.kill()
                    evaluation.start()
            return await asyncio.gather(*asking)

    answered = asyncio.run(ask_all())

    by_key = dict(rows(evaluation, "SELECT key, evaluation_id FROM idempotency_keys"))
    assert answered == [by_key[f"key-{number}"] for number in range(total)]
    query = "SELECT name FROM evaluations WHERE name LIKE 'Repetido %'"
    names = Counter(name for (name,) in rows(evaluation, query))
    assert names == {f"Repetido {number}": 1 for number in range(total)}


def test_a_key_gives_the_same_bytes_after_a_restart(evaluation: Server) -> None:
    headers = {"Idempotency-Key": "once"}
    first = httpx.post(evaluation.url + "/avaliar", json=MARIA, headers=headers)

    evaluation.kill()
    evaluation.start().wait_until_ready()
    again = httpx.post(evaluation.url + "/avaliar", json=MARIA, headers=headers)
    other = httpx.post(evaluation.url + "/avaliar", json={**MARIA, "balance": 7.0}, headers=headers)

    assert first.status_code == 200
    assert again.content == first.content
    assert (other.status_code, other.json()["title"]) == (422, "Chave já usada")


def test_a_locked_database_gives_no_decision_within_a_second_and_is_said_once(
    evaluation: Server,
) -> None:
    file = Path(evaluation.environment["EVALUATION_DATABASE_URL"].removeprefix("sqlite:///"))
    before = count(evaluation)
    with httpx.Client(base_url=evaluation.url, timeout=15) as http:
        assert http.post("/avaliar", json=MARIA).status_code == 200
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused = [http.post("/avaliar", json=MARIA) for _ in range(10)]
        health = http.get("/health/ready")
        metrics = http.get("/metrics").text
        other.execute("ROLLBACK")
        other.close()
        eventually(lambda: http.get("/health/ready").status_code == 200, 30)
        answered = http.post("/avaliar", json=MARIA)

    assert {(one.status_code, one.json()["title"]) for one in refused} == {
        (503, "Registro indisponível")
    }
    assert "cluster" not in refused[0].json()
    # The first waits for its second, and those after it for nothing.
    assert sum(one.elapsed.total_seconds() for one in refused) < 8
    assert (health.status_code, health.json()["partes"]["banco"]) == (503, "indisponivel")
    assert "evaluation_record_away 1.0" in metrics
    assert answered.status_code == 200
    assert count(evaluation) == before + 2
    assert evaluation.printed().count("record_away") == 1


def test_a_spoilt_database_file_is_noticed_and_gives_no_decision(
    model: Server, tmp_path: Path
) -> None:
    evaluation = evaluation_server(tmp_path, model.url)
    file = Path(evaluation.environment["EVALUATION_DATABASE_URL"].removeprefix("sqlite:///"))
    with evaluation, httpx.Client(base_url=evaluation.url, timeout=15) as http:
        assert http.post("/avaliar", json=MARIA).status_code == 200
        spoil(file)
        refused = http.post("/avaliar", json=MARIA)
        health = http.get("/health/ready")
        alive = http.get("/health/live")

    assert (refused.status_code, refused.json()["title"]) == (503, "Registro indisponível")
    assert (health.status_code, health.json()["situacao"]) == (503, "indisponivel")
    assert health.json()["partes"]["banco"] == "indisponivel"
    assert alive.status_code == 200


def spoil(file: Path) -> None:
    """Overwrite a database and what goes with it in place, as a broken disk would."""
    for part in (file, *file.parent.glob(f"{file.name}-*")):
        with part.open("r+b") as content:
            content.write(b"\xff" * part.stat().st_size)
