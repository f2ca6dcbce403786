"""A model in closed form answers as its pickle does, and takes nothing that cannot be reckoned."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from model_store.numbers import UNIT, Numbers, Scaling, digest, on_sphere
from model_store.pickles import inspection
from model_store.pickles.opened import OpenedModel

ONES = (1.0,) * 5
PREPARATIONS: list[list[Any]] = [
    [],
    [Normalizer()],
    [StandardScaler()],
    [StandardScaler(with_mean=False)],
    [StandardScaler(with_std=False)],
    [MinMaxScaler()],
    [MinMaxScaler((-1, 3))],
    [MaxAbsScaler()],
    [RobustScaler()],
    [RobustScaler(with_centering=False)],
    [RobustScaler(with_scaling=False)],
    [StandardScaler(), Normalizer()],
    [Normalizer(), StandardScaler()],
    [MaxAbsScaler(), RobustScaler(), MinMaxScaler()],
]


def name_of(steps: list[Any]) -> str:
    return " + ".join(repr(step) for step in steps) or "nothing"


def read_again(numbers: Numbers) -> Numbers:
    return Numbers.from_json(json.loads(json.dumps(numbers.as_json())))


@pytest.mark.parametrize("steps", PREPARATIONS, ids=name_of)
@pytest.mark.parametrize("last", [KMeans(5, random_state=0), MiniBatchKMeans(5, random_state=0)])
def test_numbers_answer_as_the_pipeline_that_they_were_read_from(
    steps: list[Any], last: KMeans, clients: NDArray[np.float64]
) -> None:
    model = make_pipeline(*steps, last).fit(clients)
    rows = (
        np.random.default_rng(1).uniform(0, 1e4, (2000, 5))
        * 10 ** np.linspace(-5, 3, 2000)[:, None]
    )

    numbers = inspection.numbers_of(OpenedModel(model))

    assert numbers is not None
    assert read_again(numbers).predict(rows).tolist() == model.predict(rows).tolist()
    assert read_again(numbers).explain(rows).cluster.tolist() == model.predict(rows).tolist()


@pytest.mark.parametrize(
    "steps", [[Normalizer("l1")], [MinMaxScaler(clip=True)], [MaxAbsScaler(clip=True)]], ids=name_of
)
def test_a_preparation_that_does_more_than_shift_and_scale_has_no_numbers(
    steps: list[Any], clients: NDArray[np.float64]
) -> None:
    model = make_pipeline(*steps, KMeans(5, random_state=0)).fit(clients)

    assert inspection.numbers_of(OpenedModel(model)) is None


def test_of_centroids_equally_near_the_lowest_label_is_answered_as_k_means_does(
    fitted: Pipeline, clients: NDArray[np.float64]
) -> None:
    twins = fitted[-1].cluster_centers_[[3, 1, 2, 3, 1]].copy()
    kmeans = KMeans(5, init=twins, n_init=1, max_iter=1).fit(Normalizer().transform(clients))
    kmeans.cluster_centers_ = twins
    numbers = on_sphere(twins)

    labels = numbers.predict(clients)

    assert labels.tolist() == kmeans.predict(Normalizer().transform(clients)).tolist()
    assert set(labels.tolist()) <= {0, 1, 2}
    assert numbers.explain(clients).cluster.tolist() == labels.tolist()


def test_what_is_told_apart_adds_up_to_the_distances(clients: NDArray[np.float64]) -> None:
    model = make_pipeline(StandardScaler(), KMeans(5, random_state=0)).fit(clients)
    numbers = inspection.numbers_of(OpenedModel(model))
    assert numbers is not None

    told, squared = numbers.explain(clients), np.sort(model.transform(clients) ** 2, axis=1)

    assert np.allclose(told.contributions.sum(axis=1), squared[:, 1] - squared[:, 0])
    assert ((told.confidence >= 0) & (told.confidence <= 1)).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"centroids": np.eye(4, 5).tolist()}, "5 profiles x 5 features"),
        ({"centroids": np.full((5, 5), np.nan).tolist()}, "no finite number"),
        ({"centroids": np.full((5, 5), 1.1e9).tolist()}, "over 1e"),
        ({"features": ["payments"]}, "the features are not"),
        ({"preparation": ["l1"]}, "neither a scaling nor l2"),
        ({"preparation": ["l2"] * 5}, "over 4 steps"),
        ({"preparation": [{"shift": [1.0], "scale": ONES}]}, "five shifts"),
        ({"preparation": [{"shift": [np.inf] * 5, "scale": ONES}]}, "a shift is over"),
        ({"preparation": [{"shift": ONES, "scale": [0.0] * 5}]}, "a scale is not between"),
        ({"preparation": [{"shift": ONES, "scale": [-1.0] * 5}]}, "a scale is not between"),
    ],
)
def test_what_cannot_be_reckoned_with_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Numbers.from_json(on_sphere(np.eye(5)).as_json() | change)


def test_amounts_at_the_limits_are_reckoned_with_at_the_limits() -> None:
    most = Scaling((1e9,) * 5, (1e-9,) * 5)
    numbers = Numbers((most, most, UNIT), np.full((5, 5), -1e9))

    assert numbers.predict(np.array([[1e7] * 5, [0.01] * 5])).tolist() == [0, 0]


def test_a_digest_is_of_everything_that_a_version_consists_of() -> None:
    one = on_sphere(np.eye(5))
    metadata: dict[str, Any] = {"estimator": "KMeans"}
    own = digest("a" * 64, one, metadata, "{}")
    others = {
        digest("b" * 64, one, metadata, "{}"),
        digest("a" * 64, on_sphere(np.eye(5) * 0.5), metadata, "{}"),
        digest("a" * 64, None, metadata, "{}"),
        digest("a" * 64, one, {"estimator": "Other"}, "{}"),
        digest("a" * 64, one, metadata, "{ }"),
    }

    assert len(others - {own}) == 5
    assert len(own) == 64
    noted = metadata | {"library_versions": {"python": "3.13"}, "digest": "c" * 64}
    assert digest("a" * 64, one, noted, "{}") == own
