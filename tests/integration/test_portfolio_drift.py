"""python -m portfolio drift --record: what went wrong with the clients of a record is found."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation_api.decision.sentences import NAMES
from model_store.features import FEATURES
from portfolio import drift
from portfolio.frames import Floats
from tests.releases.databases import new_database
from tests.services import ENVIRONMENT, PROJECT
from tests.unit.model_store.amounts import spread

COUNT = 1_000
BALANCE, WITHDRAWN, LIMIT, PAID = (
    FEATURES.index(name) for name in ("balance", "cash_advance", "credit_limit", "payments")
)
#: Records each file in a database of its own and looks for drift there, all in one process, since
#: its start takes longer than all it does.
PROGRAM = """
import json, os, sys
from portfolio.__main__ import main

for one in json.load(sys.stdin):
    os.environ["EVALUATION_DATABASE_URL"] = one["url"]
    recorded = main(["score", one["file"], "-o", one["file"] + ".out.csv", "--record"])
    drifted = main(["drift", "--record", "--since", "30d", *one["arguments"]])
    print(json.dumps({"codes": [recorded, drifted]}), file=sys.stderr)
"""


def as_they_are(amounts: Floats) -> Floats:
    return amounts


def debt_is_the_limit_left(amounts: Floats) -> Floats:
    amounts[:, BALANCE] = (amounts[:, LIMIT] - amounts[:, BALANCE]).clip(0)
    return amounts


def nothing_is_withdrawn(amounts: Floats) -> Floats:
    amounts[:, WITHDRAWN] = 0
    return amounts


def another_currency(amounts: Floats) -> Floats:
    return amounts * 5.4


def less_is_paid(amounts: Floats) -> Floats:
    amounts[:, PAID] *= 0.7
    return amounts


def too_few_to_tell(amounts: Floats) -> Floats:
    return nothing_is_withdrawn(amounts)[: drift.LEAST_CLIENTS - 1]


#: What of the nine is found, at the least.
FOUND: dict[Callable[[Floats], Floats], set[str]] = {
    as_they_are: set(),
    debt_is_the_limit_left: {"balance", "use", "paid"},
    nothing_is_withdrawn: {"cash_advance", "withdrawn"},
    another_currency: {"balance", "credit_limit", "payments"},
    less_is_paid: {"payments"},
    too_few_to_tell: set(),
}


def write(path: Path, amounts: Floats) -> str:
    table = pd.DataFrame(amounts.round(2), columns=[NAMES[feature] for feature in FEATURES])
    table.insert(0, "nome", [f"Cliente {number}" for number in range(len(table))])
    table.to_csv(path, index=False, sep=";", decimal=",")
    return str(path)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_what_goes_wrong_with_recorded_clients_is_found_and_honest_ones_are_left_alone(
    request: pytest.FixtureRequest, bentoml_home: Path, tmp_path: Path, kind: str
) -> None:
    server = request.getfixturevalue("postgres_url") if kind == "postgres" else None
    reference = ("--reference", write(tmp_path / "training.csv", spread(9 * COUNT)))
    told: list[dict[str, Any]] = []
    for change in FOUND:
        folder = tmp_path / change.__name__
        folder.mkdir()
        now = spread(9 * COUNT)[np.random.default_rng(1).integers(0, 9 * COUNT, COUNT)]
        file = write(folder / "clients.csv", change(now))
        arguments = [*reference, "--json", str(folder / "found.json")]
        told.append({"url": new_database(server, folder), "file": file, "arguments": arguments})

    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=PROJECT,
        env={**ENVIRONMENT, "BENTOML_HOME": str(bentoml_home)},
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    codes = [json.loads(line)["codes"] for line in run.stderr.splitlines() if '"codes"' in line]
    assert codes == [[0, int(bool(where))] for where in FOUND.values()], run.stderr
    for change, where in FOUND.items():
        found = json.loads((tmp_path / change.__name__ / "found.json").read_text("utf-8"))
        count = drift.LEAST_CLIENTS - 1 if change is too_few_to_tell else COUNT
        assert found["clients"] == count, change
        assert where <= set(found["drifted"]), change
        assert bool(found["drifted"]) is bool(where), change
