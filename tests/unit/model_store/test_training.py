"""From a CSV to a pickle with stable labels."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from model_store import report, stability, training
from model_store.errors import TrainingRefused
from model_store.pickles import safe_pickle

HEADER = ["CUST_ID", "PAYMENTS", "BALANCE", "CREDIT_LIMIT", "purchases", "CASH_ADVANCE"]
REAL_CSV = os.environ.get("CC_GENERAL_CSV")
needs_the_data_set = pytest.mark.skipif(
    REAL_CSV is None, reason="CC_GENERAL_CSV does not name the data set's CSV (docs/model.md)"
)


def written(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def as_cells(client: NDArray[np.float64]) -> list[str]:
    balance, purchases, cash_advance, credit_limit, payments = (repr(float(v)) for v in client)
    return ["C1", payments, balance, credit_limit, purchases, cash_advance]


@pytest.fixture
def clients_csv(tmp_path: Path, clients: NDArray[np.float64]) -> Path:
    return written(tmp_path / "clients.csv", [as_cells(client) for client in clients])


def test_columns_are_found_by_name_whatever_their_order_and_case(
    clients_csv: Path, clients: NDArray[np.float64]
) -> None:
    assert training.read_rows(clients_csv).tolist() == clients.tolist()


@pytest.mark.parametrize("amount", ["1e3", " 7 ", "0.1", "123456.789012345678", "1E-3", "+5"])
def test_amounts_are_read_as_python_reads_them(tmp_path: Path, amount: str) -> None:
    path = written(tmp_path / "c.csv", [["C", amount, "2", "3", "4", "5"]])

    assert training.read_rows(path)[0, 4] == float(amount)


def test_a_fault_is_named_by_the_line_on_which_it_stands(tmp_path: Path) -> None:
    """Cells may hold line breaks, and lines may be empty."""
    head = ",".join(HEADER)
    (tmp_path / "c.csv").write_text(f'{head}\n"C\n1",1,2,3,4,5\n\n"C",1,2,3,x,5\n')

    with pytest.raises(TrainingRefused, match="line 5: PURCHASES is 'x'"):
        training.read_rows(tmp_path / "c.csv")


def test_many_clients_are_scored_by_a_sample(clients: NDArray[np.float64]) -> None:
    many = np.tile(clients, (45, 1))
    assert len(many) > report.SAMPLE
    few = training.TrainedModel(training.fit(clients), clients)

    scores = report.scores(training.TrainedModel(training.fit(many), many))

    assert scores["silhouette"] == pytest.approx(report.scores(few)["silhouette"], abs=0.02)


def test_a_missing_credit_limit_takes_the_median_of_the_others(tmp_path: Path) -> None:
    rows = [["C", "1", "2", limit, "3", "4"] for limit in ("100", "", "300", "900")]

    limits = training.read_rows(written(tmp_path / "c.csv", rows))[:, 3]

    assert limits.tolist() == [100, 300, 300, 900]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["C", "1", "2", "3", "4", "abc"], "line 2: CASH_ADVANCE is 'abc', not an amount"),
        (["C", "1", "", "3", "4", "5"], "line 2: BALANCE is '', not an amount"),
        (["C", "-1", "2", "3", "4", "5"], "line 2: PAYMENTS is '-1', not an amount"),
        (["C", "inf", "2", "3", "4", "5"], "line 2: PAYMENTS is 'inf', not an amount"),
        (["C", "nan", "2", "3", "4", "5"], "line 2: PAYMENTS is 'nan', not an amount"),
        (["C", "1", "2", "3"], "line 2: PURCHASES is '', not an amount"),
        (["C", "1", "2", "", "4", "5"], "has no CREDIT_LIMIT at all"),
        (["C", "1", "2", "3", "4", "5"], "fewer than 5 different clients"),
    ],
)
def test_what_is_no_amount_is_named_by_column_and_line(
    tmp_path: Path, cells: list[str], reason: str
) -> None:
    with pytest.raises(TrainingRefused, match=reason):
        training.train(written(tmp_path / "c.csv", [cells]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "lacks the column BALANCE, PURCHASES"),
        (",".join(HEADER[:-1]).encode(), "lacks the column CASH_ADVANCE"),
        (",".join(HEADER).encode(), "has no clients"),
        (b"BALANCE\xff", "it is not UTF-8 text"),
    ],
)
def test_a_file_without_usable_clients_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(content)

    with pytest.raises(TrainingRefused, match=reason):
        training.train(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match=r"Cannot read .*nowhere\.csv: No such file"):
        training.train(tmp_path / "nowhere.csv")


def test_profiles_that_all_look_alike_are_not_published(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    alike = 1000 + rng.uniform(0, 10, (60, 5))

    with pytest.raises(TrainingRefused, match="not fit to be published: label 4 leads"):
        training.train(written(tmp_path / "c.csv", [as_cells(client) for client in alike]))


def test_every_profile_gets_its_label(fitted: Pipeline, clients: NDArray[np.float64]) -> None:
    expected = np.repeat(range(5), (60, 30, 40, 90, 50))

    assert fitted.predict(clients).tolist() == expected.tolist()
    assert fitted[-1].labels_.tolist() == expected.tolist()


def test_training_twice_writes_the_same_bytes(clients_csv: Path, tmp_path: Path) -> None:
    for name in ("one.pkl", "two.pkl"):
        training.save(training.train(clients_csv), tmp_path / name)

    assert (tmp_path / "one.pkl").read_bytes() == (tmp_path / "two.pkl").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.pkl*")) == ["one.pkl", "two.pkl"]


def test_a_folder_that_is_not_there_is_named(fitted: Pipeline, tmp_path: Path) -> None:
    model = training.TrainedModel(fitted, np.zeros((1, 5)))

    with pytest.raises(TrainingRefused, match=r"Cannot write .*: No such file"):
        training.save(model, tmp_path / "nowhere" / "model.pkl")


def test_the_report_says_what_each_label_means_and_draws_the_same_plot_twice(
    clients_csv: Path, tmp_path: Path
) -> None:
    model = training.train(clients_csv)

    plots = [report.draw(model, tmp_path / folder).read_bytes() for folder in ("a", "b")]

    assert plots[0] == plots[1]
    told = report.text(model, report.scores(model))
    assert "in debt to the limit" in told
    assert told.splitlines()[0].startswith("silhouette")


def test_stability_is_near_one_for_profiles_that_lie_apart_and_the_same_twice(
    clients_csv: Path,
) -> None:
    model = training.train(clients_csv)

    found = stability.of(model)

    assert found == stability.of(model)
    assert found["bootstraps"] == stability.BOOTSTRAPS
    assert 0.9 < found["least"] <= found["mean"] <= 1


def test_the_committed_model_places_known_clients() -> None:
    committed = Path(training.__file__).with_name("modelo_cluster_cartao_credito.pkl")
    known = [
        (1126, 0, 504, 1200, 599),
        (1065, 0, 3358, 10500, 20740),
        (2271, 1200, 2630, 3000, 968),
        (6, 0, 20, 500, 32),
        (1035, 5788, 0, 2700, 5651),
    ]

    model = safe_pickle.load(committed)

    assert model.predict(known).tolist() == [0, 1, 2, 3, 4]
    assert committed.stat().st_size < 50_000


@needs_the_data_set
def test_the_data_set_gives_the_published_profiles_and_twice_the_same_labels() -> None:
    first, second = (training.train(Path(str(REAL_CSV))) for _ in range(2))

    assert len(first.labels) == 8950
    assert first.labels.tolist() == second.labels.tolist()
    assert first.sizes == pytest.approx([1995, 1019, 1223, 3347, 1366], abs=5)
