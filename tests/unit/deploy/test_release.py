"""make release, on copies of the files that it writes, in a repository of their own."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import release
from tests.services import PROJECT

AUTHOR = ("-c", "user.name=Ana", "-c", "user.email=ana@example.com")
CHANGES = (
    "# Changelog\n\n## Unreleased\n\n- Something new.\n\n## 0.1.0 - 2026-01-01\n\n- All of it.\n"
)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *AUTHOR, *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a repository that holds what a release needs, in one commit."""
    shutil.copytree(PROJECT / "deploy", tmp_path / "deploy")
    for name in {"Makefile", ".gitignore", *(str(path) for path, *_ in release.PLACES)}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    git(tmp_path, "init", "--quiet")
    for setting in AUTHOR[1::2]:
        git(tmp_path, "config", *setting.split("="))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "all")
    return tmp_path


def make(clone: Path, version: str, *targets: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *targets, f"VERSION={version}"],  # noqa: S607 - wherever make is
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release_is_in_every_place_committed_and_tagged(clone: Path) -> None:
    released = make(clone, "1.0.0", "release")

    assert (released.returncode, released.stderr) == (0, "")
    assert git(clone, "describe", "--exact-match") == "v1.0.0"
    assert git(clone, "status", "--porcelain") == ""
    changes = (clone / "CHANGELOG.md").read_text()
    assert re.search(r"^## 1\.0\.0 - \d{4}-\d\d-\d\d\n\n- Something new", changes, re.MULTILINE)
    assert "Unreleased" not in changes
    for name, says in {
        "pyproject.toml": 'version = "1.0.0"',
        "deploy/helm/Chart.yaml": "version: 1.0.0\nappVersion: 1.0.0",
        "evaluation_api/__init__.py": 'VERSION = "1.0.0"',
        "docs/openapi.json": '"version": "1.0.0"',
    }.items():
        assert says in (clone / name).read_text()


def test_images_carry_the_version(clone: Path) -> None:
    told = make(clone, "1.0.0", "--dry-run", "image-web", "image-evaluation").stdout

    assert told.count("--label org.opencontainers.image.version=1.0.0") == 2
    assert told.count(":1.0.0 ") == 2


@pytest.mark.parametrize("version", ["", "1", "1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "local"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(release.ReleaseError, match=r"is no version such as 1\.0\.0"):
        release.release(version)


def test_a_version_that_comes_before_the_last_is_refused(clone: Path) -> None:
    refused_without_a_trace(clone, "0.0.9", "0.0.9 does not come after 0.1.0.")


def test_a_version_that_was_released_is_refused(clone: Path) -> None:
    git(clone, "tag", "v1.0.0")

    refused_without_a_trace(clone, "1.0.0", "v1.0.0 is released already.")


def test_what_is_not_committed_is_not_released(clone: Path) -> None:
    (clone / "notes.txt").write_text("later")

    refused_without_a_trace(clone, "1.0.0", "What is not committed", status="?? notes.txt")


def test_nothing_to_tell_is_no_release(clone: Path) -> None:
    (clone / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0 - 2026-01-01\n")
    git(clone, "commit", "--quiet", "--all", "--message", "told")

    refused_without_a_trace(clone, "1.0.0", "CHANGELOG.md has nothing under ## Unreleased.")


def test_a_release_that_git_refuses_leaves_everything_as_it_was(clone: Path) -> None:
    hook = clone / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2; exit 1\n")
    hook.chmod(0o755)

    refused_without_a_trace(clone, "1.0.0", "git commit failed: not today")


def refused_without_a_trace(clone: Path, version: str, why: str, status: str = "") -> None:
    before = git(clone, "rev-parse", "HEAD")

    refused = make(clone, version, "release")

    assert refused.returncode == 2
    assert why in refused.stderr
    assert git(clone, "rev-parse", "HEAD") == before
    assert git(clone, "status", "--porcelain") == status


def test_a_checkout_with_the_line_ends_of_windows_has_none(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    git(PROJECT, "clone", "--quiet", "--shared", "-c", "core.autocrlf=true", ".", str(checkout))

    for name in git(checkout, "ls-files", "-z").split("\0"):
        if name and not name.endswith((".bentomodel", ".pkl", ".png", ".zip")):
            assert b"\r\n" not in (checkout / name).read_bytes(), name
    pickle = "model_store/modelo_cluster_cartao_credito.pkl"
    assert (checkout / pickle).read_bytes() == (PROJECT / pickle).read_bytes()
