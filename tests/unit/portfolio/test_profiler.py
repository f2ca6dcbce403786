"""The model as the portfolio has it: where the policy's promise holds, and where it does not."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation_api.decision.domain import FEATURES
from model_store import promise
from model_store.numbers import on_sphere
from model_store.serving import answers, predictor
from model_store.serving.batches import ExplanationOptions, with_options
from model_store.version import StoredModel
from portfolio import limits
from portfolio.profiler import StoredProfiler
from tests.evaluations import POLICY
from tests.unit.model_store.amounts import spread

BALANCE, LIMIT = FEATURES.index("balance"), FEATURES.index("credit_limit")
CLIENTS = spread(300)


def test_clients_are_placed_by_the_geometry_or_else_by_the_models_own_predict(
    stored: StoredModel,
) -> None:
    by_geometry = StoredProfiler(stored).profiles(CLIENTS)
    by_predict = StoredProfiler(replace(stored, numbers=None)).profiles(CLIENTS)

    np.testing.assert_array_equal(by_geometry.cluster, by_predict.cluster)
    assert np.isfinite(by_geometry.confidence).all()
    assert np.isnan(by_predict.confidence).all()
    assert by_predict.contributions is None


def test_changes_are_those_of_the_answers_to_who_asks_one_by_one(stored: StoredModel) -> None:
    profiler = StoredProfiler(stored)
    options = ExplanationOptions(POLICY.targets, POLICY.margin)
    asked = with_options(CLIENTS, options, limits.of(POLICY, profiler.model, CLIENTS))
    told = answers.as_predictions(predictor.serve(stored).predict(asked), CLIENTS)

    found = profiler.changes(CLIENTS, POLICY)

    assert found == [
        [
            (one.feature, one.amount, one.cluster, one.confidence, one.until)[: 5 - no_limit]
            for one in prediction.counterfactuals or ()
            for no_limit in [one.until is None]
        ]
        for prediction in told
    ]
    assert {len(changes) for changes in found} >= {0, 1, 2}
    assert {len(change) for changes in found for change in changes} == {4, 5}


@pytest.mark.parametrize("seed", range(3))
def test_the_promise_holds_for_a_model_that_is_trained_again(
    stored: StoredModel, seed: int
) -> None:
    assert stored.centroids is not None
    noise = np.random.default_rng(seed).normal(0, 0.01, stored.centroids.shape)
    moved = replace(
        stored, numbers=on_sphere((stored.centroids + noise).clip(0)), sha256=f"{seed:064x}"
    )

    assert POLICY.is_promised(StoredProfiler(moved).model)


def test_the_promise_is_broken_by_a_model_whose_other_profiles_use_their_limits(
    stored: StoredModel,
) -> None:
    assert stored.centroids is not None
    centroids = stored.centroids.copy()
    centroids[3, [BALANCE, LIMIT]] = centroids[3, [LIMIT, BALANCE]]

    broken = StoredProfiler(replace(stored, numbers=on_sphere(centroids), sha256="b" * 64)).model

    assert promise.of(centroids).use_from[3] is None
    assert not POLICY.is_promised(broken)
    assert POLICY.broken_borders(broken)
