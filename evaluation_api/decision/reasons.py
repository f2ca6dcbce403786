"""Why a client is in a profile and not in the next-best: what each amount did to that."""

from typing import NamedTuple

from evaluation_api.decision.domain import CardUsage, Prediction


class Reason(NamedTuple):
    """What one amount did. contribution: its part of d2^2 - d1^2, above 0 where it fits."""

    feature: str
    amount: float
    contribution: float

    @property
    def fits(self) -> bool:
        """Whether the amount speaks for the profile."""
        return self.contribution >= 0


def reasons(usage: CardUsage, prediction: Prediction) -> list[Reason]:
    """Return what each amount did, strongest first; nothing of a model without geometry."""
    found = [
        Reason(feature, getattr(usage, feature), contribution)
        for feature, contribution in (prediction.contributions or {}).items()
    ]
    return sorted(found, key=_strength, reverse=True)


def _strength(reason: Reason) -> float:
    return abs(reason.contribution)
