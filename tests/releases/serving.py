"""Services of two releases at work, and what is asked of any of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.services import CERTIFICATES, Server, eventually

SECONDS = 60
WAITING = {"Prefer": "respond-async"}


@contextmanager
def serving(*servers: Server) -> Iterator[None]:
    """Have services at work, started at the same time and stopped in the end."""
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_until_ready()
        yield
    finally:
        for server in servers:
            server.stop()


def client(server: Server) -> httpx.Client:
    """Make a client of a service."""
    return httpx.Client(base_url=server.url, timeout=SECONDS, verify=CERTIFICATES)


def send(http: httpx.Client, content: bytes, name: str) -> str:
    """Send a file of clients and return its id."""
    answer = http.post("/lotes", params={"nome": name}, content=content).raise_for_status()
    return str(answer.json()["id"])


def step(http: httpx.Client, file: str, name: str) -> None:
    """Start, pause, resume or cancel a file."""
    http.post(f"/lotes/{file}/{name}").raise_for_status()


def look(http: httpx.Client, file: str) -> dict[str, Any]:
    """Return how far a file is."""
    told: dict[str, Any] = http.get(f"/lotes/{file}").raise_for_status().json()
    return told


def finish(http: httpx.Client, file: str) -> dict[str, Any]:
    """Wait until a file is done, and return how it ended."""
    eventually(lambda: look(http, file)["situacao"] == "concluido", SECONDS)
    return look(http, file)


def settled(http: httpx.Client, location: str) -> dict[str, Any]:
    """Wait until a pending evaluation is decided, and return it."""
    eventually(lambda: http.get(location).json()["situacao"] == "concluida", SECONDS)
    shown: dict[str, Any] = http.get(location).json()
    return shown


def review(outcome: str) -> dict[str, str]:
    """Make the body of a review."""
    return {"decisao": outcome, "justificativa": f"Conferido: {outcome}.", "revisor": "Ana"}
