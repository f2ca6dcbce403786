"""When a test may be skipped: pytest itself is run on a test of a few lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiers

PROJECT = Path(__file__).parents[2]

BROWSER_TEST = """
import pytest

@pytest.mark.browser
def test_page():
    pass
"""
RELEASE_TEST = BROWSER_TEST.replace("browser", "release")
UNRELATED_SKIP = """
import pytest

def test_page():
    pytest.skip("not today")
"""
SKIPPED_MODULE = """
import pytest

pytest.importorskip("a_module_that_nobody_has")
"""
EXPECTED_FAILURE = """
import pytest

@pytest.mark.xfail
def test_page():
    assert False
"""

UNSET = {"CI", "CHROMIUM", "PYTEST_ADDOPTS"}


def run_pytest(folder: Path, *sources: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest under this project's rules on files, on a machine with nothing on PATH."""
    for number, source in enumerate(sources):
        (folder / f"test_page_{number}.py").write_text(source)
    plugins = ["-p", "tests.conftest", "-p", "pytest_timeout", "-p", "no:cacheprovider"]
    options = ["-c", "pyproject.toml", "--continue-on-collection-errors"]
    bare = {key: value for key, value in os.environ.items() if key not in UNSET}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options, folder],
        check=False,
        cwd=PROJECT,
        env={**bare, "PATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
    )


def test_a_laptop_without_chromium_skips_its_tests_and_says_why(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, BROWSER_TEST)

    assert run.returncode == 0
    assert "no Chromium: none on PATH and $CHROMIUM names none" in run.stdout
    assert "1 skipped" in run.stdout


def test_a_machine_with_chromium_runs_its_tests(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, BROWSER_TEST, CHROMIUM=sys.executable)

    assert "1 passed" in run.stdout


def test_in_ci_each_skip_fails_with_its_reason_and_an_expected_failure_stays_one(
    tmp_path: Path,
) -> None:
    skipped = [BROWSER_TEST, RELEASE_TEST, UNRELATED_SKIP, SKIPPED_MODULE]
    run = run_pytest(tmp_path, *skipped, EXPECTED_FAILURE, CI="true")

    assert run.returncode != 0
    assert "1 failed, 1 xfailed, 3 errors" in run.stdout
    for reason in ("no Chromium", "no last release", "not today", "could not import 'a_module"):
        assert f"Skipped, and with CI=true nothing may be: Skipped: {reason}" in run.stdout


@pytest.mark.release
def test_the_last_release_is_the_last_tag_before_this_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for tag in ("v1.0", "other", "v1.1"):
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", tag)
        git(tmp_path, "tag", tag)

    assert tiers.release_before(tmp_path) == git(tmp_path, "rev-parse", "v1.0")


@pytest.mark.release
def test_a_shallow_clone_has_no_last_release(tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", PROJECT.as_uri(), "clone")

    assert tiers.release_before(tmp_path / "clone") is None


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com"]
    command = ["git", *author, *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
