"""What a stored version consists of: a pickle, numbers, golden clients, metadata, one digest.

A version is a folder. Reads and writes its files and knows no store around it; nothing here opens
the pickle but what asks for the estimator by name. docs/adr/0007 says why.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from model_store.errors import (
    CorruptModel,
    GoldenMismatch,
    NoClosedForm,
    NotAModel,
    UnreadablePickle,
)
from model_store.features import FEATURES, PROFILE_COUNT
from model_store.pickles.pickle_file import read, sha256_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model_store.golden import GoldenClients
    from model_store.numbers import Numbers
    from model_store.pickles.opened import OpenedModel

PICKLE_NAME: Final = "model.pkl"
GOLDEN_NAME: Final = "golden.json"
NUMBERS_NAME: Final = "numbers.json"
"""Says null for a model that no closed form is known of."""
TAG_VARIABLE: Final = "CREDIT_CARD_MODEL_TAG"

_LONGEST_LINE: Final = 200
_LARGEST_REFERENCE: Final = 1 << 16


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A version as it was imported: pickle, numbers, metadata, golden clients.

    digest: one sha256 over all of these, verified. is_sealed: whether the version brought it; one
    that the release before this imported did not, and only its pickle is verified. numbers: the
    model in closed form, as the import proved, or None where there is none; the pickle then stays
    closed and scikit-learn unloaded, which saves a service 70 MB and a second.
    """

    tag: str
    sha256: str
    digest: str
    is_sealed: bool
    pickle_path: Path
    numbers: "Numbers | None"
    golden: "GoldenClients"
    metadata: dict[str, Any]

    @property
    def centroids(self) -> "NDArray[np.float64] | None":
        """5 x 5, for a model whose clients are directions (geometry.py), else None."""
        numbers = self.numbers
        return numbers.centroids if numbers is not None and numbers.is_on_sphere else None

    def predict(self, rows: "NDArray[np.float64]") -> "NDArray[np.int64]":
        """Return n labels for n x 5 amounts, by the numbers. Raises NoClosedForm."""
        if self.numbers is None:
            raise NoClosedForm(
                f"{self.tag} has no closed form: it can be compared, and tried with "
                f"{TAG_VARIABLE}={self.tag}, and not published."
            )
        return self.numbers.predict(rows)

    @property
    def promise(self) -> dict[str, Any] | None:
        """What the geometry lets a policy promise, as the import recorded it; see promise.py.

        A version that was imported before promises were is looked at now.
        """
        if self.centroids is None:
            return None
        from model_store import promise  # noqa: PLC0415 - brings numpy

        return self.metadata.get("promise") or promise.as_json(promise.of(self.centroids))

    def open_estimator(self) -> "OpenedModel":
        """Unpickle the model, for one without numbers. Raises PickleRefused."""
        from model_store.pickles import safe_pickle  # noqa: PLC0415 - brings scikit-learn

        opened = safe_pickle.open_model(self.pickle_path, expected_sha256=self.sha256)
        return replace(opened, columns=tuple(self.metadata.get("columns", FEATURES)))


