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
from model_store.pickles import inspection
from model_store.pickles.foreign import inspect_apart


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
        "no predict": (
            StandardScaler().fit(rows),
            "A StandardScaler without k-means at its end",
        ),
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
