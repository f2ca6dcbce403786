"""A pickle that was opened: an estimator, and what the file says of its columns and its origin."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator

from model_store.errors import NotAModel
from model_store.features import FEATURES, PROFILE_COUNT
from model_store.geometry import Labels, Matrix

_LONGEST_REASON: Final = 150
"""Of a library's own words, so that what to do is not cut off."""


@dataclass(frozen=True)
class OpenedModel:
    """A checked estimator.

    names: the columns it was fitted on, as the file has them, or None where it does not tell.
    columns: five of FEATURES, in the order of the estimator's columns. saved_by: scikit-learn's
    version, or None.
    """

    estimator: BaseEstimator
    names: tuple[str, ...] | None = None
    columns: tuple[str, ...] = FEATURES
    saved_by: str | None = None

    @property
    def steps(self) -> list[BaseEstimator]:
        """The estimators that clients go through, in order, pipelines within pipelines unfolded."""
        return steps_of(self.estimator)

    @property
    def is_single(self) -> bool:
        """Tell whether it was fitted on float32: k-means then predicts nothing else."""
        last = self.steps[-1]
        learned = getattr(last, "cluster_centers_", getattr(last, "means_", None))
        return learned is not None and learned.dtype == np.float32

    def order(self) -> list[int]:
        """Return where in FEATURES each of the estimator's columns stands."""
        return [FEATURES.index(name) for name in self.columns]

    def predict(self, rows: Matrix) -> Labels:
        """Return n labels for n x 5 amounts in the order of FEATURES.

        The rows are copied: an estimator with `copy=False` scales what it is given in place. Raises
        NotAModel when something other than one whole number a client comes out.
        """
        dtype = np.float32 if self.is_single else np.float64
        own = np.array(np.asarray(rows)[:, self.order()], dtype=dtype, order="C")
        try:
            labels = np.asarray(self.estimator.predict(own))
        except Exception as exc:
            reason = f"{type(exc).__name__}: {exc}"
            raise NotAModel(
                f"The model fails when it predicts ({reason[:_LONGEST_REASON]}): fit it anew, and "
                "save it as it is then."
            ) from exc
        if labels.shape != (len(rows),) or labels.dtype.kind not in "iu":
            raise NotAModel("The model does not answer one whole number per client.")
        return labels.astype(np.int64)


def unknown_label(labels: Labels) -> int | None:
    """Return the first label outside 0 to 4, or None."""
    outside = labels[(labels < 0) | (labels >= PROFILE_COUNT)]
    return int(outside[0]) if len(outside) else None


def steps_of(estimator: BaseEstimator) -> list[BaseEstimator]:
    """Return a pipeline's steps in order, those of pipelines in it too, or the estimator alone."""
    if not hasattr(estimator, "steps"):
        return [estimator]
    return [one for _, step in estimator.steps if _is_step(step) for one in steps_of(step)]


def _is_step(step: Any) -> bool:  # noqa: ANN401 - an estimator, or a word for none
    return isinstance(step, BaseEstimator)
