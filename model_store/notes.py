"""What a training leaves beside its pickle, in a file of its own: plain JSON, bound by sha256.

The pickle stays scikit-learn's pipeline alone, the same bytes from the same data. The notes say
what it cannot: the order of its columns, what the training version answered, what the data were.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from model_store.errors import UnreadablePickle
from model_store.features import FEATURES
from model_store.pickles.pickle_file import read, sha256_of

SUFFIX: Final = ".training.json"
KEPT: Final = frozenset({"trained_by", "cluster_sizes", "scores", "stability", "reference", "data"})
"""What notes may say of a model: never what its file says by itself, its numbers above all."""


@dataclass(frozen=True)
class TrainingNotes:
    """Notes on one pickle.

    columns: FEATURES in the order that the model takes them. answers: the text of golden clients as
    the training version answered them. about: what is kept in a version's metadata, by name.
    """

    columns: tuple[str, ...]
    answers: str | None = None
    about: dict[str, Any] = field(default_factory=dict)


def write(pickle: Path, notes: TrainingNotes) -> Path:
    """Write the notes beside a pickle that is there, in one step; return their path."""
    path = pickle.with_suffix(SUFFIX)
    told = {
        "sha256": sha256_of(read(pickle)),
        "columns": [*notes.columns],
        "about": notes.about,
        "answers": notes.answers,
    }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(f"{json.dumps(told, indent=1)}\n", encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def beside(pickle: Path, content: bytes) -> TrainingNotes | None:
    """Return the notes beside a pickle of this content, or None: notes on another are none.

    Raises UnreadablePickle when they are there, and cannot be read.
    """
    path = pickle.with_suffix(SUFFIX)
    if not path.exists():
        return None
    try:
        told = json.loads(read(path))
        if told["sha256"] != sha256_of(content):
            return None
        columns, answers, about = tuple(told["columns"]), told["answers"], told["about"]
        if sorted(columns) != sorted(FEATURES) or not about.keys() <= KEPT:
            raise ValueError("no such notes")  # noqa: TRY301 - one sentence for all of them
        return TrainingNotes(columns, None if answers is None else str(answers), about)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise UnreadablePickle(
            f"{path} is not as the training wrote it: train again, or remove it and name --columns."
        ) from exc
