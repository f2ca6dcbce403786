"""python -m portfolio score --record beside the services: one record, however a client came."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from evaluation_api.operations.commands import main as evaluation_api
from tests import commands
from tests.portfolio_files import HEADER
from tests.services import CERTIFICATES, ENVIRONMENT, PROJECT, Server, eventually
from tests.unit.portfolio.test_frames import clients

FIELDS = ("balance", "purchases", "cash_advance", "credit_limit", "payments")
#: What no two evaluations have in common.
OWN = {"id", "protocolo", "avaliado_em", "duracao_ms", "recebido_em", "posicao"}

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(bentoml_home: Path) -> Start:
    """Return what starts a command on a record."""

    def start_apart(database_url: str, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "portfolio", *map(str, arguments)],
            cwd=PROJECT,
            env={
                **ENVIRONMENT,
                "BENTOML_HOME": str(bentoml_home),
                "EVALUATION_DATABASE_URL": database_url,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start_apart


def write(path: Path, rows: list[list[float]], name: str = "Cliente") -> Path:
    lines = (
        ";".join([f"{name} {number}", *(f"{amount:.2f}".replace(".", ",") for amount in row)])
        for number, row in enumerate(rows)
    )
    path.write_text(HEADER + "\n".join(lines) + "\n", "utf-8")
    return path


def ids_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row["avaliacao"] for row in csv.DictReader(file, delimiter=";")]


def own_left_out(told: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(told, dict):
        return {key: own_left_out(one) for key, one in told.items() if key not in OWN}
    return [own_left_out(one) for one in told] if isinstance(told, list) else told


def test_clients_of_a_file_are_decided_and_shown_as_those_who_are_asked_for_one_by_one(
    start: Start, evaluation_service: Server, tmp_path: Path
) -> None:
    rows = clients(150).tolist()
    source, target = write(tmp_path / "clients.csv", rows, "Iguais"), tmp_path / "out.csv"
    url = evaluation_service.environment["EVALUATION_DATABASE_URL"]

    scoring = start(url, "score", source, "-o", target, "--record")
    out, err = scoring.communicate(timeout=120)
    assert scoring.returncode == 0, err
    assert out.endswith("0 faulty; 150 recorded\n")

    with httpx.Client(base_url=evaluation_service.url, verify=CERTIFICATES) as http:
        for number, (row, one) in enumerate(zip(rows, ids_of(target), strict=True)):
            body = {"name": f"Iguais {number}", **dict(zip(FIELDS, row, strict=True))}
            asked = http.post("/avaliar", json=body).raise_for_status().json()
            shown = http.get(f"/avaliacoes/{one}").raise_for_status().json()
            as_asked = http.get(f"/avaliacoes/{asked['id']}").raise_for_status().json()
            assert own_left_out(shown) == own_left_out(as_asked)
        found = http.get("/avaliacoes", params={"nome": "Iguais 77", "limite": 9}).json()
        assert one in http.get(f"/avaliacoes/{one}/dossie").raise_for_status().text
    assert ids_of(target)[77] in json.dumps(found)


def test_what_was_recorded_of_a_file_is_evaluated_again_without_difference(
    start: Start, model_service: Server, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    source = write(tmp_path / "clients.csv", clients(500, seed=3).tolist())
    scoring = start(url, "score", source, "-o", tmp_path / "out.csv", "--record")
    _, err = scoring.communicate(timeout=120)
    assert scoring.returncode == 0, err

    replayed = commands.run(
        evaluation_api,
        "replay",
        "--all",
        environment={"EVALUATION_DATABASE_URL": url, "EVALUATION_MODEL_URL": model_service.url},
    )

    assert replayed.returncode == 0, replayed.stdout
    assert "500 evaluated again, 0 differences" in replayed.stderr
    assert (tmp_path / "own.db").stat().st_mode & 0o777 == 0o600


def changed(record: Path, statement: str) -> None:
    with sqlite3.connect(record) as connection:
        connection.execute(statement)


#: Keeps who records a file within a transaction for ever, once so many clients are recorded.
HOLD = """
CREATE TRIGGER hold AFTER UPDATE ON recorded_files WHEN NEW.recorded > 10000 BEGIN
    SELECT (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n);
END
"""


def test_a_run_that_is_killed_goes_on_and_nobody_is_recorded_twice(
    start: Start, tmp_path: Path
) -> None:
    count, record = 20_000, tmp_path / "own.db"
    url = {"EVALUATION_DATABASE_URL": f"sqlite:///{record}"}
    assert commands.run(evaluation_api, "migrate", environment=url).returncode == 0
    changed(record, HOLD)
    source = write(tmp_path / "clients.csv", clients(count).tolist())
    command = ("score", source, "-o", tmp_path / "out.csv", "--record")

    def recorded() -> int:
        with sqlite3.connect(record) as connection:
            return int(connection.execute("SELECT count(*) FROM evaluations").fetchone()[0])

    killed = start(f"sqlite:///{record}", *command)
    eventually(lambda: recorded() > 0)
    helpers = psutil.Process(killed.pid).children()
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    eventually(lambda: not any(one.is_running() for one in helpers))
    before = recorded()
    assert 0 < before < count
    assert not (tmp_path / "out.csv").exists()
    changed(record, "DROP TRIGGER hold")

    resumed = start(f"sqlite:///{record}", *command)
    out, err = resumed.communicate(timeout=120)

    assert resumed.returncode == 0, err
    assert f"; {count - before} recorded, {before} were on " in out
    with sqlite3.connect(record) as connection:
        in_order = connection.execute("SELECT id, name FROM evaluations ORDER BY rowid").fetchall()
    assert [identity for identity, _ in in_order] == ids_of(tmp_path / "out.csv")
    assert [name for _, name in in_order] == [f"Cliente {number}" for number in range(count)]
