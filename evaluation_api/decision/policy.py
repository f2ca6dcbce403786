"""The policy: what is decided for each profile, near a border and outside the training range.

Pure rules over domain values. Knows nothing of the file they are written in (policy_file.py), of
models or of sentences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from evaluation_api.decision.domain import CardUsage, Counterfactual, Decision, Outcome, Prediction

#: The keys of the two rules that ask for a person, as Decision.remarks carries them.
BORDER = "fronteira"
RANGE = "faixa"


@dataclass(frozen=True, slots=True)
class Profile:
    """One of the five client profiles: what its label means and what is decided for it."""

    cluster: int
    key: str
    name: str
    sentence: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Border:
    """Below min_confidence a client may well belong to the neighbouring profile."""

    min_confidence: float
    outcome: Outcome
    sentence: str


@dataclass(frozen=True, slots=True)
class TrainingRange:
    """What the model has seen: amounts as multiples of the credit limit, and their largest."""

    outcome: Outcome
    sentence: str
    times_the_limit: Mapping[str, float]
    maximum: Mapping[str, float]

    def holds(self, usage: CardUsage) -> bool:
        """Tell whether every amount lies where the model has seen clients."""
        limit = usage.credit_limit
        for feature, times in self.times_the_limit.items():
            if getattr(usage, feature) > times * limit:
                return False
        for feature, maximum in self.maximum.items():  # noqa: SIM110 - all() takes twice as long
            if getattr(usage, feature) > maximum:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Policy:
    """A version of the criteria. version: the first 12 hex digits of the file's sha256."""

    version: str
    name: str
    valid_from: date
    profiles: tuple[Profile, ...]
    border: Border
    training_range: TrainingRange

    @property
    def approved_clusters(self) -> tuple[int, ...]:
        """Return the labels whose profile is approved: the targets of counterfactuals."""
        return tuple(p.cluster for p in self.profiles if p.outcome is Outcome.APPROVED)

    def decide(self, usage: CardUsage, prediction: Prediction) -> Decision:
        """Decide, and where that is no approval, find the smallest change that would be one."""
        outcome, remarks = self._judge(usage, prediction.cluster, prediction.confidence)
        approved = None
        if outcome is not Outcome.APPROVED:
            changes = prediction.counterfactuals
            approved = next((change for change in changes if self._approves(usage, change)), None)
        return Decision(outcome, self.version, remarks, approved)

    def _judge(
        self, usage: CardUsage, cluster: int, confidence: float | None
    ) -> tuple[Outcome, tuple[str, ...]]:
        near = confidence is not None and confidence < self.border.min_confidence
        outside = not self.training_range.holds(usage)
        if outside:
            return self.training_range.outcome, (BORDER, RANGE) if near else (RANGE,)
        if near:
            return self.border.outcome, (BORDER,)
        return self.profiles[cluster].outcome, ()

    def _approves(self, usage: CardUsage, change: Counterfactual) -> bool:
        changed = replace(usage, **{change.feature: change.amount})
        outcome, _ = self._judge(changed, change.cluster, change.confidence)
        return outcome is Outcome.APPROVED
