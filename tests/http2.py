"""Asks one thing over HTTP/2, for which no library is here: RFC 9113, and RFC 7541 for the head."""

import socket
import ssl
import struct
from typing import Final, NamedTuple

HEADERS: Final = 1
GO_AWAY: Final = 7
#: How a head begins that says 200: an index into the table that both know.
FOUND: Final = b"\x88"

_SETTINGS, _CONTINUATION = 4, 9
_GET_ROOT_BY_HTTPS: Final = b"\x82\x84\x87"
_MOST_OF_A_FRAME: Final = 2**14
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: The largest number that a prefix of seven bits holds.
_PREFIX: Final = 127


class Frame(NamedTuple):
    """What a server sends."""

    kind: int
    content: bytes


def ask(port: int, field_bytes: int) -> Frame:
    """Ask this machine for / with one long field; return the frame that answers or refuses."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=15) as plain,
        context.wrap_socket(plain) as connection,
        connection.makefile("rb") as answer,
    ):
        connection.sendall(_request(field_bytes))
        while True:
            size, kind = struct.unpack(">IB", b"\0" + answer.read(4))
            answer.read(5)  # flags, and the stream
            content = answer.read(size)
            if kind in {HEADERS, GO_AWAY}:
                return Frame(kind, content)


def _request(field_bytes: int) -> bytes:
    fields = _field(b":authority", b"localhost") + _field(b"a", b"a" * field_bytes)
    head = _GET_ROOT_BY_HTTPS + fields
    sent = _PREFACE + _frame(_SETTINGS, 0, 0, b"")
    for at in range(0, len(head), _MOST_OF_A_FRAME):
        ends_stream, ends_head = at == 0, at + _MOST_OF_A_FRAME >= len(head)
        kind = _CONTINUATION if at else HEADERS
        flags = ends_stream | ends_head << 2
        sent += _frame(kind, flags, 1, head[at : at + _MOST_OF_A_FRAME])
    return sent


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


def _field(name: bytes, value: bytes) -> bytes:
    """Write a field in full, never to be indexed."""
    return b"\x10" + _text(name) + _text(value)


def _text(text: bytes) -> bytes:
    """Write a text behind its length."""
    if len(text) < _PREFIX:
        return bytes([len(text)]) + text
    rest, length = len(text) - _PREFIX, bytearray([_PREFIX])
    while rest >= 2**7:
        length.append(rest % 2**7 + 2**7)
        rest //= 2**7
    return bytes([*length, rest]) + text
