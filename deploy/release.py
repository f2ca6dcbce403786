"""Make a release of what is committed: `make release VERSION=1.0.0` calls this.

Ends the changelog's "Unreleased", writes the version wherever it stands, commits and tags. Pushing,
and building the images of the tag, is for whoever released. Exit codes: 0 released; 2 nothing was
changed, for the reason printed.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = Path("CHANGELOG.md")
#: Where the version stands, before and after it; the chart's appVersion is the images' tag.
PLACES = (
    (Path("pyproject.toml"), '\nversion = "', '"'),
    (Path("deploy/helm/Chart.yaml"), "\nversion: ", "\n"),
    (Path("deploy/helm/Chart.yaml"), "\nappVersion: ", "\n"),
    (Path("evaluation_api/__init__.py"), '\nVERSION = "', '"'),
    (Path("docs/openapi.json"), '\n  "version": "', '"'),
)
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)


class ReleaseError(Exception):
    """What keeps a version from being released: one sentence."""


def release(version: str) -> str:
    """Release a version; return its tag. Raises ReleaseError, and then has changed nothing."""
    tag = f"v{version}"
    _require_new(version)
    if _git("tag", "--list", tag):
        raise ReleaseError(f"{tag} is released already.")
    if _git("status", "--porcelain"):
        raise ReleaseError("What is not committed would not be in it: commit, or put it away.")
    texts = _texts(version)
    try:
        for path, text in texts.items():
            (ROOT / path).write_text(text, encoding="utf-8")
        _git("commit", "--quiet", "--message", f"Release {version}", "--", *map(str, texts))
        _git("tag", "--annotate", tag, "--message", f"Release {version}")
    except ReleaseError:
        _git("checkout", "--quiet", "HEAD", "--", *map(str, texts))
        raise
    return tag


def _require_new(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version such as 1.0.0: VERSION=1.0.0 names one.")
    path, before, after = PLACES[0]
    last = _read(path).partition(before)[2].partition(after)[0]
    if _numbers(version) <= _numbers(last):
        raise ReleaseError(f"{version} does not come after {last}.")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _texts(version: str) -> dict[Path, str]:
    """Return what each file will say."""
    heading, today = "## Unreleased\n", f"{datetime.now(UTC):%Y-%m-%d}"
    changes = _read(CHANGELOG)
    if not changes.partition(heading)[2].strip():
        raise ReleaseError(f"{CHANGELOG} has nothing under {heading.strip()}.")
    texts = {CHANGELOG: changes.replace(heading, f"## {version} - {today}\n", 1)}
    for path, before, after in PLACES:
        text = texts.get(path) or _read(path)
        begin, found, rest = text.partition(before)
        if not found:
            raise ReleaseError(f"{path} says no version.")
        texts[path] = begin + found + version + after + rest.partition(after)[2]
    return texts


def _read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _git(*arguments: str) -> str:
    """Run git here; return what it printed."""
    done = subprocess.run(  # noqa: S603 - our own commands, no shell
        ["git", *arguments],  # noqa: S607 - wherever git is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Release the version that is named; return 0, or 2 after one sentence on standard error."""
    (version,) = sys.argv[1:] if arguments is None else arguments
    try:
        tag = release(version)
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{tag} is made; to publish it: git push --follow-tags, make images\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
