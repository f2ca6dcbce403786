"""What the tests of a tier need from the machine, and where it is.

Each function returns the thing that a tier needs, or None where the machine does not have it.
"""

import os
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1]
#: The last release until there is a tag: the state before the packages were cut anew.
UNTAGGED_RELEASE = "5da18cdc57e3c4b62333bb1c50ab637a98b49c5a"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DOCKER_TIMEOUT_SECONDS = 20


def chromium() -> Path | None:
    """Find the browser: $CHROMIUM, or the first of its usual names on PATH."""
    names = (os.environ.get("CHROMIUM"), *CHROMIUM_NAMES)
    found = (shutil.which(name) for name in names if name)
    return next((Path(path) for path in found if path), None)


def nginx() -> Path | None:
    """Find the gateway's program and what fills in its configuration."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(found) if found and shutil.which("envsubst") else None


def helm() -> Path | None:
    """Find the program that renders the chart."""
    found = shutil.which("helm")
    return Path(found) if found else None


def docker_engine() -> Path | None:
    """Find the docker client, where an engine answers it."""
    docker = shutil.which("docker")
    if docker is None:
        return None
    try:
        subprocess.run(
            [docker, "info"], capture_output=True, check=True, timeout=DOCKER_TIMEOUT_SECONDS
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return Path(docker)


def spark() -> Path | None:
    """Find the Python that has PySpark, where there is a Java for it."""
    python = PROJECT / "var/spark/bin/python"
    return python if python.exists() and shutil.which("java") else None


def last_release() -> str | None:
    """Find the commit of the last release before this one."""
    return release_before(PROJECT)


def release_before(project: Path) -> str | None:
    """Find the commit of a clone's last v* tag before HEAD, or, without tags, of what came first.

    A clone that is too shallow has neither.
    """
    tag = _git(project, "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
    named = f"{tag or UNTAGGED_RELEASE}^{{commit}}"
    return _git(project, "rev-parse", "--verify", "--quiet", named)


def _git(project: Path, *arguments: str) -> str | None:
    """Ask git; None where there is none, or where it does not know."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = subprocess.run(
        [git, *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None
