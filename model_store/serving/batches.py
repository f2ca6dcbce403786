"""The matrices of a batch: clients with what they ask for, and what the model answers.

Apart from who reads and writes them over HTTP, since whoever asks the model in its own process need
not load BentoML.
"""

from typing import Annotated

import msgspec
import numpy as np

from model_store.features import FEATURES, PROFILE_COUNT
from model_store.geometry import Explanation, Labels, Matrix
from model_store.serving import columns
from model_store.serving.columns import ANY_AMOUNT

WIDEST_MARGIN = 0.5

#: The column that says which of this process's models answered: requests share batches, and what is
#: published changes between two of them.
MODEL = len(columns.COLUMNS)
_WIDTH = MODEL + 1


class ExplanationOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The labels worth reaching, and the confidence to reach them with; none by default."""

    targets: tuple[Annotated[int, msgspec.Meta(ge=0, lt=PROFILE_COUNT)], ...] = ()
    margin: Annotated[float, msgspec.Meta(ge=0, le=WIDEST_MARGIN)] = 0.0


def with_options(
    clients: Matrix, options: ExplanationOptions, limits: Matrix = ANY_AMOUNT
) -> Matrix:
    """Append to clients (n x 5) what they ask for, so that different requests share one batch.

    That is their targets, a bit mask with bit k for label k, their margin, and their limits (n x 8,
    or one row for all): the least and then the greatest of each changeable amount.
    """
    mask = sum(1 << target for target in set(options.targets))
    count = len(FEATURES)
    rows = np.empty((len(clients), count + 2 + limits.shape[1]), order="F")
    rows[:, :count], rows[:, count], rows[:, count + 1] = clients, mask, options.margin
    rows[:, count + 2 :] = limits
    return rows


def labels_only(cluster: Labels | Matrix) -> Matrix:
    """Make answers of labels (n; NaN for none), for a model whose geometry is not known."""
    told = np.full((len(cluster), _WIDTH), np.nan)
    told[:, 0] = cluster
    return told


def explained(explanation: Explanation) -> Matrix:
    """Make n answers that say why, and not yet what would change that."""
    told = np.empty((len(explanation.cluster), _WIDTH), order="F")
    told[:, 0], told[:, 1] = explanation.cluster, explanation.runner_up
    told[:, 2], told[:, columns.CONTRIBUTIONS] = explanation.confidence, explanation.contributions
    told[:, columns.CHANGES] = np.nan
    return told
