"""Runs the JavaScript tests beside this file, so that one `pytest` covers the front end too."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

JAVASCRIPT_TESTS = sorted(Path(__file__).parent.glob("*.test.js"))


def test_modules_without_a_document_pass_their_own_tests() -> None:
    node = shutil.which("node")
    if node is None and not os.environ.get("CI"):
        pytest.skip("Node.js is not installed; in CI its absence is a failure")
    assert node is not None, "CI must run the JavaScript tests: install Node.js 20 or later"

    run = subprocess.run(  # noqa: S603  (our own test files, no shell)
        [node, "--test", "--test-reporter=tap", *map(str, JAVASCRIPT_TESTS)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert JAVASCRIPT_TESTS
    assert run.returncode == 0, run.stdout + run.stderr
