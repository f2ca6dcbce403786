"""The model as those see it who evaluate in the background: it may be away, and nobody hurries."""

from collections.abc import Sequence
from typing import Protocol

from evaluation_api.decision.domain import CardUsage, Geometry, Prediction


class Predictor(Protocol):
    """Whatever says which profiles clients belong to."""

    async def predict_many(self, usages: Sequence[CardUsage]) -> list[Prediction]:
        """Predict up to 1,024, in their order. Raises ModelError."""


class Model(Predictor, Protocol):
    """A predictor that can be asked whether it is back."""

    @property
    def is_away(self) -> bool:
        """Whether the last calls failed."""

    async def describe(self) -> Geometry:
        """Give anything at all, if it is there. Raises ModelError."""


async def require(model: Model) -> None:
    """Find out whether a model is back before anything is taken on. Raises ModelError if not."""
    if model.is_away:
        await model.describe()
