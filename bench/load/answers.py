"""Whole HTTP/1.1 answers out of a socket's bytes: for load that is timed request by request."""

import socket
from dataclasses import dataclass

from deploy.ports import HOST

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body; size counts the bytes of head and body."""

    status: int
    body: bytes
    size: int


def first(received: bytes | bytearray) -> Answer | None:
    """Return the first whole answer, or None while it is not all there.

    Raises ValueError for an answer without a length.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        message = f"An answer without Content-Length: {head.decode('latin-1')}"
        raise ValueError(message)
    length = int(head[at + 17 :].split(b"\r\n", 1)[0])
    size = end + 4 + length
    if len(received) < size:
        return None
    return Answer(int(head[9:12]), bytes(received[end + 4 : size]), size)


def post(path: str, body: str) -> bytes:
    """Encode one request."""
    payload = body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


class Line:
    """One kept-alive connection for requests in turn."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._socket = socket.create_connection((HOST, port), timeout=_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> Answer:
        """Send one request and wait for its answer. Raises OSError when none comes."""
        self._socket.sendall(request)
        received = bytearray()
        while (answer := first(received)) is None:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionResetError("The server closed the connection")
            received += piece
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
