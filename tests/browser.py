"""Fixtures of the browser tests: where Chromium is, and where what it shows is kept."""

import os
from pathlib import Path

import pytest

from tests import tiers


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """Find the browser to start, for tests marked `browser`."""
    path = tiers.chromium()
    assert path is not None, "a test that asks for Chromium must be marked `browser`"
    return path


@pytest.fixture(scope="session")
def artifacts_directory() -> Path:
    """Make a folder for screenshots that outlives the tests: $TEST_ARTIFACTS, or var/artifacts."""
    directory = Path(os.environ.get("TEST_ARTIFACTS") or "var/artifacts").absolute()
    directory.mkdir(parents=True, exist_ok=True)
    return directory
