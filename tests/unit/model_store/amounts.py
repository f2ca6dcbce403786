"""Made-up clients of every kind and size for the model's geometry; n x 5, in whole cents."""

import numpy as np
from hypothesis import strategies as st

from model_store.features import FEATURES
from model_store.geometry import Labels, Matrix

LIMIT = FEATURES.index("credit_limit")

#: All zero but the limit, one tiny or huge amount, all alike: 16 x 5.
EXTREMES: Matrix = np.array(
    [
        *([0, 0, 0, limit, 0] for limit in (0.01, 1, 1e7)),
        *np.insert(np.eye(4) * 0.01, LIMIT, 0.01, axis=1),
        *np.insert(np.eye(4) * 0.01, LIMIT, 1e7, axis=1),
        *np.insert(np.eye(4) * 1e7, LIMIT, 0.01, axis=1),
        [1e7] * 5,
    ]
)


def spread(count: int, seed: int = 20261122) -> Matrix:
    """Return seeded clients of every profile, small and large, mixed and one-sided."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(len(FEATURES), 0.7), count)
    rows: Matrix = np.round(shares * 10 ** rng.uniform(2, 4.5, (count, 1)), 2)
    rows[:, LIMIT] += 50
    return rows


def several(least_limit: float = 0.01, largest: float = 1e7) -> st.SearchStrategy[Matrix]:
    """Draw one to eight clients, in matrices of that many rows."""
    most = round(largest * 100)
    cents = st.sampled_from([0, 1]) | st.integers(0, 10**5) | st.integers(0, most)
    limit = st.integers(round(least_limit * 100), 10**6)
    client = st.tuples(cents, cents, cents, limit, cents)
    return st.lists(client, min_size=1, max_size=8).map(lambda rows: np.array(rows) / 100)


def distances(rows: Matrix, centroids: Matrix) -> Matrix:
    """Measure from directions to centroids the long way: ... x 5 amounts give ... x 5."""
    scaled = rows / rows.max(axis=-1, keepdims=True)
    unit = scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)
    measured: Matrix = np.linalg.norm(unit[..., None, :] - centroids, axis=-1)
    return measured


def placed(rows: Matrix, centroids: Matrix) -> tuple[Labels, Matrix]:
    """Return the label and the confidence of each of ... x 5 clients, the long way."""
    measured = distances(rows, centroids)
    first, second = np.moveaxis(np.sort(measured, axis=-1)[..., :2], -1, 0)
    return measured.argmin(axis=-1), (second - first) / (second + first)
