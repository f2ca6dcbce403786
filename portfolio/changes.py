"""What would change decisions, as the portfolio has it: least first."""

import math
from itertools import pairwise
from typing import Final

import numpy as np

from evaluation_api.decision.domain import FEATURES
from model_store.geometry import CHANGEABLE
from model_store.serving import columns
from portfolio.frames import Floats

_CHANGEABLE: Final = np.array(CHANGEABLE)
_NAMES: Final = np.array(FEATURES, object)[_CHANGEABLE]

#: (feature, amount, cluster, confidence), and until where that is told.
Change = tuple[object, ...]


def read(told: Floats, amounts: Floats) -> list[list[Change]]:
    """Return what answers (n x 24) about amounts (n x 5) say of changes, as as_predictions does.

    By columns, which takes a sixth of the time.
    """
    each = told[:, columns.CHANGES].reshape(len(told), len(CHANGEABLE), columns.CHANGE_WIDTH)
    who, which = (each[:, :, columns.CLUSTER] >= 0).nonzero()
    least_first = np.lexsort((np.abs(each[who, which, 0] - amounts[who, _CHANGEABLE[which]]), who))
    who, which = who[least_first], which[least_first]
    amount, cluster, confidence, until = each[who, which].T.tolist()
    features = _NAMES[which].tolist()
    limitless = list(zip(features, amount, map(int, cluster), confidence, strict=True))
    changes: list[Change] = [
        change if math.isnan(end) else (*change, end)
        for change, end in zip(limitless, until, strict=True)
    ]
    ends = np.bincount(who, minlength=len(told)).cumsum().tolist()
    return [changes[start:stop] for start, stop in pairwise([0, *ends])]
