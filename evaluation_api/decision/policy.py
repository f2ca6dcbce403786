"""The policy: the profile proposes, the facts confirm.

Pure rules over domain values. Knows nothing of the file they are written in (policy_file.py), of
models or of sentences. What was decided before policies knew facts is earlier_policy.py's.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from math import inf
from typing import ClassVar, Final

from evaluation_api.decision.domain import (
    CardUsage,
    Counterfactual,
    Decision,
    Excess,
    Facts,
    Model,
    Outcome,
    Prediction,
)
from evaluation_api.decision.facts import Span, Thresholds, cents
from evaluation_api.decision.promise import Border, Refusals, broken_borders
from evaluation_api.decision.references import References

#: The keys of the two rules about what the model knows, as Decision.remarks carries them.
BORDER: Final = "fronteira"
RANGE: Final = "faixa"

_FROM_BEST: Final = (Outcome.APPROVED, Outcome.MANUAL_REVIEW, Outcome.REFUSED)


@dataclass(frozen=True, slots=True)
class Profile:
    """One of the five client profiles: what its label means and what is decided for it.

    if_poor, if_unpaid: in place of outcome, where the facts are so.
    """

    cluster: int
    key: str
    name: str
    sentence: str
    outcome: Outcome
    if_poor: Outcome
    if_unpaid: Outcome

    def decide(self, facts: Facts) -> Outcome:
        """Confirm what the profile proposes, or not."""
        if facts.poor:
            return self.if_poor
        return self.if_unpaid if facts.unpaid else self.outcome


@dataclass(frozen=True, slots=True)
class Near:
    """Below min_confidence a client may well belong to the neighbouring profile."""

    min_confidence: float
    sentence: str

    def holds(self, confidence: float | None) -> bool:
        """Tell whether a confidence is so low; a model without geometry gives none."""
        return confidence is not None and confidence < self.min_confidence


@dataclass(frozen=True, slots=True)
class TrainingRange:
    """What the model has seen: amounts as multiples of the credit limit, and their largest."""

    outcome: Outcome
    sentence: str
    times_the_limit: Mapping[str, float]
    maximum: Mapping[str, float]

    def excesses(self, usage: CardUsage) -> Iterator[Excess]:
        """Find every amount outside of where the model has seen clients."""
        limit = usage.credit_limit
        for feature, times in self.times_the_limit.items():
            if _exceeds(amount := getattr(usage, feature), times * limit):
                yield Excess(feature, amount, times * limit, times)
        for feature, maximum in self.maximum.items():
            if _exceeds(amount := getattr(usage, feature), maximum):
                yield Excess(feature, amount, maximum)

    def leaves_out(self, usage: CardUsage) -> bool:
        """Tell whether any amount is outside."""
        return any(True for _ in self.excesses(usage))

    def most(self, feature: str, limit: float) -> float:
        """Return the largest amount in range, in whole cents, of a client with this limit."""
        most = min(self.times_the_limit.get(feature, inf) * limit, self.maximum.get(feature, inf))
        return most if most == inf else cents(most) / 100


def _exceeds(amount: float, bound: float) -> bool:
    """Compare in whole cents: 20 times 21.39 is a little less than 427.80 as doubles have it."""
    return amount > bound and cents(amount) > cents(bound)


@dataclass(frozen=True, slots=True)
class Policy:
    """What both grammars have. version: the first 12 hex digits of the file's sha256."""

    version: str
    name: str
    valid_from: date
    profiles: tuple[Profile, ...]
    near: Near
    training_range: TrainingRange

    @property
    def targets(self) -> tuple[int, ...]:
        """The profiles for which approval is proposed."""
        return tuple(p.cluster for p in self.profiles if p.outcome is Outcome.APPROVED)


