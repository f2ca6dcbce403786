"""What a foreign pickle is, and why it may be refused."""

import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, PowerTransformer, StandardScaler

from model_store import golden
from model_store.errors import ForbiddenContent, NotAModel
from model_store.features import FEATURES, PROFILE_COUNT
from model_store.numbers import Numbers
from model_store.pickles import inspection
from model_store.pickles.foreign import INSPECTION, inspect_apart


def fitted_on(rows: NDArray[np.float64], *steps: Any) -> Pipeline:  # noqa: ANN401 - estimators
    return make_pipeline(*steps).fit(rows)


def dumped(thing: object, path: Path) -> bytes:
    joblib.dump(thing, path / "m.pkl")
    return (path / "m.pkl").read_bytes()


def test_a_model_is_described(pickled: bytes, fitted: Pipeline) -> None:
    description = inspection.describe(pickled, FEATURES)

    assert description["estimator"] == "Normalizer + KMeans"
    assert description["features"] == [
        "balance",
        "purchases",
        "cash_advance",
        "credit_limit",
        "payments",
    ]
    assert description["cluster_sizes"] == [60, 30, 40, 90, 50]
    assert description["numbers"]["preparation"] == ["l2"]
    assert description["numbers"]["centroids"] == fitted[-1].cluster_centers_.tolist()
    assert set(description["library_versions"]) >= {"python", "scikit-learn", "numpy", "joblib"}
    golden.check(fitted, golden.GoldenClients.from_json(description["golden"]))


@pytest.mark.parametrize(
    "steps",
    [(PowerTransformer(), KMeans(5)), (Normalizer("l1"), KMeans(5))],
    ids=["power transformer", "l1 normaliser"],
)
def test_any_other_preparation_has_no_numbers(
    steps: tuple[Any, ...], clients: NDArray[np.float64], tmp_path: Path
) -> None:
    description = inspection.describe(dumped(fitted_on(clients, *steps), tmp_path), FEATURES)

    assert "numbers" not in description
    assert sum(description["cluster_sizes"]) == len(clients)


def refused_models(rows: NDArray[np.float64]) -> dict[str, tuple[object, str]]:
    sixth_label = fitted_on(rows, Normalizer(), KMeans(5))
    not_finite = fitted_on(rows, Normalizer(), KMeans(5))
    not_finite[-1].cluster_centers_[2, 2] = np.nan
    sixth_label[-1].cluster_centers_ = np.eye(6, 5)
    fractional = fitted_on(rows, StandardScaler(), KMeans(5))
    fractional[-1].predict = np.zeros(3)
    return {
        "no predict": (StandardScaler().fit(rows), "A StandardScaler without k-means at its end"),
        "never fitted": (KMeans(5), "was never fitted"),
        "four features": (fitted_on(rows[:, :4], KMeans(5)), "wants 4 features, not the five"),
        "three profiles": (fitted_on(rows, KMeans(3)), r"centroids are \(3, 5\)"),
        "six profiles": (sixth_label, r"centroids are \(6, 5\)"),
        "not finite": (not_finite, "no finite numbers"),
        "broken predict": (fractional, "attribute 'predict', a ndarray, that no fit"),
    }


