"""Sends an answer's head together with its body, or with what comes first of it.

uvicorn writes the two apart, and uvloop, since 0.23, each at once to the socket.
"""

import asyncio


class JoinedWrites:
    """As much of a transport as uvicorn answers one request by."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Keep the first part until the second comes."""
        if self._head is None:
            self._head = data
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is kept, as uvicorn has by then, and close."""
        if self._head:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether nobody reads what is written any more."""
        return self._transport.is_closing()
