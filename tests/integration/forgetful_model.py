"""The model service with a model that has gone wrong since it was opened: all clients are 3."""

from dataclasses import replace
from typing import Any, cast

from model_store.geometry import Matrix
from model_store.serving.answers import Prediction
from service import CreditCardClusters

__all__ = ["CreditCardClusters"]

bento = cast("Any", CreditCardClusters)  # a bentoml.Service, which is not typed
Right: Any = bento.inner


def everybody_is_3(batch: Matrix) -> list[Prediction]:
    return [Prediction(3)] * len(batch)


class Forgetful(Right):  # type: ignore[misc]
    """The service's class, with such a model."""

    def __init__(self) -> None:
        """Open the published model, and forget it."""
        super().__init__()
        self._model = replace(self.model, predict=everybody_is_3)


bento.inner = Forgetful
