"""The last release: its files in a folder, and its commands, run in the present environment."""

import io
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement

from tests.services import ENVIRONMENT, PROJECT


def unpack(commit: str, folder: Path) -> None:
    """Write a commit's files to a folder; git keeps no note of it, as it would of a worktree."""
    packed = subprocess.run(
        ["git", "archive", commit],  # noqa: S607 - found by tiers
        cwd=PROJECT,
        check=True,
        capture_output=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def unmet_requirements(project: Path) -> list[str]:
    """Return what a checkout asks for and the present environment does not have.

    By its requirements/*.in. The lock files may differ from release to release; what a checkout
    cannot do without stands in these.
    """
    needed = [
        Requirement(line)
        for group in ("api", "model")
        for line in (project / f"requirements/{group}.in").read_text().splitlines()
        if re.match(r"\w", line)
    ]
    return [str(one) for one in needed if not one.specifier.contains(version(one.name))]


def command(
    project: Path, *arguments: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command of a checkout's evaluation service."""
    return subprocess.run(
        [sys.executable, "-m", "evaluation_api", *arguments],
        cwd=project,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
