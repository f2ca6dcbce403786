"""Policies as they were before they knew facts: the profile alone decides, or a person does.

Kept for what they decided, which must come out the same whenever it is evaluated again.
"""

from dataclasses import dataclass
from typing import ClassVar

from evaluation_api.decision.domain import CardUsage, Counterfactual, Decision, Outcome, Prediction
from evaluation_api.decision.policy import (
    BORDER,
    RANGE,
    Policy,
    first_approved,
)


@dataclass(frozen=True, slots=True)
class ProfilePolicy(Policy):
    """An earlier policy, used as policy.FactPolicy is. if_near: what is decided near a border."""

    if_near: Outcome

    #: Facts are not looked at: see FactPolicy.
    thresholds: ClassVar[None] = None
    bounds: ClassVar[None] = None
    spans: ClassVar[None] = None
    allows_own_reviews: ClassVar[bool] = False

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
        is_approval = outcome is Outcome.APPROVED
        change = None if is_approval else first_approved(usage, prediction, self._outcome_after)
        return Decision(outcome, self.version, remarks, change)

    def _judge(
        self, usage: CardUsage, cluster: int, confidence: float | None
    ) -> tuple[Outcome, tuple[str, ...]]:
        is_near = self.near.holds(confidence)
        if self.training_range.leaves_out(usage):
            return self.training_range.outcome, (BORDER, RANGE) if is_near else (RANGE,)
        if is_near:
            return self.if_near, (BORDER,)
        return self.profiles[cluster].outcome, ()

    def _outcome_after(self, change: Counterfactual, changed: CardUsage) -> Outcome:
        outcome, _ = self._judge(changed, change.cluster, change.confidence)
        return outcome
