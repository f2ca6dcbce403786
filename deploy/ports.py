"""Which ports are free. The standard library alone: `make up` needs no environment for it."""

import contextlib
import socket
from collections.abc import Iterable

HOST = "127.0.0.1"
HIGHEST = 65535

_told: set[int] = set()


def listen_briefly(port: int, address: str = HOST) -> None:
    """Listen on a port for a moment, as a server would; raise OSError when that is refused."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        # Servers set it too: a port whose last connections are only fading away is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        probe.listen()


def reachable(address: str) -> str:
    """Return an address at which a server that listens on this one is reached from here."""
    return {"0.0.0.0": HOST, "::": "::1"}.get(address, address)  # noqa: S104 - compared only


def url_of(address: str, port: int) -> str:
    """Return the URL of a server, as one types it into a browser."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def number(text: str, highest: int = HIGHEST) -> int:
    """Read a number from 1 on, of a port unless told otherwise. Raises ValueError."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= highest:
        return int(text)
    raise ValueError(f"must be a number from 1 to {highest}, and is {text!r}")


def another(port: int) -> int:
    """Suggest a port in the 8000s, which need no privilege: 8010 for 8000, 8090 for 80."""
    return 8000 + (port + 10) % 1000


def leave(ports: Iterable[int]) -> None:
    """Tell nobody here of ports, which are another process's to take."""
    _told.update(ports)


def free(count: int) -> list[int]:
    """Find ports that nobody listens on, none of which this process was told before.

    Whoever was told one listens on it a moment later, and until then the system may say it again.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            probe = held.enter_context(socket.create_server((HOST, 0)))
            port = int(probe.getsockname()[1])
            if port not in _told:
                found.append(port)
    _told.update(found)
    return found
