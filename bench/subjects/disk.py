"""A small disk that can be filled, where one may be mounted. The tests use it, too."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path


@contextmanager
def mounted(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount an empty disk in memory; it is gone afterwards. Raises CalledProcessError."""
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


def fill(file: Path) -> None:
    """Write a file until its disk is full."""
    with suppress(OSError), file.open("wb", buffering=0) as ballast:
        while ballast.write(b"x" * 4096):
            pass


@cache
def program() -> Path | None:
    """Find the program that mounts, where it is allowed to."""
    with tempfile.TemporaryDirectory() as name:
        try:
            with mounted(Path(name) / "disk", megabytes=1):
                return Path(shutil.which("mount") or "mount")
        except (OSError, subprocess.CalledProcessError):
            return None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=10)  # noqa: S603 - our own words
