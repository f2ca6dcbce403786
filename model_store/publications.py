"""What is published, and what somebody tries instead, opened as the history pins it.

A version that this machine's store never saw, or has something else as, is brought in from the
archive that travels with the repository; what differs from what was published is not opened.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model_store import archive, registry, version
from model_store.errors import CorruptModel, InvalidTag, ModelNotFound
from model_store.features import FEATURES
from model_store.ledger import Entry, Ledger, Pin
from model_store.pickles.foreign import inspect_apart
from model_store.pickles.pickle_file import read
from model_store.version import TAG_VARIABLE, StoredModel

Inspect = Callable[..., dict[str, Any]]

logger = logging.getLogger(__name__)

NOT_PUBLISHED: Final = "(not published)"
_NOTHING: Final = "No model is published: run `python -m model_store promote TAG --why REASON`."


@dataclass(frozen=True)
class Choice:
    """The version to serve. entry: the line by which it is published, or None while it is tried."""

    tag: str
    pin: Pin | None
    entry: Entry | None

    @property
    def told_tag(self) -> str:
        """The tag as it is told to callers, and so recorded: one that is tried says so."""
        return self.tag if self.entry else f"{self.tag} {NOT_PUBLISHED}"


def choose(ledger: Ledger | None = None) -> Choice:
    """Name the version to serve: what is published, or what TAG_VARIABLE asks to try.

    Raises LedgerBroken, or InvalidTag where nothing is published.
    """
    tried = os.environ.get(TAG_VARIABLE)
    if tried:
        return Choice(registry.explicit(tried), None, None)
    pin, history = (ledger or Ledger()).published()
    if pin is None:
        raise InvalidTag(_NOTHING)
    return Choice(registry.explicit(pin.tag), pin, history.since)


def load(choice: Choice, ledger: Ledger | None = None) -> StoredModel:
    """Open the version to serve. Raises what registry.load does, or CorruptModel."""
    return registry.load(choice.tag) if choice.pin is None else pinned(choice.pin, ledger)


def pinned(pin: Pin, ledger: Ledger | None = None) -> StoredModel:
    """Return a version exactly as it was published, brought in from its archive if need be.

    A copy in the store that was spoilt is replaced, too: a worker that comes back would serve
    another version than those beside it, which opened this one before. Raises ModelNotFound where
    neither store nor archive has it, and CorruptModel where what they have is something else.
    """
    ledger = ledger or Ledger()
    try:
        return _as_pinned(registry.load(pin.tag), pin)
    except ModelNotFound:
        return _brought_in(pin, ledger, inspect_apart)
    except CorruptModel as exc:
        if not archive.path_of(pin.tag, ledger.archives).exists():
            raise
        logger.warning("%s It is brought in from its archive.", exc)
        return _brought_in(pin, ledger, inspect_apart)


def bring_published(
    ledger: Ledger | None = None, inspect: Inspect = inspect_apart
) -> tuple[str, bool]:
    """Have the store hold what is published; return its tag, and whether it did not before.

    Loads numpy alone where it does. Raises what `bring` raises, and InvalidTag without any.
    """
    ledger = ledger or Ledger()
    pin, _ = ledger.published()
    if pin is None:
        raise InvalidTag(_NOTHING)
    return pin.tag, bring(pin, ledger, inspect)


def import_pickle(
    path: Path,
    columns: Sequence[str] | None = None,
    ledger: Ledger | None = None,
    inspect: Inspect = inspect_apart,
) -> tuple[str, bool]:
    """Bring a pickle into the store; return its tag, and whether the store did not have it so.

    columns: as registry.import_pickle takes them. One that was ever published comes in as it was
    published, whatever lies beside the file now: notes of its training, or none, would make the
    same tag with another digest, which nothing serves. Raises what `bring` and
    registry.import_pickle raise.
    """
    ledger = ledger or Ledger()
    pin = ledger.history().pins.get(registry.tag_of(read(path)))
    travels = pin is not None and archive.path_of(pin.tag, ledger.archives).exists()
    was_brought = pin is not None and travels and bring(pin, ledger, inspect)
    tag, created = registry.import_pickle(path, inspect, columns)
    if pin is not None and registry.load(tag).digest != pin.digest:
        logger.warning(
            "%s was published as something else, and %s/ lacks its archive: `git log` on that "
            "folder shows where it went",
            tag,
            ledger.archives.name,
        )
    return tag, created or was_brought


def bring(pin: Pin, ledger: Ledger, inspect: Inspect = inspect_apart) -> bool:
    """Have the store hold a published version as it was published; return whether it did not.

    inspect: tells from a pickle's bytes what the model is, as at any import.
    What the store holds in its place, spoilt or as an earlier release imported it, is replaced.
    Raises ModelNotFound without an archive, and CorruptModel for one that is not as published.
    """
    with suppress(ModelNotFound, CorruptModel):
        if _as_pinned(registry.load(pin.tag), pin).is_sealed:
            return False
    _brought_in(pin, ledger, inspect)
    return True


def card(model: StoredModel, entry: Entry | None) -> dict[str, Any]:
    """Return what one should know of a version before one trusts it, as JSON.

    data: what it was trained on, by sha256. scores and stability: how good the training found it,
    and how much of it is the sample's doing. limits: each number that was measured before it was
    published, against its limit. approved: by whom it was, when and why. Whatever is not known is
    None: of a version that is tried, and of one that was not trained here.
    """
    told = model.metadata
    return {
        "data": told.get("data"),
        "scores": told.get("scores"),
        "stability": told.get("stability"),
        "limits": entry and entry.told.get("measured"),
        "approved": entry and {"by": entry.by, "at": entry.at, "why": entry.why},
    }


def _brought_in(pin: Pin, ledger: Ledger, inspect: Inspect) -> StoredModel:
    """Put the archive's version into the store, unless another process just has; open it.

    Raises ModelNotFound, CorruptModel, NotAModel or StoreUnusable.
    """
    path = archive.path_of(pin.tag, ledger.archives)
    if not path.exists():
        raise ModelNotFound(
            f"Neither the store nor {ledger.archives.name}/ has {pin.tag}: "
            "run `python -m model_store import` with its pickle."
        )
    with registry.store_lock():
        with suppress(ModelNotFound, CorruptModel):
            return _as_pinned(registry.load(pin.tag), pin)
        _unpack(pin, path, inspect)
        logger.info("%s brought in from its archive", pin.tag)
        return _as_pinned(registry.load(pin.tag), pin)


def _unpack(pin: Pin, path: Path, inspect: Inspect) -> None:
    """Replace what the store has by what an archive has, once that was looked at."""
    files = archive.members(path)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        _require_what_was_published(pin, Path(folder), files, inspect)
        registry.replace(pin.tag, Path(folder))


def _as_pinned(model: StoredModel, pin: Pin) -> StoredModel:
    if model.digest != pin.digest:
        raise CorruptModel(
            f"{pin.tag} in the store is not what was published (its sha256 over all is "
            f"{model.digest[:12]}..., not {pin.digest[:12]}...): run `python -m model_store "
            "import` with its pickle."
        )
    return model


def _require_what_was_published(
    pin: Pin, folder: Path, files: dict[str, bytes], inspect: Inspect
) -> None:
    """Look at unpacked files as at any import: pinned by digest, and the pickle gives the numbers.

    Raises CorruptModel or NotAModel.
    """
    metadata = archive.metadata(pin.tag, files[registry.YAML_NAME])
    model = version.open_folder(pin.tag, folder, metadata)
    columns = metadata.get("columns", [*FEATURES])
    told = inspect(files[version.PICKLE_NAME], columns=columns).get("numbers")
    if model.digest != pin.digest or told != _numbers_of(model):
        raise CorruptModel(
            f"The archive of {pin.tag} is not what was published "
            f"(its sha256 over all is {model.digest[:12]}..., not {pin.digest[:12]}...)."
        )


def _numbers_of(model: StoredModel) -> dict[str, Any] | None:
    return None if model.numbers is None else model.numbers.as_json()
