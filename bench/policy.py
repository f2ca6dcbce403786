"""`python -m bench.policy DATA [--outcomes FILE]`: what a policy does to real clients.

DATA: the training data set's CSV. FILE: a CSV of clients with a known outcome: the five amounts,
`default` (1: missed the next payment) and, for the report alone, `age`. Every client is predicted
by the model that the project carries and decided by the policy's own code, one by one.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import CardUsage, Decision, Model, Outcome, Prediction
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.decision.promise import Border, Promise
from model_store import geometry, promise
from model_store.features import FEATURES
from model_store.geometry import Matrix
from model_store.pickles import inspection, safe_pickle
from model_store.registry import DEFAULT_PICKLE

_OUTCOMES = list(Outcome)
REFUSED = _OUTCOMES.index(Outcome.REFUSED)
_TWINS = 50
_WORSE = {"balance": 1, "cash_advance": 1, "payments": -1}
_LIMIT = FEATURES.index("credit_limit")
_AGES = (0, 25, 30, 40, 50, 60, 200)


@dataclass(frozen=True)
class Judge:
    """A policy over the carried model. decide: n x 5 amounts to n decisions."""

    policy: AnyPolicy
    centroids: Matrix
    model: Model

    def decide(self, clients: Matrix) -> list[Decision]:
        """Decide n clients (n x 5, in the order of FEATURES)."""
        explained = geometry.explain(clients, self.centroids)
        labels, confidence = explained.cluster.tolist(), explained.confidence.tolist()
        return [
            self.policy.decide(CardUsage(*row), Prediction(label, self.model, confidence=sure))
            for row, label, sure in zip(clients.tolist(), labels, confidence, strict=True)
        ]

    def ranks(self, clients: Matrix) -> NDArray[np.int64]:
        """Return n outcomes: 0 approved, 1 a person's, 2 refused."""
        return np.array([_OUTCOMES.index(d.outcome) for d in self.decide(clients)])


def carried(policy: AnyPolicy) -> Judge:
    """Return a policy over the model that the project carries."""
    centroids = inspection.centroids_of(safe_pickle.load(DEFAULT_PICKLE))
    assert centroids is not None  # noqa: S101 - the carried model has a geometry
    return Judge(policy, centroids, Model("carried", "", told_of(centroids)))


def told_of(centroids: Matrix) -> Promise:
    """Return the promise of 5 x 5 centroids as an evaluation service reads it."""
    told = promise.of(centroids)
    borders = tuple(Border(*border) for border in told.wrong_way)
    return Promise(told.paid_at_most, told.use_from, borders)


