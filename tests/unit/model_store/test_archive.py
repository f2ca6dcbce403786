"""An archive of a version is read within bounds, and holds what a version does and nothing else."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from model_store import archive
from model_store.errors import CorruptModel

HONEST = {name: name.encode() for name in sorted(archive.MEMBERS)}


def packed(files: dict[str, bytes], *, more: list[tarfile.TarInfo] | None = None) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in more or []:
            tar.addfile(member)
    return file.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def links(files: dict[str, bytes]) -> bytes:
    return packed(files, more=[member("./model.pkl", tarfile.SYMTYPE, "/etc/passwd")])


def outside(files: dict[str, bytes]) -> bytes:
    return packed(files, more=[member("../model.pkl")])


def absolute(files: dict[str, bytes]) -> bytes:
    return packed(files, more=[member("/etc/passwd")])


def device(files: dict[str, bytes]) -> bytes:
    return packed(files, more=[member("./golden.json", tarfile.CHRTYPE)])


def twice(files: dict[str, bytes]) -> bytes:
    return packed(files, more=[member("./golden.json")])


def one_less(files: dict[str, bytes]) -> bytes:
    return packed({name: content for name, content in files.items() if name != "golden.json"})


def bomb(files: dict[str, bytes]) -> bytes:
    return packed(files | {"model.pkl": b"\0" * (archive.MAX_UNPACKED + 1)})


def cut_off(files: dict[str, bytes]) -> bytes:
    return packed(files)[:-100]


def empty(files: dict[str, bytes]) -> bytes:
    return packed(files)[:0]


def no_archive(files: dict[str, bytes]) -> bytes:
    return b"<html>" + packed(files)[:0]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (links, "no part of a version"),
        (outside, "no part of a version"),
        (absolute, "no part of a version"),
        (device, "no part of a version"),
        (twice, "no part of a version"),
        (one_less, "lacks golden.json"),
        (bomb, "unpacks to over"),
        (cut_off, "cut off"),
        (empty, "cut off"),
        (no_archive, "damaged"),
        (lambda _: b"x" * ((1 << 20) + 2), "is over"),
    ],
)
def test_an_archive_of_anything_else_is_refused(
    tmp_path: Path, spoil: Callable[[dict[str, bytes]], bytes], says: str
) -> None:
    path = tmp_path / "version.bentomodel"
    path.write_bytes(spoil(HONEST))

    with pytest.raises(CorruptModel, match=says):
        archive.members(path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_packed_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "version.bentomodel"
    path.write_bytes(packed(HONEST))

    assert archive.members(path) == HONEST
