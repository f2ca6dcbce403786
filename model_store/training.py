"""From the data set's CSV to a fitted pipeline whose labels mean what they should.

Reads one file and writes one file; knows nothing of the store. L2 scaling and five clusters were
chosen by measurement (docs/model.md), and make the model blind to the currency.
"""

import csv
import hashlib
import logging
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer
from threadpoolctl import threadpool_limits

from model_store import golden, notes, reference
from model_store.errors import TrainingRefused
from model_store.features import FEATURES, PROFILE_COUNT
from model_store.profiles import label_order, publishing_objections

MAY_BE_BLANK: Final = "credit_limit"
"""One client of the data set has no limit: it takes the median of the others."""

_LIBRARIES: Final = ("scikit-learn", "numpy", "pandas")
MOST_LABELS: Final = 100_000
"""Of four bytes each: a pickle is 1 MiB at most. Beyond, the notes alone have their counts."""

Matrix = NDArray[np.float64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedModel:
    """A fitted pipeline and what it was fitted on (rows: n x 5, in the order of FEATURES).

    data: what the file was, as a version's metadata keeps it: its sha256 and its clients.
    """

    pipeline: Pipeline
    rows: Matrix
    data: dict[str, str] = field(default_factory=dict)

    @property
    def is_large(self) -> bool:
        """Tell whether the training labels would make the pickle too large for an import."""
        return len(self.rows) > MOST_LABELS

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
    if len(pd.DataFrame(rows).drop_duplicates()) < PROFILE_COUNT:
        raise TrainingRefused(
            f"{csv_path} has fewer than {PROFILE_COUNT} different clients, too few to train on."
        )
    model = TrainedModel(fit(rows), rows, _told_of(csv_path, rows))
    if objections := publishing_objections(model.centroids, model.sizes):
        told = "; ".join(objections)
        raise TrainingRefused(f"The trained model is not fit to be published: {told}.")
    logger.info("labels 0 to 4 hold %s clients", ", ".join(map(str, model.sizes)))
    return model


def _told_of(csv_path: Path, rows: Matrix) -> dict[str, str]:
    with csv_path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": sha256, "clients": str(len(rows))}


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


def save(model: TrainedModel, path: Path, judged: Mapping[str, object] | None = None) -> None:
    """Write the pickle, and beside it what the training notes, each in one step.

    judged: what else the version's card is to say of it, by name.
    Whoever reads `path` sees the old one or the new one. Raises TrainingRefused.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    noting = _notes(model, judged or {})
    kept = vars(model.pipeline[-1]).pop("labels_", None) if model.is_large else None
    try:
        joblib.dump(model.pipeline, unfinished)
        unfinished.replace(path)
        noted = notes.write(path, noting)
    except OSError as exc:
        raise TrainingRefused(f"Cannot write {path}: {exc.strerror}.") from exc
    finally:
        unfinished.unlink(missing_ok=True)
        if kept is not None:
            model.pipeline[-1].labels_ = kept
    logger.info("wrote %s, %d bytes, and %s", path, path.stat().st_size, noted.name)


def _notes(model: TrainedModel, judged: Mapping[str, object]) -> notes.TrainingNotes:
    about: dict[str, object] = {
        "cluster_sizes": model.sizes,
        "trained_by": _libraries(),
        **judged,
    }
    if model.data:
        has_limit = model.rows[:, FEATURES.index(MAY_BE_BLANK)] > 0  # shares of it are counted
        about["reference"] = reference.of(
            model.rows[has_limit], model.labels[has_limit].astype(np.int64)
        )
        about["data"] = model.data
    return notes.TrainingNotes(FEATURES, golden.make(model.pipeline).to_json(), about)


def _libraries() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}


def read_rows(csv_path: Path) -> Matrix:
    """Return the n x 5 matrix of a CSV that names its columns, whatever their order and case.

    Read by pandas, fifteen times faster than cell by cell; only a file with a fault is read again,
    as text. Raises TrainingRefused, naming column and line, for whatever is no amount of money.
    """
    columns = _columns(csv_path)
    try:
        frame = _read(csv_path, columns, dtype="float64")
    except (ValueError, OverflowError):
        frame = None
    if frame is None or _is_faulty(frame).any():
        frame = _in_numbers(csv_path, _read(csv_path, columns, dtype=str))
    if frame.empty:
        raise TrainingRefused(f"{csv_path} has no clients.")
    rows = np.ascontiguousarray(frame.to_numpy(dtype=np.float64))  # another layout, other last bits
    return _with_median_limit(csv_path, rows)


def _columns(csv_path: Path) -> list[str]:
    """Return how the file writes the five columns, in the order of FEATURES."""
    with _readable(csv_path):
        header = pd.read_csv(csv_path, nrows=0, encoding="utf-8-sig", index_col=False).columns
    written = {str(name).strip().lower(): str(name) for name in reversed(header)}
    missing = [name.upper() for name in FEATURES if name not in written]
    if missing:
        raise TrainingRefused(f"{csv_path} lacks the column {', '.join(missing)}.")
    return [written[name] for name in FEATURES]


def _read(csv_path: Path, columns: list[str], dtype: str | type) -> pd.DataFrame:
    """Return the five columns, named by FEATURES; an empty cell is missing, and nothing else is."""
    with _readable(csv_path):
        frame = pd.read_csv(
            csv_path,
            usecols=columns,
            dtype=dtype,
            encoding="utf-8-sig",
            index_col=False,
            keep_default_na=False,
            na_values=[""],
        )
    return frame[columns].set_axis(list(FEATURES), axis=1)


@contextmanager
def _readable(csv_path: Path) -> Iterator[None]:
    """Say in one sentence why a file cannot be read as a table."""
    try:
        yield
    except pd.errors.EmptyDataError as exc:
        raise TrainingRefused(
            f"{csv_path} lacks the column {', '.join(map(str.upper, FEATURES))}."
        ) from exc
    except pd.errors.ParserError as exc:
        reason = str(exc).partition("C error: ")[2] or str(exc)
        raise TrainingRefused(f"{csv_path} is no table: {reason.strip().rstrip('.')}.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        reason = str(exc.strerror) if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise TrainingRefused(f"Cannot read {csv_path}: {reason}.") from exc


def _is_faulty(frame: pd.DataFrame) -> pd.Series:
    """Tell of n clients whether anything is no amount; a missing limit is none yet."""
    filled = frame.fillna({MAY_BE_BLANK: 0.0})
    return ~((filled >= 0) & np.isfinite(filled)).all(axis=1)


def _in_numbers(csv_path: Path, cells: pd.DataFrame) -> pd.DataFrame:
    """Return what text says in numbers, or name the first cell that is no amount by its line."""
    texts = cells.fillna("")
    blank = texts.apply(lambda column: column.str.strip() == "")
    numbers = texts.apply(pd.to_numeric, errors="coerce")
    allowed = (numbers >= 0) & np.isfinite(numbers)
    allowed[MAY_BE_BLANK] |= blank[MAY_BE_BLANK]
    faults = np.argwhere(~allowed.to_numpy())
    if len(faults):
        row, column = faults[0]
        raise TrainingRefused(
            f"{csv_path}, line {_line_of(csv_path, int(row))}: {FEATURES[column].upper()} is "
            f"{texts.to_numpy()[row, column][:40]!r}, not an amount of 0 or more."
        )
    return numbers


def _line_of(csv_path: Path, row: int) -> int:
    """Return the line on which a row ends: cells may hold line breaks, and lines may be empty."""
    with csv_path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        filled = (reader.line_num for cells in reader if cells)
        return next(islice(filled, row + 1, None), 0)


def _with_median_limit(csv_path: Path, rows: Matrix) -> Matrix:
    column = FEATURES.index(MAY_BE_BLANK)
    blank = np.isnan(rows[:, column])
    if blank.all():
        raise TrainingRefused(
            f"{csv_path} has no {MAY_BE_BLANK.upper()} at all, so there is no median to fill in."
        )
    if blank.any():
        rows[blank, column] = np.median(rows[~blank, column])
        logger.info("filled %d missing credit limit(s) with the median", int(blank.sum()))
    return rows
