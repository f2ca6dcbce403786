"""How the clients whom a model was made from are spread: `reference` in a version's metadata.

Whoever compares other clients with them counts those in the same bins: tenths of each amount and of
each fact, and the profiles. Values that many clients share, as no withdrawals at all, are bins of
their own. Knows no policy: a fact is a plain ratio here, of whoever owes anything.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_store.features import FEATURES, PROFILE_COUNT
from model_store.geometry import Labels, Matrix

PROFILE: Final = "profile"
FACTS: Final = ("use", "paid", "withdrawn")
#: What is counted, each by the name of its bins.
COUNTED: Final = (*FEATURES, *FACTS, PROFILE)
_TENTHS: Final = np.arange(1, 10) / 10
_MOST_CLIENTS: Final = 1 << 40

Spread = dict[str, Any]
"""{"edges": ascending, "counts": two more}: how many have up to and with each edge, how many have
more than all, and how many have no such value."""


def of(rows: Matrix, labels: Labels) -> dict[str, Spread]:
    """Return how clients (n x 5 amounts, n labels) are spread, by the names in COUNTED; as JSON."""
    return {
        name: {"edges": edges, "counts": counts(values, edges)}
        for name, values in values_of(rows, labels).items()
        for edges in [_edges(name, values)]
    }


def values_of(rows: Matrix, labels: Labels) -> dict[str, NDArray[np.float64]]:
    """Return what is counted of n clients, n each; paid is NaN for who owes nothing."""
    columns = dict(zip(FEATURES, rows.T, strict=True))
    balance, limit = columns["balance"], columns["credit_limit"]
    nothing = np.full(len(rows), np.nan)
    paid = np.divide(columns["payments"], balance, out=nothing, where=balance > 0)
    facts = (balance / limit, paid, columns["cash_advance"] / limit)
    return {**columns, **dict(zip(FACTS, facts, strict=True)), PROFILE: labels.astype(np.float64)}


def counts(values: NDArray[np.float64], edges: list[float]) -> list[int]:
    """Count n values in the bins that edges make; the last is for NaN."""
    nowhere = np.isnan(values)
    places = np.searchsorted(np.array(edges), values[~nowhere], side="left")
    return [*np.bincount(places, minlength=len(edges) + 1).tolist(), int(nowhere.sum())]


def is_one(told: Any) -> bool:  # noqa: ANN401 - whatever a file says
    """Tell whether this is what `of` returned of any clients."""
    try:
        return set(told) == set(COUNTED) and all(map(_is_spread, told.values()))
    except (TypeError, KeyError, AttributeError, ValueError):
        return False


def _is_spread(told: Spread) -> bool:
    edges, counted = told["edges"], told["counts"]
    is_ascending = bool((np.diff(edges) > 0).all() and np.isfinite(edges).all())
    are_counts = all(type(count) is int and 0 <= count < _MOST_CLIENTS for count in counted)
    return is_ascending and are_counts and len(counted) == len(edges) + 2


def _edges(name: str, values: NDArray[np.float64]) -> list[float]:
    """Return where bins end: between profiles, or at tenths of those who have the value."""
    if name == PROFILE:
        return list(map(float, range(PROFILE_COUNT - 1)))
    known = values[~np.isnan(values)]
    if not len(known):
        return []
    tenths = np.unique(np.quantile(known, _TENTHS, method="inverted_cdf"))
    return [float(edge) for edge in tenths]