@dataclass(frozen=True, slots=True)
class FactPolicy(Policy):
    """A version of the criteria.

    accepted_models: sha256s for which refusals stand though the promise does not.
    allows_own_reviews: by whoever made the evaluation.
    """

    thresholds: Thresholds
    references: References
    accepted_models: frozenset[str] = frozenset()
    allows_own_reviews: bool = False
    _borders: dict[str, tuple[Border, ...]] = field(default_factory=dict, compare=False, repr=False)

    #: The confidence below which nobody is approved: near a border is a remark, and no more.
    margin: ClassVar[float] = 0.0
    #: Nothing else is decided near one.
    if_near: ClassVar[None] = None

    def decide(
        self, usage: CardUsage, prediction: Prediction, *, promised: bool | None = None
    ) -> Decision:
        """Decide, and where that is no approval, find the smallest change that would be one.

        promised: whether the promise holds, where that is known without the model.
        """
        facts = self.thresholds.of(usage)
        excesses = tuple(self.training_range.excesses(usage))
        outcome = self._outcome(prediction.cluster, facts, is_outside=bool(excesses))
        unpromised = False
        if outcome is Outcome.REFUSED:
            unpromised = not (self.is_promised(prediction.model) if promised is None else promised)
            outcome = Outcome.MANUAL_REVIEW if unpromised else outcome
        is_approval = outcome is Outcome.APPROVED
        return Decision(
            outcome,
            self.version,
            tuple(self._remarks(prediction.confidence, excesses)),
            None if is_approval else first_approved(usage, prediction, self._outcome_after),
            facts,
            () if is_approval else tuple(self.references.adverse(usage, facts)),
            excesses,
            unpromised,
        )

    def spans(self, usage: CardUsage) -> dict[str, Span]:
        """Return where each amount alone would leave nothing but the profile in the way.

        It travels with a request for a prediction, so that the model looks there for changes.
        """
        seen = self.training_range
        outside = {excess.feature for excess in seen.excesses(usage)}
        spans = {}
        for feature, span in self.thresholds.spans(usage).items():
            most = seen.most(feature, usage.credit_limit)
            if outside <= {feature} and span.low <= most:
                spans[feature] = span if span.high <= most else Span(span.low, most)
        return spans

    @property
    def bounds(self) -> dict[str, tuple[float, ...]]:
        """Return all that a share is judged by, under the amount that it is of."""
        facts, spoken = self.thresholds, self.references
        return {
            "balance": (facts.high_use.value, spoken.use.value),
            "payments": (
                facts.low_paid.value,
                facts.hardly_paid.value,
                spoken.low_paid.value,
                spoken.hardly_paid.value,
            ),
            "cash_advance": (spoken.withdrawn.value,),
        }

    def is_promised(self, model: Model) -> bool:
        """Tell whether nobody whom this refuses would do better by behaving worse."""
        return model.sha256 in self.accepted_models or self.broken_borders(model) == ()

    def broken_borders(self, model: Model) -> tuple[Border, ...] | None:
        """Return the borders that break the promise for a model; None where it tells none."""
        if model.promise is None:
            return None
        if model.sha256 not in self._borders:
            self._borders[model.sha256] = broken_borders(model.promise, self._refusals())
        return self._borders[model.sha256]

    def _refusals(self) -> Refusals:
        refused = {p.cluster for p in self.profiles if p.if_poor is Outcome.REFUSED}
        return Refusals(
            refused=frozenset(refused),
            better=frozenset(p.cluster for p in self.profiles) - refused,
            high_use=self.thresholds.high_use.value,
            low_paid=self.thresholds.low_paid.value,
            most_owed=self.training_range.times_the_limit.get("balance", inf),
        )

    def _outcome(self, cluster: int, facts: Facts, *, is_outside: bool) -> Outcome:
        outcome = self.profiles[cluster].decide(facts)
        return worse(outcome, self.training_range.outcome) if is_outside else outcome

    def _remarks(self, confidence: float | None, excesses: tuple[Excess, ...]) -> Iterator[str]:
        if self.near.holds(confidence):
            yield BORDER
        if excesses:
            yield RANGE

    def _outcome_after(self, change: Counterfactual, changed: CardUsage) -> Outcome:
        is_outside = self.training_range.leaves_out(changed)
        return self._outcome(change.cluster, self.thresholds.of(changed), is_outside=is_outside)


def first_approved(
    usage: CardUsage,
    prediction: Prediction,
    outcome_after: Callable[[Counterfactual, CardUsage], Outcome],
) -> Counterfactual | None:
    """Return the smallest change after which a client is approved, or None.

    outcome_after: decides for the client as a change leaves him.
    """
    for change in prediction.counterfactuals:
        changed = replace(usage, **{change.feature: change.amount})
        if outcome_after(change, changed) is Outcome.APPROVED:
            return change
    return None


def worse(one: Outcome, other: Outcome) -> Outcome:
    """Return the outcome that is worse for the client."""
    return max(one, other, key=_FROM_BEST.index)
