"""What a version must fulfil to be published: every number against its limit.

A candidate is measured against a baseline that does not move by itself, so that many small steps
lead no farther than one. Knows versions as they are loaded, and neither the history nor a store.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from model_store import golden, profiles
from model_store.errors import GoldenMismatch
from model_store.features import PROFILE_COUNT
from model_store.numbers import Numbers
from model_store.version import StoredModel

FARTHEST_MOVE: Final = 0.15
"""A centroid that moved farther from the baseline's may have changed its meaning."""
LEAST_AGREEMENT: Final = 0.95
"""Share of the baseline's golden clients, and of the probe clients, that must keep their label.

Of 40 resamples of the data set the worst kept that of 97.5 % of the probe clients, 95.0 % of the
golden ones: docs/model.md."""
LEAST_OF_A_LABEL: Final = 0.90
"""The same for the probe clients of each label (the worst of the resamples: 95.5 %): a rule that
turns on one amount takes its clients from one or two labels."""


@dataclass(frozen=True)
class Measure:
    """A number and its limit, which it must reach, or must not pass."""

    what: str
    value: float
    limit: float
    sense: Literal["at_least", "at_most"] = "at_least"

    @property
    def holds(self) -> bool:
        """Whether the number is within its limit."""
        reaches = self.value >= self.limit
        return reaches if self.sense == "at_least" else self.value <= self.limit

    def as_json(self) -> dict[str, Any]:
        """Return what the history keeps."""
        return {"what": self.what, "value": round(self.value, 6), self.sense: self.limit}


@dataclass(frozen=True)
class Verdict:
    """What was measured, and all that speaks against publishing, without a full stop, or None.

    labels: of the probe clients, those with the row's label by the baseline and the column's by the
    candidate (5 x 5). farthest_move: of a centroid, or None where the two are in different spaces.
    """

    measures: tuple[Measure, ...]
    labels: list[list[int]]
    farthest_move: float | None
    objection: str | None


def judge(candidate: StoredModel, baseline: StoredModel | None) -> Verdict:
    """Measure a candidate by itself and against the baseline. Raises NoClosedForm."""
    other = baseline or candidate
    probe = golden.probe_rows()
    labels = cross_table(other.predict(probe), candidate.predict(probe))
    moves = _moves(candidate, other)
    measures = [*_own(candidate), *_against(candidate, other, labels)]
    if moves is not None:
        farthest = Measure("farthest move of a centroid", max(moves), FARTHEST_MOVE, "at_most")
        measures.append(farthest)
    objections = [*_own_objections(candidate), *_order_objections(candidate, other)]
    if not objections:  # from which those would follow
        objections = [_sentence(measure) for measure in measures if not measure.holds]
    told = "; ".join([*_preparation_objections(candidate, other), *objections]) or None
    return Verdict(tuple(measures), labels.tolist(), max(moves) if moves else None, told)


def cross_table(before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count n clients by their label before (rows) and after (columns): 5 x 5."""
    counts = np.bincount(before * PROFILE_COUNT + after, minlength=PROFILE_COUNT**2)
    return counts.reshape(PROFILE_COUNT, PROFILE_COUNT)


def _own(candidate: StoredModel) -> list[Measure]:
    leads = profiles.rule_margins(_numbers(candidate).centroids)
    named = dict(profiles.RULE)
    sizes = candidate.metadata.get("cluster_sizes") or []
    return [
        *(
            Measure(f"lead of label {label} in {named[label]}", lead, profiles.LEAST_MARGIN)
            for label, lead in sorted(leads.items())
        ),
        *(
            Measure(f"share of profile {label}", size / sum(sizes), profiles.LEAST_SHARE)
            for label, size in enumerate(sizes)
        ),
    ]


def _against(
    candidate: StoredModel, other: StoredModel, labels: NDArray[np.int64]
) -> list[Measure]:
    """Measure how many clients keep the label that they have by the other model.

    labels: of the probe clients, 5 x 5. A label that none of them has is kept by all.
    """
    golden_kept = float(np.mean(candidate.predict(other.golden.rows) == other.golden.labels))
    kept, of = np.diag(labels), labels.sum(axis=1)
    shares = np.where(of == 0, 1.0, kept / np.maximum(of, 1)).tolist()
    whole = float(kept.sum() / of.sum())
    return [
        Measure("golden clients that keep their label", golden_kept, LEAST_AGREEMENT),
        Measure("probe clients that keep their label", whole, LEAST_AGREEMENT),
        *(
            Measure(f"probe clients that keep label {label}", share, LEAST_OF_A_LABEL)
            for label, share in enumerate(shares)
        ),
    ]


def _own_objections(candidate: StoredModel) -> Iterator[str]:
    try:
        golden.check(candidate, candidate.golden)
    except GoldenMismatch as mismatch:
        yield str(mismatch).rstrip(".")
    sizes = candidate.metadata.get("cluster_sizes")
    if not sizes:
        yield "how many clients each profile has is not known, as the file has no labels_"
    yield from profiles.publishing_objections(_numbers(candidate).centroids, sizes)


def _order_objections(candidate: StoredModel, other: StoredModel) -> Iterator[str]:
    """Match centroids pairwise, nearest in sum (Kuhn 1955, doi:10.1002/nav.3800020109)."""
    distances = _distances(candidate, other)
    if distances is None:
        return
    matched = linear_sum_assignment(distances)[1].tolist()
    if matched != [*range(len(matched))]:
        yield f"its labels match the baseline's in the order {matched}, not 0 to 4"
        return  # each moved as far as another's place
    moves = np.diag(distances).tolist()
    if max(moves) > FARTHEST_MOVE:
        label = moves.index(max(moves))
        yield f"the centroid of label {label} moved by {max(moves):.3f}, over {FARTHEST_MOVE}"


def _preparation_objections(candidate: StoredModel, other: StoredModel) -> Iterator[str]:
    """Refuse steps that the baseline has not, since no training of its kind adds one.

    A factor of 1.1 on one amount keeps as many labels as honest training on a resample does
    (docs/model.md): by its labels it is not told from that, by where it stands it is.
    """
    own, others = (_steps(_numbers(model)) for model in (candidate, other))
    if own != others:
        yield f"its preparation is {own}, and the baseline's is {others}"


def _steps(numbers: Numbers) -> str:
    kinds = [step if isinstance(step, str) else "scaling" for step in numbers.preparation]
    return ", then ".join(kinds) or "nothing"


def _moves(candidate: StoredModel, other: StoredModel) -> list[float] | None:
    distances = _distances(candidate, other)
    return None if distances is None else np.diag(distances).tolist()


def _distances(candidate: StoredModel, other: StoredModel) -> NDArray[np.float64] | None:
    """Return how far each centroid lies from each of the baseline's, where one space holds both."""
    one, two = _numbers(candidate), _numbers(other)
    if one.preparation != two.preparation:
        return None
    gaps = one.centroids[:, None] - two.centroids[None]
    distances: NDArray[np.float64] = np.linalg.norm(gaps, axis=2)
    return distances


def _numbers(model: StoredModel) -> Numbers:
    assert model.numbers is not None  # noqa: S101 - it has predicted by them
    return model.numbers


def _sentence(measure: Measure) -> str:
    beyond = "under" if measure.sense == "at_least" else "over"
    return f"{measure.what}: {measure.value:.1%}, {beyond} {measure.limit:.0%}"
