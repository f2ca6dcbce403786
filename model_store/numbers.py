"""What is stored, published and served of a model: numbers, and how labels follow from them.

A client's amounts go through the preparation, and the label is the nearest centroid's. That is
every k-means behind scalers that only shift and scale, and behind an L2 normaliser. Knows no
pickle and no store; docs/adr/0007 says why the file that the numbers came from stays closed.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from model_store import geometry
from model_store.features import FEATURES, PROFILE_COUNT
from model_store.geometry import Explanation, Labels, Matrix

UNIT: Final = "l2"
"""The step that divides a client's amounts by their Euclidean length."""
MOST_STEPS: Final = 4
LARGEST: Final = 1e9
"""No shift, scale or centroid is larger: a hundred times the largest amount, and its square is
still far from overflowing."""
SMALLEST_SCALE: Final = 1e-9

#: No part of what a version is: what opened it and its file's name differ between machines.
_NOTES: Final = frozenset({"digest", "library_versions", "origin"})


@dataclass(frozen=True)
class Scaling:
    """A step that makes (x - shift) / scale of each amount (5 each, in the order of FEATURES)."""

    shift: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise ValueError unless both are five numbers that can be calculated with."""
        if len(self.shift) != len(FEATURES) or len(self.scale) != len(FEATURES):
            raise ValueError("a scaling has five shifts and five scales")
        if not all(abs(number) <= LARGEST for number in self.shift):
            raise ValueError(f"a shift is over {LARGEST:g}, or no number")
        if not all(SMALLEST_SCALE <= number <= LARGEST for number in self.scale):
            raise ValueError(f"a scale is not between {SMALLEST_SCALE:g} and {LARGEST:g}")


Step = Scaling | str


@dataclass(frozen=True)
class Numbers:
    """A model in closed form (centroids: 5 x 5 float64, a row a label, in the prepared space)."""

    preparation: tuple[Step, ...]
    centroids: Matrix

    def __post_init__(self) -> None:
        """Raise ValueError for anything that cannot be calculated with."""
        if len(self.preparation) > MOST_STEPS:
            raise ValueError(f"the preparation has over {MOST_STEPS} steps")
        if not all(step == UNIT or isinstance(step, Scaling) for step in self.preparation):
            raise ValueError("the preparation has a step that is neither a scaling nor l2")
        if self.centroids.shape != (PROFILE_COUNT, len(FEATURES)):
            raise ValueError("centroids are not 5 profiles x 5 features")
        if self.centroids.dtype != np.float64 or not (np.abs(self.centroids) <= LARGEST).all():
            raise ValueError(f"a centroid is over {LARGEST:g}, or no finite number")

    @property
    def is_on_sphere(self) -> bool:
        """Tell whether geometry.py's formulas hold: clients are directions, and nothing else."""
        return self.preparation == (UNIT,)

    def prepare(self, rows: Matrix) -> Matrix:
        """Return rows (n x 5 amounts) as the centroids see them."""
        for step in self.preparation:
            rows = _scaled(rows, step) if isinstance(step, Scaling) else _unit(rows)
        return rows

    def squared_distances(self, rows: Matrix) -> Matrix:
        """Return the squared distance of rows (n x 5 amounts) to every centroid: n x 5."""
        if self.is_on_sphere:
            return geometry.squared_distances(geometry.directions(rows), self.centroids)
        apart = self.prepare(rows)[:, None] - self.centroids
        return np.asarray(np.einsum("ikj,ikj->ik", apart, apart))

    def predict(self, rows: Matrix) -> Labels:
        """Return n labels for n x 5 amounts; of centroids equally near, the lowest label."""
        return np.asarray(self.squared_distances(rows).argmin(axis=1))

    def explain(self, rows: Matrix) -> Explanation:
        """Predict rows (n x 5 amounts) and say what set each one apart from the next-best."""
        if self.is_on_sphere:
            return geometry.explain(rows, self.centroids)
        squared = self.squared_distances(rows)
        cluster, runner_up = geometry.nearest_two(squared)
        apart = (self.prepare(rows)[:, None] - self.centroids) ** 2
        every = np.arange(len(rows))
        contributions = apart[every, runner_up] - apart[every, cluster]
        return Explanation(cluster, runner_up, geometry.confidence(squared), contributions)

    def reordered(self, order: Sequence[int]) -> "Numbers":
        """Return the numbers of the same model with its columns in another order."""
        steps = tuple(
            step if isinstance(step, str) else _scaling_of(step, order) for step in self.preparation
        )
        return Numbers(steps, np.ascontiguousarray(self.centroids[:, order]))

    def as_json(self) -> dict[str, Any]:
        """Return the numbers as they are stored; `from_json` gives back the same bits."""
        return {
            "features": [*FEATURES],
            "preparation": [
                step if isinstance(step, str) else {"shift": [*step.shift], "scale": [*step.scale]}
                for step in self.preparation
            ],
            "centroids": self.centroids.tolist(),
        }

    @classmethod
    def from_json(cls, told: Any) -> Self:  # noqa: ANN401 - whatever a file says
        """Read what `as_json` returned. Raises ValueError, KeyError or TypeError otherwise."""
        if told["features"] != [*FEATURES]:
            raise ValueError(f"the features are not {', '.join(FEATURES)}")
        steps = tuple(
            step if isinstance(step, str) else _scaling(step) for step in told["preparation"]
        )
        return cls(steps, np.array(told["centroids"], dtype=np.float64))


def on_sphere(centroids: Matrix) -> Numbers:
    """Return the numbers of an L2 normaliser before k-means (centroids: 5 x 5)."""
    return Numbers((UNIT,), centroids)


def digest(
    pickle_sha256: str, numbers: Numbers | None, metadata: dict[str, Any], golden: str
) -> str:
    """Return the 64 hex digits that name a version: sha256 over all that it consists of.

    golden: the text of its golden clients. Metadata counts without what only says who opened it, so
    that the same file imported alike is the same version on another machine.
    """
    whole = {
        "pickle": pickle_sha256,
        "numbers": None if numbers is None else numbers.as_json(),
        "metadata": {key: value for key, value in metadata.items() if key not in _NOTES},
        "golden": hashlib.sha256(golden.encode()).hexdigest(),
    }
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _scaling(told: Any) -> Scaling:  # noqa: ANN401 - whatever a file says
    return Scaling(tuple(map(float, told["shift"])), tuple(map(float, told["scale"])))


def _scaling_of(step: Scaling, order: Sequence[int]) -> Scaling:
    shift, scale = (tuple(part[i] for i in order) for part in (step.shift, step.scale))
    return Scaling(shift, scale)


def _scaled(rows: Matrix, step: Scaling) -> Matrix:
    scaled: Matrix = (rows - step.shift) / step.scale
    return scaled


def _unit(rows: Matrix) -> Matrix:
    """Scale rows to length one, zeros apart, as scikit-learn does."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    unit: Matrix = rows / np.where(length == 0, 1.0, length)
    return unit
