"""Which machine and which versions: a figure without them says nothing."""

import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = ("bentoml", "scikit-learn", "numpy", "fastapi", "uvicorn", "uvloop", "httpx")


@dataclass(frozen=True)
class Machine:
    """Where and when a bench ran. busy_percent: of all cores, in the second before it began."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    wrk: str
    packages: dict[str, str]
    started_at: str
    busy_percent: float


def describe() -> Machine:
    """Look around; takes a second."""
    return Machine(
        cpu=_cpu_model(),
        cores=psutil.cpu_count() or 0,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        wrk=_wrk_version(),
        packages=dict(_versions()),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        busy_percent=psutil.cpu_percent(interval=1.0),
    )


def _cpu_model() -> str:
    """Read Linux's name of the processor; elsewhere Python's is what there is."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _wrk_version() -> str:
    program = shutil.which("wrk") or "wrk"
    ran = subprocess.run(  # noqa: S603 - a fixed command
        [program, "-v"], capture_output=True, text=True, check=False, timeout=10
    )
    return " ".join((ran.stdout + ran.stderr).split()[:2])


def _versions() -> list[tuple[str, str]]:
    found = []
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            found.append((package, "absent"))
    return found
