"""Versions of the model in BentoML's store: import, list, load.

A version is made from a file's content, so the same file is the same version everywhere. Cheap to
import, and "already imported" is answered without BentoML or scikit-learn: a second start must not
pay for either. Pickles are opened by safe_pickle only, foreign ones in a process of their own.
"""

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from model_store import notes, version
from model_store.errors import (
    CorruptModel,
    InvalidTag,
    ModelNotFound,
    PickleRefused,
    StoreUnusable,
    UnreadablePickle,
)
from model_store.features import FEATURES
from model_store.pickles import kinds
from model_store.pickles.foreign import inspect_apart, printable
from model_store.pickles.pickle_file import MAX_BYTES, read, sha256_of

NAME: Final = "credit_card_clusters"
YAML_NAME: Final = "model.yaml"
DEFAULT_PICKLE: Final = Path(__file__).with_name("modelo_cluster_cartao_credito.pkl")

logger = logging.getLogger(__name__)

#: Where this program is packed, its sources in a folder of their own.
_BENTO: Final = Path(__file__).parents[2]
_LONGEST_NAME: Final = 100
#: An anchor or an alias of YAML, which begins a value.
_ALIAS: Final = re.compile(rb"(?:^|[\s\[{,:-])[&*]\S", re.MULTILINE)
_TAG: Final = re.compile(rf"{NAME}:[0-9a-f]{{12}}")


def version_of(pickle_bytes: bytes) -> str:
    """Return the version that these bytes are: the first 12 hex digits of their sha256."""
    return sha256_of(pickle_bytes)[:12]


def tag_of(pickle_bytes: bytes) -> str:
    """Return the tag of the version that these bytes are."""
    return f"{NAME}:{version_of(pickle_bytes)}"


def import_pickle(
    path: Path = DEFAULT_PICKLE,
    inspect: Callable[..., dict[str, Any]] = inspect_apart,
    columns: Sequence[str] | None = None,
) -> tuple[str, bool]:
    """Bring a pickle into the store; return its tag, and whether this call created it.

    inspect: tells from the bytes, columns and answers what the model is (inspection.describe).
    columns: five of FEATURES in the order of the model's columns, for a file that does not say.

    Raises PickleRefused or NotAModel with the reason, and then writes nothing, or StoreUnusable. A
    version that an earlier import left unfinished is made again, and so is one that was damaged, or
    that the release before this imported: it has no digest.
    """
    content = read(path)
    kind = kinds.of(content)
    if kind is not None:
        raise UnreadablePickle(f"{path} is {kind}.")
    tag = tag_of(content)
    if _is_imported(tag, content):
        _require_columns(tag, columns)
        return tag, False
    description = _described(path, content, inspect, columns)
    _say(description)
    with store_lock():
        if _is_imported(tag, content):
            return tag, False
        shutil.rmtree(_folder(tag), ignore_errors=True)
        _create(tag, content, description)
    return tag, True


def _described(
    path: Path,
    content: bytes,
    inspect: Callable[..., dict[str, Any]],
    columns: Sequence[str] | None,
) -> dict[str, Any]:
    """Return what a file is, by itself, by what its training noted, and by what the owner says."""
    noted = notes.beside(path, content)
    origin = {"origin": re.sub("[&*]", "_", printable(path.name))[:_LONGEST_NAME]}
    if noted is None:
        return origin | inspect(content, columns=columns)
    if columns is not None and tuple(columns) != noted.columns:
        raise PickleRefused(
            f"{path} was trained on the columns {','.join(noted.columns)}: leave out --columns."
        )
    told = inspect(content, columns=noted.columns, answers=noted.answers)
    sizes = {"cluster_sizes": told["cluster_sizes"]} if "cluster_sizes" in told else {}
    return origin | told | noted.about | sizes | {"columns_from": "the training"}


def _require_columns(tag: str, columns: Sequence[str] | None) -> None:
    """Refuse another order of columns for a version that is there. Raises PickleRefused."""
    if columns is None:
        return
    known = load(tag).metadata.get("columns", [*FEATURES])
    if known != [*columns]:
        raise PickleRefused(
            f"{tag} is already there with the columns {','.join(known)}: if those are wrong, run "
            f"`bentoml models delete {tag}`, then this again."
        )


def _say(description: dict[str, Any]) -> None:
    """Say what the owner should know of a file that is imported; `unconfined` is said, not kept."""
    unconfined = description.pop("unconfined", ())
    if unconfined:
        logger.warning(
            "this machine cannot keep the process that opens a file from %s: import only files of "
            "people whom you trust",
            printable(", ".join(map(str, unconfined))),
        )
    saved_by = (description.get("trained_by") or {}).get("scikit-learn")
    if saved_by:
        logger.info("saved by scikit-learn %s", printable(str(saved_by)))
    if description.get("numbers") is None:
        logger.info(
            "no closed form is known of this model: compare it, and try it with %s, but it cannot "
            "be published",
            version.TAG_VARIABLE,
        )


def list_versions() -> list[str]:
    """Return the tags in the store, the last imported first."""
    whole = [folder for folder in (models_home() / NAME).glob("*/") if _is_whole(folder)]
    whole.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    return [f"{NAME}:{folder.name}" for folder in whole]