def read(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read a CSV by column, names in lower case; an empty cell is the column's median."""
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    columns = {}
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        if name.lower() in {*FEATURES, "default", "age"}:
            column = np.array([float(cell or "nan") for cell in cells])
            columns[name.lower()] = np.where(np.isnan(column), np.nanmedian(column), column)
    return columns


def clients_of(columns: dict[str, NDArray[np.float64]], divided_by: float = 1) -> Matrix:
    """Return n x 5 amounts, in another currency."""
    return np.column_stack([columns[feature] for feature in FEATURES]) / divided_by


def twins(
    clients: Matrix, features: Sequence[str], reach: float, random: np.random.Generator
) -> Matrix:
    """Return n clients who behave worse in some amounts, at random.

    They owe or withdraw more by up to reach times their limit, or pay less, down to nothing.
    """
    worse = clients.copy()
    for feature in features:
        column, share = FEATURES.index(feature), random.random(len(clients))
        if _WORSE[feature] < 0:
            worse[:, column] *= share
        else:
            worse[:, column] += share * reach * clients[:, _LIMIT] + 0.01
    return np.round(worse, 2)


def better_by_worse(
    judge: Judge, clients: Matrix, reach: float, *, jointly: bool
) -> NDArray[np.bool_]:
    """Tell of n clients whether any of their twins who behave worse is decided better."""
    random, ranks = np.random.default_rng(20261126), judge.ranks(clients)
    better = np.zeros(len(clients), dtype=bool)
    for turn in range(_TWINS):
        features = list(_WORSE) if jointly else [list(_WORSE)[turn % len(_WORSE)]]
        better |= judge.ranks(twins(clients, features, reach, random)) < ranks
    return better


def report_clients(judge: Judge, clients: Matrix, reach: float) -> Iterator[str]:
    """Say what becomes of clients whose outcome nobody knows."""
    decisions = judge.decide(clients)
    ranks = np.array([_OUTCOMES.index(d.outcome) for d in decisions])
    yield f"{len(clients)} clients: {_shares(ranks)}"
    for jointly in (False, True):
        better = better_by_worse(judge, clients, reach, jointly=jointly)
        in_range = np.array([not decision.excesses for decision in decisions])
        kind = "all three amounts" if jointly else "one amount"
        yield (
            f"better by worse, {kind}, {_TWINS} twins each: {better.mean():.2%} of all,"
            f" {better[ranks == 1].sum()} left to a person,"
            f" {better[(ranks == REFUSED) & in_range].sum()} refused in range,"
            f" {better[(ranks == REFUSED) & ~in_range].sum()} refused out of it"
        )
    silent = sum(
        decision.outcome is not Outcome.APPROVED and not decision.excesses and not decision.adverse
        for decision in decisions
    )
    yield f"no approval, in range, without an adverse reason: {silent}"


def report_outcomes(judge: Judge, columns: dict[str, NDArray[np.float64]]) -> Iterator[str]:
    """Say how clients whose outcome is known fared by decision, and how ages differ."""
    ranks = judge.ranks(clients_of(columns, divided_by=30))
    defaulted = columns["default"]
    rates = (f"{defaulted[ranks == rank].mean():.1%}" for rank in range(3))
    yield f"{len(ranks)} with an outcome: {_shares(ranks)}; default rate {' / '.join(rates)}"
    low, high = _interval(defaulted, ranks)
    yield f"AUC of the decision: {roc_auc_score(defaulted, ranks):.3f} ({low:.3f} to {high:.3f})"
    if "age" in columns:
        approved = [
            (ranks[(columns["age"] > after) & (columns["age"] <= until)] == 0).mean()
            for after, until in pairwise(_AGES)
        ]
        ratio = min(approved) / max(approved)
        yield f"least approval rate by age against the greatest: {ratio:.2f}"


def _interval(defaulted: NDArray[np.float64], ranks: NDArray[np.int64]) -> tuple[float, float]:
    """Bound the AUC by 200 bootstraps, 95 %."""
    random, found = np.random.default_rng(20261126), []
    for _ in range(200):
        drawn = random.integers(0, len(ranks), len(ranks))
        found.append(roc_auc_score(defaulted[drawn], ranks[drawn]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _shares(ranks: NDArray[np.int64]) -> str:
    shares = np.bincount(ranks, minlength=len(_OUTCOMES)) / len(ranks)
    return f"approved / person / refused {' / '.join(f'{share:.1%}' for share in shares)}"


def main(arguments: list[str] | None = None) -> int:
    """Print the figures of one policy."""
    parser = argparse.ArgumentParser(prog="python -m bench.policy", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--outcomes", type=Path)
    parser.add_argument("--policy", type=Path, default=policy_file.DEFAULT)
    parser.add_argument(
        "--reach",
        type=float,
        default=0.5,
        help="how much worse twins behave, at most, in limits (%(default)s)",
    )
    chosen = parser.parse_args(arguments)
    judge = carried(policy_file.read(chosen.policy)[0])
    lines = list(report_clients(judge, clients_of(read(chosen.data)), chosen.reach))
    if chosen.outcomes:
        lines += report_outcomes(judge, read(chosen.outcomes))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
