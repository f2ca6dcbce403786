"""Policies as they were before they knew facts: the profile alone decides, or a person does.

Kept for what they decided, which must come out the same whenever it is evaluated again.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar

from evaluation_api.decision.domain import CardUsage, Counterfactual, Decision, Outcome, Prediction
from evaluation_api.decision.policy import BORDER, RANGE, Near, Profile, TrainingRange


@dataclass(frozen=True, slots=True)
class ProfilePolicy:
    """An earlier policy, used as policy.FactPolicy is. if_near: what is decided near a border."""

    version: str
    name: str
    valid_from: date
    profiles: tuple[Profile, ...]
    near: Near
    if_near: Outcome
    training_range: TrainingRange

    #: Facts are not looked at: see FactPolicy.
    spans: ClassVar[None] = None

    @property
    def targets(self) -> tuple[int, ...]:
        """The profiles that are approved."""
        return tuple(p.cluster for p in self.profiles if p.outcome is Outcome.APPROVED)

    @property
    def margin(self) -> float:
        """The confidence below which nobody is approved."""
        return self.near.min_confidence

    def decide(
        self,
        usage: CardUsage,
        prediction: Prediction,
        *,
        promised: bool | None = None,  # noqa: ARG002 - it promises nothing
    ) -> Decision:
        """Decide by the profile, the border and the range."""
        outcome, remarks = self._judge(usage, prediction.cluster, prediction.confidence)
        approved = None
        if outcome is not Outcome.APPROVED:
            changes = prediction.counterfactuals
            approved = next((change for change in changes if self._approves(usage, change)), None)
        return Decision(outcome, self.version, remarks, approved)

    def _judge(
        self, usage: CardUsage, cluster: int, confidence: float | None
    ) -> tuple[Outcome, tuple[str, ...]]:
        is_near = self.near.holds(confidence)
        if any(True for _ in self.training_range.excesses(usage)):
            return self.training_range.outcome, (BORDER, RANGE) if is_near else (RANGE,)
        if is_near:
            return self.if_near, (BORDER,)
        return self.profiles[cluster].outcome, ()

    def _approves(self, usage: CardUsage, change: Counterfactual) -> bool:
        changed = replace(usage, **{change.feature: change.amount})
        outcome, _ = self._judge(changed, change.cluster, change.confidence)
        return outcome is Outcome.APPROVED
