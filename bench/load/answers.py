"""Whole HTTP/1.1 answers out of a socket's bytes: for load that is timed request by request."""

from dataclasses import dataclass

from deploy.ports import HOST


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
        raise ValueError(f"An answer without Content-Length: {head.decode('latin-1')}")
    size = end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])
    if len(received) < size:
        return None
    return Answer(int(head[9:12]), bytes(received[end + 4 : size]), size)


def post(path: str, body: bytes) -> bytes:
    """Encode one request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
