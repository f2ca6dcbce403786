"""Which tests may be left out, and where.

Tests marked `browser`, `disk`, `helm`, `nginx`, `pgbouncer`, `postgres`, `release`, `spark` or
`stack` need something that a laptop may not have; there they are skipped with what is missing. With
CI=true nothing is skipped: a skip for any reason fails.
"""

import functools
import os
import signal
from collections.abc import Callable, Generator
from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling

from bench.subjects import disk, pgbouncer, postgres
from deploy import ports
from tests import tiers

RELEASES: Final = "tests/releases"

pytest_plugins = ["tests.browser", "tests.postgres", "tests.services"]

NEEDS: Final[dict[str, tuple[Callable[[], object], str]]] = {
    "browser": (tiers.chromium, "no Chromium: none on PATH and $CHROMIUM names none"),
    "postgres": (postgres.programs, "no PostgreSQL: its server programs were not found"),
    "pgbouncer": (pgbouncer.program, "no PgBouncer: none on PATH or in /usr/sbin"),
    "disk": (disk.program, "no small disk: mounting one takes root"),
    "nginx": (tiers.nginx, "no nginx: none on PATH or in /usr/sbin"),
    "helm": (tiers.helm, "no helm: none on PATH"),
    "release": (tiers.last_release, "no last release: git has no commit of it; a shallow clone?"),
    "spark": (tiers.spark, "no Spark: `make spark` installs it, and it needs Java"),
    "stack": (tiers.docker_engine, "no Docker: no engine answers `docker info`"),
}


def pytest_configure() -> None:
    """Have SIGINT interrupt what tests start: what a shell runs with & ignores it, children too.

    And have pytest's processes, where there are several, take ports that no other one takes: until
    a service listens, the system says its port again.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports.leave(port for port in range(ports.HIGHEST + 1) if port // 100 % count != own)


class FilesThatShare(LoadFileScheduling):  # type: ignore[misc]  # pytest-xdist is not typed
    """Gives a process a file at a time, and one of them all that needs both releases' services."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return RELEASES if file.startswith(f"{RELEASES}/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesThatShare | None:
    """Have files shared out so; None leaves it to pytest-xdist."""
    return FilesThatShare(config, log) if config.getvalue("dist") == "loadfile" else None


@functools.cache
def what_is_missing(tier: str) -> str | None:
    """Return the reason why a tier cannot run on this machine, or None when it can."""
    find, reason = NEEDS[tier]
    return None if find() else reason


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose tier needs what this machine does not have."""
    for tier in NEEDS:
        if item.get_closest_marker(tier) and (reason := what_is_missing(tier)):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skipped test fail in CI."""
    report = yield
    is_expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not is_expected_failure:
        fail_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let a module that skips itself as a whole fail in CI."""
    report = yield
    if report.skipped:
        fail_in_ci(report)
    return report


def fail_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that tells the skip's reason, when CI=true."""
    if os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"Skipped, and with CI=true nothing may be: {skip_reason(report)}"


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return why it was skipped: the last of (path, line, reason), pytest's form for a skip."""
    return str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
