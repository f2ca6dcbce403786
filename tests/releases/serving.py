"""Services and commands of two releases at work, and what is asked of any of them."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy import processes
from evaluation_api.operations import commands
from tests.commands import Finished, run
from tests.services import CERTIFICATES, ENVIRONMENT, PROJECT, Server, eventually

SECONDS = 60
WAITING = {"Prefer": "respond-async"}


@contextmanager
def serving(*servers: Server) -> Iterator[None]:
    """Have services at work, started at the same time and stopped at the same time."""
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_until_ready()
        yield
    finally:
        processes.stop([server.running for server in servers if server.running])


def client(server: Server) -> httpx.Client:
    """Make a client of a service."""
    return httpx.Client(base_url=server.url, timeout=SECONDS, verify=CERTIFICATES)


def settled(http: httpx.Client, location: str) -> dict[str, Any]:
    """Wait until a pending evaluation is decided, and return it."""
    eventually(lambda: http.get(location).json()["situacao"] == "concluida", SECONDS)
    shown: dict[str, Any] = http.get(location).json()
    return shown


def review(outcome: str) -> dict[str, str]:
    """Make the body of a review."""
    return {"decisao": outcome, "justificativa": f"Conferido: {outcome}.", "revisor": "Ana"}


def command(project: Path, *arguments: str, environment: Mapping[str, str]) -> Finished:
    """Run a command of a checkout's evaluation service; another checkout's in another process."""
    if project == PROJECT:
        return run(commands.main, *arguments, environment=environment)
    ended = subprocess.run(
        [sys.executable, "-m", "evaluation_api", *arguments],
        cwd=project,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Finished(ended.returncode, ended.stdout, ended.stderr)
