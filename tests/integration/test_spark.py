"""On Spark, by two workers of which one is killed, clients are decided as `score` does."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest

from evaluation_api.decision.domain import FEATURES
from model_store import publications
from portfolio import frames
from portfolio.profiler import StoredProfiler
from tests import tiers
from tests.evaluations import POLICY
from tests.services import ENVIRONMENT, PROJECT
from tests.unit.model_store.amounts import spread

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

MASTER = "local[2,4]"  # two at once, and each piece of work may fail three times
SECONDS = 500
FILES = 8
CLIENTS = 200_000
PYTHON = str(tiers.spark())
EVALUATED = ("perfil", "certeza", "uso", "parte_paga", "saques", "decisao", "motivos", "fronteira")
FAULTY = [7, 70_007, 150_000]


@pytest.fixture
def environment(bentoml_home: Path) -> Mapping[str, str]:
    return {**ENVIRONMENT, "BENTOML_HOME": str(bentoml_home), "PYTHONPATH": str(PROJECT)}


@pytest.fixture
def clients(tmp_path: Path) -> pd.DataFrame:
    """Return clients of whom a few cannot be anybody; they are in files, too."""
    amounts = np.tile(spread(10_000), (CLIENTS // 10_000, 1))
    table = pd.DataFrame(amounts + np.arange(CLIENTS)[:, None] / 1000, columns=list(FEATURES))
    table["id"] = np.arange(CLIENTS)
    table.loc[FAULTY, "balance"] = [-1.0, np.inf, np.nan]
    (tmp_path / "clients").mkdir()
    for number, part in enumerate(np.array_split(table.index, FILES)):
        table.loc[part].to_parquet(tmp_path / "clients" / f"{number}.parquet", index=False)
    return table


@pytest.fixture
def profiler(bentoml_home: Path, monkeypatch: pytest.MonkeyPatch) -> StoredProfiler:
    monkeypatch.setenv("BENTOML_HOME", str(bentoml_home))
    return StoredProfiler(publications.load(publications.choose()))


def workers_of(driver: subprocess.Popen[bytes]) -> Iterator[psutil.Process]:
    """Find the Pythons that decide: they are forked by pyspark.daemon."""
    for process in psutil.Process(driver.pid).children(recursive=True):
        try:
            parent = process.parent()
            if parent and "pyspark.daemon" in parent.cmdline() and process.cpu_times().user > 0:
                yield process
        except psutil.NoSuchProcess:
            continue


def kill_one_at_work(driver: subprocess.Popen[bytes], log: Path) -> bool:
    """Kill a worker until one has lost its work; return whether there was one."""
    give_up_at = time.monotonic() + SECONDS
    while driver.poll() is None and time.monotonic() < give_up_at:
        if "Lost task" in log.read_text():
            return True
        for worker in list(workers_of(driver))[:1]:
            worker.kill()
        time.sleep(0.5)
    return False


def test_a_cluster_decides_as_score_does_to_the_last_bit_though_a_worker_is_killed(
    clients: pd.DataFrame, environment: Mapping[str, str], profiler: StoredProfiler, tmp_path: Path
) -> None:
    target, log = tmp_path / "decided", tmp_path / "spark.log"
    command = [PYTHON, "-m", "portfolio.spark", str(tmp_path / "clients"), str(target)]
    command += ["--master", MASTER]
    with log.open("wb") as stderr:
        driver = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=stderr)
        is_killed = kill_one_at_work(driver, log)
        assert driver.wait(SECONDS) == 1, log.read_text()  # some clients are faulty
    assert is_killed, log.read_text()

    faulty = pq.read_table(target / "situacao=com_erro").to_pandas()
    assert sorted(faulty["id"]) == FAULTY
    assert faulty["decisao"].isna().all()
    decided = pq.read_table(target / "situacao=decidido").to_pandas().set_index("id").sort_index()
    assert set(decided["modelo"]) == {profiler.model.tag}
    assert set(decided["politica"]) == {POLICY.version}

    good = clients.drop(index=FAULTY)
    scored = frames.evaluate(good[list(FEATURES)], POLICY, profiler)
    assert decided.index.tolist() == good["id"].tolist()
    for name in EVALUATED:
        expected = scored[name].astype(str) if name in {"decisao", "motivos"} else scored[name]
        pd.testing.assert_series_equal(
            decided[name], expected, check_names=False, check_dtype=False, check_exact=True
        )


def test_clients_without_an_amount_are_refused_in_a_sentence() -> None:
    asked = "spark.decide(SimpleNamespace(columns={}), '', None)"
    script = f"from types import SimpleNamespace\nfrom portfolio import spark\n{asked}"

    for columns, says in (
        (["balance", "payments"], "no column purchases, cash_advance, credit_limit"),
        ([*FEATURES, "perfil"], "what is to be added: perfil"),
    ):
        refused = subprocess.run(
            [PYTHON, "-c", script.format(columns)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"RefusedClientsError: The clients have {says}." in refused.stderr
