"""A version as one file that travels with the repository: BentoML's own export, 6 kB.

It is made from what was imported, and the pickle in it stays the source. Whoever reads one trusts
nothing that it says: its size and its members are bounded, and what it holds must come out with the
digest that the history pins.
"""

import io
import lzma
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from model_store.errors import CorruptModel, UnreadablePickle
from model_store.ledger import Pin, replacing
from model_store.pickles.pickle_file import MAX_BYTES, read
from model_store.registry import YAML_NAME
from model_store.version import GOLDEN_NAME, NUMBERS_NAME, PICKLE_NAME

MEMBERS: Final = frozenset({PICKLE_NAME, NUMBERS_NAME, GOLDEN_NAME, YAML_NAME})
MAX_UNPACKED: Final = 2 << 20
"""Of all members together, tar's own blocks among them."""
_MAX_LZMA_MEMORY: Final = 128 << 20
_PLAIN: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})


def path_of(tag: str, folder: Path) -> Path:
    """Return where a version's archive lies in the folder of archives."""
    return folder / f"{tag.partition(':')[2]}.bentomodel"


def write(pin: Pin, folder: Path) -> None:
    """Export a version of the store; the file is there whole, or as it was. Raises OSError.

    For whoever holds the ledger's lock. The same stored version gives the same bytes.
    """
    import bentoml  # noqa: PLC0415 - whoever reads need not pay for it

    folder.mkdir(exist_ok=True)
    with TemporaryDirectory() as made:
        exported = bentoml.models.export_model(pin.tag, made)
        with replacing(path_of(pin.tag, folder)) as unfinished:
            shutil.copyfile(exported, unfinished)


def require(pin: Pin, folder: Path) -> None:
    """Export a version whose archive is lost, as by `write`."""
    if not path_of(pin.tag, folder).exists():
        write(pin, folder)


def members(path: Path) -> dict[str, bytes]:
    """Return the files in an archive by their names: those of a version, each once, in memory.

    Raises CorruptModel for whatever else it holds, or when it holds too much.
    """
    try:
        content = read(path)
        if len(content) > MAX_BYTES:
            raise _refusal(path, f"it is over {MAX_BYTES:,} bytes")
        decompressor = lzma.LZMADecompressor(memlimit=_MAX_LZMA_MEMORY)
        unpacked = decompressor.decompress(content, MAX_UNPACKED + 1)
        if len(unpacked) > MAX_UNPACKED:
            raise _refusal(path, f"it unpacks to over {MAX_UNPACKED:,} bytes")
        if not decompressor.eof:
            raise _refusal(path, "it is cut off")
        found = _unpacked(path, unpacked)
    except (UnreadablePickle, lzma.LZMAError, tarfile.TarError, EOFError, ValueError) as exc:
        raise _refusal(path, "it is damaged, or no archive") from exc
    if found.keys() != MEMBERS:
        lost = ", ".join(sorted(MEMBERS - found.keys()))
        raise _refusal(path, f"it lacks {lost}")
    return found


def metadata(tag: str, content: bytes) -> dict[str, Any]:
    """Return the metadata in a version's YAML file. Raises CorruptModel.

    Aliases are refused: nine lines of them are a billion values.
    """
    import yaml  # noqa: PLC0415 - BentoML brings it

    try:
        has_aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content))
        told = {} if has_aliases else yaml.safe_load(content)
        name, found = f"{told['name']}:{told['version']}", dict(told["metadata"])
    except (yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise CorruptModel(f"The archive of {tag} has a {YAML_NAME} that is not ours.") from exc
    if name != tag:
        raise CorruptModel(f"The archive of {tag} holds another version.")
    return found


def _unpacked(path: Path, content: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for member in tar:
            if member.isdir() and member.name == ".":
                continue
            name = member.name.removeprefix("./")
            is_plain = member.type in _PLAIN and not member.issparse()
            if not is_plain or name not in MEMBERS or name in found:
                raise _refusal(path, "it holds something that is no part of a version")
            file = tar.extractfile(member)
            assert file is not None  # noqa: S101 - it is a plain file
            found[name] = file.read()
    return found


def _refusal(path: Path, reason: str) -> CorruptModel:
    return CorruptModel(
        f"The archive {path.name} is not opened: {reason}; have git's copy of it again "
        "(`git checkout`), or remove it and import its pickle."
    )