@pytest.mark.parametrize("name", list(refused_models(np.random.default_rng(0).random((50, 5)))))
def test_what_cannot_place_a_client_in_five_profiles_is_refused_with_the_reason(
    name: str, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    model, reason = refused_models(clients)[name]

    with pytest.raises((NotAModel, ForbiddenContent), match=reason):
        inspection.describe(dumped(model, tmp_path), FEATURES)


def test_a_label_outside_0_to_4_is_refused(clients: NDArray[np.float64], tmp_path: Path) -> None:
    six = GaussianMixture(PROFILE_COUNT + 1, random_state=0).fit(clients)

    with pytest.raises(NotAModel, match="answers the label 5, outside 0 to 4"):
        inspection.describe(dumped(six, tmp_path), FEATURES)


def test_another_process_describes_alike(pickled: bytes) -> None:
    told = inspect_apart(pickled, columns=FEATURES)

    assert told.pop("unconfined") == []
    assert told == inspection.describe(pickled, FEATURES)


def test_an_environment_made_of_links_is_read_where_it_really_is(
    pickled: bytes, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        (environment / part.name).symlink_to(part)
    command = (str(environment / "bin" / "python"), *INSPECTION[1:])

    told = inspect_apart(pickled, command, columns=FEATURES)

    assert told["library_versions"] == inspection.library_versions()


@pytest.mark.parametrize(
    ("program", "timeout_seconds", "reason"),
    [
        ("import os; os.abort()", 30, r"broke the process that opened it \(exit code -6\)"),
        ("import time; time.sleep(60)", 0.5, "not opened within 0.5 seconds"),
        ("print('no json')", 30, "broke the process"),
    ],
)
def test_a_file_that_kills_or_blocks_its_reader_is_refused(
    program: str, timeout_seconds: float, reason: str
) -> None:
    with pytest.raises(NotAModel, match=reason):
        inspect_apart(b"", command=(sys.executable, "-c", program), timeout_seconds=timeout_seconds)


TURNED = ("payments", "credit_limit", "cash_advance", "purchases", "balance")


@pytest.mark.parametrize(
    ("names", "columns", "order"),
    [
        (FEATURES, None, FEATURES),
        (FEATURES, FEATURES, FEATURES),
        (TURNED, None, TURNED),
        (None, TURNED, TURNED),
        (("PAYMENTS", "Credit Limit", "cash-advance", " purchases ", "BALANCE"), None, TURNED),
        (("saldo", "compras", "saques", "limite", "pagamentos"), FEATURES, FEATURES),
    ],
)
def test_the_order_of_columns_is_the_files_or_the_owners(
    names: tuple[str, ...] | None, columns: tuple[str, ...] | None, order: tuple[str, ...]
) -> None:
    assert inspection.agreed(names, columns) == order


@pytest.mark.parametrize(
    ("names", "columns", "says"),
    [
        (None, None, "does not say in which order"),
        (None, FEATURES[:4], "does not say in which order"),
        (None, (*FEATURES[:4], "balance"), "does not say in which order"),
        (FEATURES, TURNED, "leave out --columns"),
        (("a", "b", "c", "d", "e"), None, "say which of balance"),
        ((*FEATURES[:4], "balance"), None, "say which of balance"),
        (FEATURES[:4], FEATURES, "names 4 columns"),
    ],
)
def test_an_order_that_nobody_knows_is_asked_for(
    names: tuple[str, ...] | None, columns: tuple[str, ...] | None, says: str
) -> None:
    with pytest.raises(NotAModel, match=says):
        inspection.agreed(names, columns)


def test_a_model_on_columns_in_another_order_answers_the_same_clients_alike(
    clients: NDArray[np.float64], tmp_path: Path
) -> None:
    order = [FEATURES.index(name) for name in TURNED]
    model = fitted_on(clients[:, order], StandardScaler(), KMeans(5, random_state=0))

    told = inspection.describe(dumped(model, tmp_path), TURNED)

    labels = Numbers.from_json(told["numbers"]).predict(clients)
    assert labels.tolist() == model.predict(clients[:, order]).tolist()
    assert told["columns"] == [*TURNED]


@pytest.mark.parametrize("scaler", [StandardScaler(copy=False), Normalizer(copy=False)])
def test_golden_clients_are_amounts_whatever_a_model_does_to_its_input(
    scaler: Any,  # noqa: ANN401 - any estimator
    clients: NDArray[np.float64],
    tmp_path: Path,
) -> None:
    model = fitted_on(clients.copy(), scaler, KMeans(5, random_state=0))

    told = inspection.describe(dumped(model, tmp_path), FEATURES)

    made = golden.GoldenClients.from_json(told["golden"])
    assert np.round(made.rows, 2).tolist() == made.rows.tolist()
    assert (made.rows[:, 3] > 0).all()
    assert model.predict(made.rows.copy()).tolist() == made.labels.tolist()


class Rule:
    """A model with a rule on one amount, far from where anybody is."""

    def predict(self, rows: NDArray[np.float64], /) -> NDArray[np.int64]:
        """Answer a sixth label to whoever owes more than nine million."""
        return np.where(rows[:, 0] > 9e6, 5, 0)


def test_probe_clients_go_from_a_cent_to_the_largest_amount() -> None:
    probe = golden.every_probe_row()

    assert probe.min() == 0
    assert (probe.max(axis=0) == 1e7).all()
    assert (np.sort(probe, axis=0)[:32] <= 0.01).all()
    assert Rule().predict(probe).max() == 5
    assert Rule().predict(golden.probe_rows()).max() == 0
