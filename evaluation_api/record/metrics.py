"""What Prometheus is told of the record."""

import collections
from collections.abc import Iterable
from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge

from evaluation_api.decision.domain import Evaluation, Review

DECISIONS: Final = Counter(
    "evaluation_decisions", "Decisions recorded", ["outcome", "cluster", "model", "policy"]
)
REVIEWS: Final = Counter("evaluation_reviews", "Reviews recorded", ["outcome", "reason"])
RECORD_AWAY: Final = Gauge("evaluation_record_away", "1 while the record cannot be written")


def count_decisions(evaluations: Iterable[Evaluation | None]) -> None:
    """Count decisions that were recorded; what waits for the model is None and not counted."""
    decided = collections.Counter(
        (
            one.decision.outcome,
            one.prediction.cluster,
            one.prediction.model.tag,
            one.decision.policy_version,
        )
        for one in evaluations
        if one
    )
    for labels, count in decided.items():
        _series(*labels).inc(count)


def count_review(review: Review) -> None:
    """Count a review that was recorded."""
    REVIEWS.labels(review.outcome, review.reason).inc()


@cache
def _series(outcome: str, cluster: int, model: str, policy: str) -> Counter:
    """Return a series; looking one up by its labels costs more than counting."""
    return DECISIONS.labels(outcome, cluster, model, policy)
