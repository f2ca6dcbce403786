"""Which machine and which versions: a figure without them says nothing."""

import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

_PACKAGES = ("bentoml", "scikit-learn", "numpy", "fastapi", "uvicorn", "uvloop", "httpx")


def describe() -> str:
    """Say where, when and with what a bench runs; looks for a second how busy the cores are."""
    memory_gb = psutil.virtual_memory().total / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{psutil.cpu_count()} cores of {_cpu_model()}, {memory_gb:.1f} GB, Linux"
        f" {platform.release()}, {psutil.cpu_percent(interval=1.0):.0f} % busy before; Python"
        f" {platform.python_version()}, {_wrk_version()}, {versions}.\n"
        f"Started {datetime.now(UTC).isoformat(timespec='seconds')}"
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
    command = [shutil.which("wrk") or "wrk", "-v"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603 - a fixed command
    return " ".join((ran.stdout + ran.stderr).split()[:2])
