"""What a policy does to clients, and which models its promise holds for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import policy
from evaluation_api.decision.domain import Outcome
from model_store import promise
from model_store.features import FEATURES
from model_store.geometry import Matrix
from tests.evaluations import EARLIER_POLICY, MODEL, POLICY
from tests.unit.model_store.amounts import spread

BALANCE, PURCHASES, WITHDRAWALS, LIMIT, PAYMENTS = range(len(FEATURES))
CLIENTS = spread(400)


@pytest.fixture(scope="module")
def judge() -> policy.Judge:
    return policy.carried(POLICY)


def moved(centroids: Matrix, seed: int) -> Matrix:
    """Return centroids moved as a model trained again moves them: by up to a twentieth."""
    noise = np.random.default_rng(seed).normal(0, 0.01, centroids.shape)
    return (centroids + noise).clip(0)


def test_twins_behave_worse_and_differ_in_nothing_else() -> None:
    worse = policy.twins(CLIENTS, ["balance", "payments"], 0.5, np.random.default_rng(1))

    assert (worse[:, BALANCE] > CLIENTS[:, BALANCE]).all()
    assert (worse[:, BALANCE] <= CLIENTS[:, BALANCE] + 0.5 * CLIENTS[:, LIMIT] + 0.02).all()
    assert (worse[:, PAYMENTS] <= CLIENTS[:, PAYMENTS]).all()
    kept = [PURCHASES, WITHDRAWALS, LIMIT]
    np.testing.assert_allclose(worse[:, kept], CLIENTS[:, kept])


def test_nobody_refused_does_better_by_behaving_worse_where_once_everybody_could(
    judge: policy.Judge,
) -> None:
    earlier = replace(judge, policy=EARLIER_POLICY)
    for one, are_some in ((judge, False), (earlier, True)):
        refused = one.ranks(CLIENTS) == list(Outcome).index(Outcome.REFUSED)
        better = policy.better_by_worse(one, CLIENTS, 0.5, jointly=True)
        assert refused.any()
        assert better[refused].any() == are_some


@pytest.mark.parametrize("seed", range(3))
def test_the_promise_holds_for_a_model_that_is_trained_again(
    judge: policy.Judge, seed: int
) -> None:
    told = policy.told_of(moved(judge.centroids, seed))

    assert POLICY.broken_borders(replace(MODEL, sha256=f"{seed:064x}", promise=told)) == ()


def test_the_promise_is_broken_by_a_model_whose_other_profiles_use_their_limits(
    judge: policy.Judge,
) -> None:
    centroids = judge.centroids.copy()
    centroids[3, [BALANCE, LIMIT]] = centroids[3, [LIMIT, BALANCE]]
    told = policy.told_of(centroids)

    assert promise.of(centroids).use_from[3] is None
    assert POLICY.broken_borders(replace(MODEL, sha256="b" * 64, promise=told))


def test_the_report_reads_a_data_set_and_outcomes(
    tmp_path: Path, judge: policy.Judge, capsys: pytest.CaptureFixture[str]
) -> None:
    data, outcomes = tmp_path / "data.csv", tmp_path / "outcomes.csv"
    rows = [",".join(f"{amount:.2f}" for amount in client) for client in CLIENTS]
    data.write_text("\n".join([",".join(FEATURES).upper(), *rows]))
    header = ",".join([*FEATURES, "age", "default"])
    ages = (18 + 7 * n % 60 for n in range(len(rows)))
    known = [
        f"{row},{age},{n % 3 == 0:d}" for n, (row, age) in enumerate(zip(rows, ages, strict=True))
    ]
    outcomes.write_text("\n".join([header, *known]))

    assert policy.main([str(data), "--outcomes", str(outcomes)]) == 0

    printed = capsys.readouterr().out
    shares = np.bincount(judge.ranks(CLIENTS), minlength=3) / len(CLIENTS)
    assert f"{len(CLIENTS)} clients: approved / person / refused {shares[0]:.1%}" in printed
    assert "AUC of the decision: " in printed
    assert "least approval rate by age" in printed
