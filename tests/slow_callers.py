"""Many callers, each from an address of its own, who read or send no further; what they take."""

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPException, HTTPResponse

import yaml

from deploy.processes import ROOT

MEGABYTE = 2**20
CUT_OFF = 0


@contextmanager
def asked(port: int, head: bytes, count: int) -> Iterator[Sequence[socket.socket]]:
    """Have so many clients ask, each from an address of its own, and read nothing yet."""
    with ExitStack() as stack:
        connections = []
        for number in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(20)
            connection.connect(("127.0.0.1", port))
            address = b"X-Forwarded-For: 10.0.%d.%d" % divmod(number, 250)
            connection.sendall(head % address)
            connections.append(connection)
        yield connections


def answer_to(connection: socket.socket) -> HTTPResponse:
    answer = HTTPResponse(connection)
    answer.begin()
    return answer


def outcome(connection: socket.socket) -> int:
    """Return the status of an answer, or that there was none."""
    try:
        return answer_to(connection).status
    except (ConnectionError, HTTPException):
        return CUT_OFF


def own_limit() -> int:
    """Return what docker-compose.yml gives the evaluation service's container, in bytes."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    limit = compose["services"]["client_evaluation_service"]["deploy"]["resources"]["limits"]
    return int(limit["memory"].removesuffix("m")) * MEGABYTE


def most_memory(status: str) -> int:
    """Return the most that a process has had in memory, in bytes, of its /proc/.../status."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) * 1024