def sealed_metadata(content: bytes, description: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a version, with the digest over all that it consists of.

    description: what inspection.describe said of the pickle's bytes. What follows from the numbers
    is worked out here, and nothing is kept that cannot be true. Centroids stand in the metadata
    too, since that is where the last release looks for them. Raises NotAModel.
    """
    from model_store import golden, promise  # noqa: PLC0415 - brings numpy
    from model_store.numbers import Numbers, digest  # noqa: PLC0415 - the same

    try:
        metadata = {name: _believed(name, told) for name, told in description.items()}
        clients = golden.GoldenClients.from_json(metadata.pop("golden"))
        told = metadata.pop("numbers", None)
        numbers = None if told is None else Numbers.from_json(told)
        if numbers is not None:
            golden.check(numbers, clients)
    except (ValueError, KeyError, TypeError, GoldenMismatch) as exc:
        raise NotAModel(
            f"What the file's process said of it cannot be true: do not trust the file ({exc})."
        ) from exc
    metadata["sha256"] = sha256_of(content)
    if numbers is not None and numbers.is_on_sphere:
        metadata["centroids"] = numbers.centroids.tolist()
        metadata["promise"] = promise.as_json(promise.of(numbers.centroids))
    sealed = digest(metadata["sha256"], numbers, metadata, description["golden"])
    return metadata | {"digest": sealed}


def _believed(name: str, told: Any) -> Any:  # noqa: ANN401 - whatever the process said
    """Return one thing that a description says, or raise ValueError, KeyError or TypeError."""
    if not _CHECKS[name](told):
        raise ValueError(f"{name} cannot be that")
    return told


def _is_line(told: Any) -> bool:  # noqa: ANN401 - the same
    return isinstance(told, str) and told.isprintable() and len(told) <= _LONGEST_LINE


def _are_features(told: Any) -> bool:  # noqa: ANN401 - the same
    return isinstance(told, list) and sorted(told) == sorted(FEATURES)


def _are_sizes(told: Any) -> bool:  # noqa: ANN401 - the same
    return len(told) == PROFILE_COUNT and all(type(n) is int and 0 <= n < 1 << 40 for n in told)


def _is_reference(told: Any) -> bool:  # noqa: ANN401 - the same
    from model_store import reference  # noqa: PLC0415 - brings numpy

    return reference.is_one(told) and len(json.dumps(told, allow_nan=False)) <= _LARGEST_REFERENCE


def _are_shares(told: Any) -> bool:  # noqa: ANN401 - the same
    return all(_is_line(name) and type(told[name]) is float for name in told) and len(told) <= 8  # noqa: PLR2004


def _are_versions(told: Any) -> bool:  # noqa: ANN401 - the same
    return isinstance(told, dict) and all(map(_is_line, [*told, *told.values()]))


#: Everything that a description may say.
_CHECKS: Final[dict[str, Callable[[Any], bool]]] = {
    "sha256": _is_line,
    "estimator": _is_line,
    "features": lambda told: told == [*FEATURES],
    "columns": _are_features,
    "columns_from": _is_line,
    "origin": _is_line,
    "trained_by": _are_versions,
    "library_versions": _are_versions,
    "cluster_sizes": _are_sizes,
    "numbers": lambda told: isinstance(told, dict),
    "golden": lambda told: isinstance(told, str),
    "data": _are_versions,
    "reference": _is_reference,
    "scores": _are_shares,
    "stability": _are_shares,
}


def write_files(folder: Path, content: bytes, description: dict[str, Any]) -> None:
    """Write a version's files into its folder; the metadata is BentoML's to write."""
    (folder / PICKLE_NAME).write_bytes(content)
    numbers = json.dumps(description.get("numbers"))
    (folder / NUMBERS_NAME).write_text(numbers, encoding="utf-8")
    (folder / GOLDEN_NAME).write_text(description["golden"], encoding="utf-8")


def open_folder(tag: str, folder: Path, metadata: dict[str, Any]) -> StoredModel:
    """Return the version in a folder, every file of it as it was written. Raises CorruptModel."""
    from model_store import numbers as closed_form  # noqa: PLC0415 - brings numpy
    from model_store.golden import GoldenClients  # noqa: PLC0415 - the same

    path = folder / PICKLE_NAME
    try:
        sha256, recorded = str(metadata["sha256"]), metadata.get("digest")
        found = sha256_of(read(path))
        text = read(folder / GOLDEN_NAME).decode()
        golden = GoldenClients.from_json(text)
        numbers = _numbers(folder, metadata)
        digest = closed_form.digest(found, numbers, metadata, text)
    except UnreadablePickle as exc:
        raise corrupt(tag, str(exc)) from exc
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise corrupt(tag, "its numbers, golden clients or metadata cannot be read") from exc
    if found != sha256:
        raise corrupt(tag, f"its sha256 is {found[:12]}..., not {sha256[:12]}...")
    if not sha256.startswith(tag.partition(":")[2]):
        raise corrupt(tag, "it holds another version's file")
    if recorded not in {None, digest}:
        raise corrupt(tag, "its numbers, golden clients or metadata are not as imported")
    return StoredModel(
        tag=tag,
        sha256=sha256,
        digest=digest,
        is_sealed=recorded is not None,
        pickle_path=path,
        numbers=numbers,
        golden=golden,
        metadata=metadata,
    )


def _numbers(folder: Path, metadata: dict[str, Any]) -> "Numbers | None":
    """Read the numbers; the release before this one kept centroids, in the metadata alone."""
    import numpy as np  # noqa: PLC0415 - the fast path must not pay for it

    from model_store.numbers import Numbers, on_sphere  # noqa: PLC0415 - the same

    if "digest" in metadata:
        told = json.loads(read(folder / NUMBERS_NAME))
        return None if told is None else Numbers.from_json(told)
    centroids = metadata.get("centroids")
    return None if centroids is None else on_sphere(np.array(centroids, dtype=np.float64))


def corrupt(tag: str, reason: str) -> CorruptModel:
    """Return the error that says what is wrong with a version, and what to run."""
    advice = "run `python -m model_store import` with its pickle"
    return CorruptModel(f"{tag} is corrupt ({reason.rstrip('.')}): {advice}.")