def explicit(tag: str) -> str:
    """Return the tag itself, or raise InvalidTag unless it is this model's, with a version."""
    if not _TAG.fullmatch(tag):
        raise InvalidTag(f"{tag!r} is no explicit version, such as {NAME}:0123456789ab.")
    return tag


def load(tag: str) -> version.StoredModel:
    """Return a version, verified byte for byte against its recorded sha256 and digest.

    Raises InvalidTag, StoreUnusable, ModelNotFound or CorruptModel; the last two say what to run.
    """
    explicit(tag)
    folder = _packed(tag) or _folder(tag)
    with usable_store():
        if not folder.exists():
            raise ModelNotFound(
                f"The store has no {tag}: run `python -m model_store import` with its pickle."
            )
    return version.open_folder(tag, folder, _metadata(tag, folder / YAML_NAME))


def _metadata(tag: str, path: Path) -> dict[str, Any]:
    """Read what is kept of a version without BentoML, which takes half a second to load.

    Raises CorruptModel, for what would be read for ever, too: nine lines of aliases are a billion
    values.
    """
    import yaml  # noqa: PLC0415 - BentoML brings it; a second import answers without

    try:
        content = read(path)
        if len(content) > MAX_BYTES or _ALIAS.search(content):
            raise version.corrupt(tag, f"its {YAML_NAME} is none of ours")
        return dict(yaml.load(content, yaml.CSafeLoader)["metadata"])
    except (UnreadablePickle, yaml.YAMLError, ValueError, KeyError, TypeError) as exc:
        raise version.corrupt(tag, f"its {YAML_NAME} cannot be read: {exc}") from exc


def replace(tag: str, folder: Path) -> None:
    """Put the version in a folder into the store, in place of what is there under its tag.

    The caller has looked at what it is, and holds store_lock. Raises StoreUnusable.
    """
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    import bentoml  # noqa: PLC0415 - the fast path must not pay for it

    with usable_store():
        shutil.rmtree(_folder(tag), ignore_errors=True)
        bentoml.models.import_model(str(folder), "folder")


def models_home() -> Path:
    """Return the folder that BentoML keeps models in, found as BentoML itself finds it."""
    home = os.environ.get("BENTOML_HOME", str(Path.home() / "bentoml"))
    return Path(os.path.expandvars(home)).expanduser() / "models"


def _folder(tag: str) -> Path:
    return models_home() / _place(tag)


def _place(tag: str) -> str:
    """Return where a version is in a folder of models, as BentoML has it."""
    return tag.replace(":", "/")


def _packed(tag: str) -> Path | None:
    """Return where a Bento that this program runs in brings a version along, if it does."""
    folder = _BENTO / "models" / _place(tag)
    return folder if (_BENTO / "bento.yaml").exists() and folder.exists() else None


def _is_whole(folder: Path) -> bool:
    """Tell a finished import from one that was killed: BentoML copies file after file."""
    try:
        content = read(folder / version.PICKLE_NAME)
        golden, recorded = read(folder / version.GOLDEN_NAME), read(folder / YAML_NAME)
    except UnreadablePickle:
        return False
    sha256 = sha256_of(content)
    is_named = sha256.startswith(folder.name) and sha256.encode() in recorded
    return is_named and golden.endswith(b"]}\n")


def _is_imported(tag: str, content: bytes) -> bool:
    """Tell whether the file is there as this release imports it, undamaged. Raises PickleRefused.

    Twelve digits of a sha256 can be hit on purpose, in minutes: another file is another model.
    """
    folder = _folder(tag)
    if not _is_whole(folder):
        return False
    if read(folder / version.PICKLE_NAME) != content:
        raise PickleRefused(
            f"Another file is already there as {tag}: save the model once more, "
            "in another way, and import that."
        )
    try:
        return version.open_folder(tag, folder, _metadata(tag, folder / YAML_NAME)).is_sealed
    except CorruptModel:
        return False


@contextmanager
def usable_store() -> Iterator[None]:
    """Raise StoreUnusable for what the operating system refuses: a full disk, a missing right."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as exc:
        # shutil.Error tells of several files by one argument alone.
        reason = exc.strerror or exc.args[0][0][2].partition("] ")[2].partition(":")[0]
        raise StoreUnusable(f"The model store {models_home()} is not usable: {reason}.") from exc


@contextmanager
def store_lock() -> Iterator[None]:
    """Let one import write at a time: BentoML refuses a tag that another one is still writing.

    Raises StoreUnusable.
    """
    home = models_home()
    with usable_store():
        home.mkdir(parents=True, exist_ok=True)
        with (home / f".{NAME}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _create(tag: str, content: bytes, description: dict[str, Any]) -> None:
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    import bentoml  # noqa: PLC0415 - the fast path must not pay for it

    latest = _folder(tag).with_name("latest")
    if latest.exists() and not latest.read_text():
        latest.unlink()  # as a full disk leaves it; BentoML takes it for a model's folder
    metadata = version.sealed_metadata(content, description)
    with bentoml.models.create(tag, metadata=metadata) as model:
        version.write_files(Path(model.path), content, description)
