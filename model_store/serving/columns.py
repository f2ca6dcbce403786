"""The columns of a model's answers: a matrix, n x 24; NaN is what a model does not say. And limits.

For whoever asks by columns, too: knows no BentoML.
"""

from typing import Final

import numpy as np

from model_store.features import FEATURES, LARGEST_AMOUNT
from model_store.geometry import CHANGEABLE

_CHANGE: Final = ("amount", "cluster", "confidence", "until")
_REASONS: Final = (
    "cluster",
    "runner_up",
    "confidence",
    *(f"{name}_contribution" for name in FEATURES),
)
#: What is answered of each client; the last 16 only where targets are asked for. Of each amount
#: that may be changed: the new one, and then the label (-1 where no change reaches a target, NaN
#: where none is needed), how sure, and until where that holds (NaN for as far as the limits go).
COLUMNS: Final = (
    *_REASONS,
    *(f"{FEATURES[column]}_change_{part}" for column in CHANGEABLE for part in _CHANGE),
)
CONTRIBUTIONS: Final = slice(3, len(_REASONS))
CHANGES: Final = slice(len(_REASONS), len(COLUMNS))
CLUSTER: Final = _CHANGE.index("cluster")
NO_CLUSTER: Final = -1
CHANGE_WIDTH: Final = len(_CHANGE)
#: Each changeable amount: its name, its place in FEATURES, and where its change begins in CHANGES.
CHANGED: Final = tuple((FEATURES[c], c, len(_CHANGE) * place) for place, c in enumerate(CHANGEABLE))

#: Between what the changeable amounts may become where no limits are sent: 1 x 8.
ANY_AMOUNT: Final = np.repeat([[0.0, LARGEST_AMOUNT]], len(CHANGEABLE), axis=1)
