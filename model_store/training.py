"""From the data set's CSV to a fitted pipeline whose labels mean what they should.

Reads one file and writes one file; knows nothing of the store. L2 scaling and five clusters were
chosen by measurement (docs/model.md), and make the model blind to the currency.
"""

import csv
import io
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer
from threadpoolctl import threadpool_limits

from model_store.errors import TrainingRefused
from model_store.features import FEATURES, PROFILE_COUNT
from model_store.profiles import label_order, publishing_objection

MAY_BE_BLANK: Final = "credit_limit"
"""One client of the data set has no limit: it takes the median of the others."""

Matrix = NDArray[np.float64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedModel:
    """A fitted pipeline and what it was fitted on (rows: n x 5, in the order of FEATURES)."""

    pipeline: Pipeline
    rows: Matrix

    @property
    def centroids(self) -> Matrix:
        """5 x 5, on the unit sphere's scale, one row a label."""
        centroids: Matrix = self.pipeline[-1].cluster_centers_
        return centroids

    @property
    def labels(self) -> NDArray[np.int32]:
        """Return n labels, one a training client."""
        labels: NDArray[np.int32] = self.pipeline[-1].labels_
        return labels

    @property
    def sizes(self) -> list[int]:
        """Clients per label."""
        return [int(n) for n in np.bincount(self.labels, minlength=PROFILE_COUNT)]


def train(csv_path: Path) -> TrainedModel:
    """Fit the model on the data set and refuse one whose labels would not hold their meaning.

    Raises TrainingRefused when the file cannot be used or the profiles must not be published.
    """
    logger.info("reading %s", csv_path)
    rows = read_rows(csv_path)
    logger.info("read %d clients", len(rows))
    if len(np.unique(rows, axis=0)) < PROFILE_COUNT:
        raise TrainingRefused(
            f"{csv_path} has fewer than {PROFILE_COUNT} different clients, too few to train on."
        )
    model = TrainedModel(fit(rows), rows)
    objection = publishing_objection(model.centroids, model.sizes)
    if objection:
        raise TrainingRefused(f"The trained model is not fit to be published: {objection}.")
    logger.info("labels 0 to 4 hold %s clients", ", ".join(map(str, model.sizes)))
    return model


def fit(rows: Matrix) -> Pipeline:
    """Return a pipeline fitted on `rows` (n x 5) that answers labels 0 to 4 by their meaning.

    One thread: sums in another order differ in the last bits, and a version is made of its bytes.
    """
    pipeline = Pipeline(
        [
            ("normalizer", Normalizer("l2")),
            ("kmeans", KMeans(PROFILE_COUNT, n_init=50, random_state=0)),
        ]
    )
    logger.info("fitting %d clusters, the best of 50 starts", PROFILE_COUNT)
    with threadpool_limits(limits=1):
        pipeline.fit(rows)
    relabel(pipeline[-1])
    return pipeline


def relabel(kmeans: KMeans) -> None:
    """Permute the centroids, and the training labels with them, into the order of the meanings."""
    order = label_order(kmeans.cluster_centers_)
    kmeans.cluster_centers_ = np.ascontiguousarray(kmeans.cluster_centers_[order])
    kmeans.labels_ = np.argsort(order)[kmeans.labels_].astype(kmeans.labels_.dtype)


def save(model: TrainedModel, path: Path) -> None:
    """Write the pickle in one step: whoever reads `path` sees the old one or the new one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        joblib.dump(model.pipeline, unfinished)
        unfinished.replace(path)
    except OSError as exc:
        raise TrainingRefused(f"Cannot write {path}: {exc.strerror}.") from exc
    finally:
        unfinished.unlink(missing_ok=True)
    logger.info("wrote %s, %d bytes", path, path.stat().st_size)


def read_rows(csv_path: Path) -> Matrix:
    """Return the n x 5 matrix of a CSV that names its columns, whatever their order and case.

    Raises TrainingRefused, naming column and line, for whatever is no amount of money.
    """
    try:
        text = csv_path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise TrainingRefused(f"Cannot read {csv_path}: {reason}.") from exc
    rows = [*_amounts(csv_path, text)]
    if not rows:
        raise TrainingRefused(f"{csv_path} has no clients.")
    return _with_median_limit(csv_path, np.array(rows, dtype=np.float64))


def _amounts(csv_path: Path, text: str) -> Iterator[list[float]]:
    reader = csv.reader(io.StringIO(text))
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name.upper() for name in FEATURES if name not in header]
    if missing:
        raise TrainingRefused(f"{csv_path} lacks the column {', '.join(missing)}.")
    positions = [header.index(name) for name in FEATURES]
    for cells in reader:
        if cells:
            padded = cells + [""] * (len(header) - len(cells))
            yield [
                _amount(csv_path, reader.line_num, name, padded[position])
                for name, position in zip(FEATURES, positions, strict=True)
            ]


def _amount(csv_path: Path, line: int, name: str, text: str) -> float:
    if name == MAY_BE_BLANK and not text.strip():
        return math.nan
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or amount < 0:
        raise TrainingRefused(
            f"{csv_path}, line {line}: {name.upper()} is {text!r}, not an amount of 0 or more."
        )
    return amount


def _with_median_limit(csv_path: Path, rows: Matrix) -> Matrix:
    column = FEATURES.index(MAY_BE_BLANK)
    blank = np.isnan(rows[:, column])
    if blank.all():
        raise TrainingRefused(
            f"{csv_path} has no {MAY_BE_BLANK.upper()} at all, so there is no median to fill in."
        )
    rows[blank, column] = np.median(rows[~blank, column])
    if blank.any():
        logger.info("filled %d missing credit limit(s) with the median", int(blank.sum()))
    return rows
