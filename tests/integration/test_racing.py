"""Two evaluation processes on one PostgreSQL, asked the same at the same moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.services import Server, evaluation_server

KEYS = 200


@pytest.fixture
def replicas(
    postgres_url: str, model_service: Server, tmp_path: Path
) -> Iterator[tuple[Server, Server]]:
    """Start two evaluation services in a schema of their own, which both find empty."""
    with create_engine(postgres_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("CREATE SCHEMA racing"))
    url = f"{postgres_url}&options={quote('-csearch_path=racing')}"
    one, other = (
        evaluation_server(tmp_path, model_service.url, EVALUATION_DATABASE_URL=url).start()
        for _ in range(2)
    )
    try:
        yield one.wait_until_ready(), other.wait_until_ready()
    finally:
        one.stop()
        other.stop()


@pytest.mark.postgres
def test_two_processes_racing_on_one_key_record_one_decision(
    replicas: tuple[Server, Server], postgres_url: str
) -> None:
    start = Barrier(2)

    def ask(server: Server) -> list[bytes]:
        answers = []
        with httpx.Client(base_url=server.url, timeout=20) as client:
            for number in range(KEYS):
                start.wait(20)
                answer = client.post(
                    "/avaliar",
                    headers={"Idempotency-Key": f"race-{number}"},
                    json={
                        "name": f"Corrida {number}",
                        "balance": number,
                        "purchases": 10.0,
                        "cash_advance": 0,
                        "credit_limit": 1000,
                        "payments": 50,
                    },
                )
                assert answer.status_code == 200, answer.text
                answers.append(answer.content)
        return answers

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(ask, replicas)

    assert one == other
    with create_engine(postgres_url, poolclass=NullPool).begin() as connection:
        count = connection.execute(text("SELECT count(*) FROM racing.evaluations")).scalar_one()
    assert count == KEYS
