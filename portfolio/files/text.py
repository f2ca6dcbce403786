"""From bytes to whole lines of UTF-8, whatever a program wrote them in.

UTF-8, UTF-16, or Windows-1252; lines ended by CR, LF or both. Marks of byte order are
no text and go, wherever they stand.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from portfolio.files import messages
from portfolio.files.errors import UnreadableFileError

#: Bytes of a block of lines; smaller ones hold the memory, larger ones gain nothing.
BLOCK_BYTES: Final = 1 << 20
#: Bytes of one line; more is no client.
LONGEST_LINE: Final = 65_536

_MARK: Final = "\ufeff"
_UTF16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def blocks(
    chunks: Iterable[bytes],
    tell: Callable[[str], object] = lambda _encoding: None,
    tell_cut: Callable[[], object] = lambda: None,
) -> Iterator[str]:
    """Yield a file's text in blocks of whole lines, each ended by a line feed.

    chunks: the file, in pieces of any size. tell: is told the encoding as far as it is known.
    tell_cut: is called where the last line is not ended. Raises UnreadableFileError naming the
    line.
    """
    number, held = 1, ""
    for text in _unified(_decoded(chunks, tell)):
        held += text
        cut = held.rfind("\n") + 1
        if cut:
            yield held[:cut]
            number, held = number + held.count("\n", 0, cut), held[cut:]
        if len(held) > LONGEST_LINE:
            raise UnreadableFileError(messages.TOO_LONG, number)
    if held:
        if held.strip():
            tell_cut()
        yield held + "\n"


def _unified(texts: Iterable[str]) -> Iterator[str]:
    """Take marks of byte order out, and end each line by a line feed."""
    carriage_return = ""
    for text in texts:
        whole = carriage_return + text
        carriage_return = "\r" if whole.endswith("\r") else ""  # its line feed may come next
        cut = whole[: len(whole) - len(carriage_return)]
        yield cut.replace(_MARK, "").replace("\r\n", "\n").replace("\r", "\n")
    if carriage_return:
        yield "\n"


def _decoded(chunks: Iterable[bytes], tell: Callable[[str], object]) -> Iterator[str]:
    pieces = iter(_in_blocks(chunks))
    first = next(pieces, b"")
    if first.startswith(codecs.BOM_UTF32_LE):  # which begins as UTF-16 does
        raise UnreadableFileError(messages.NOT_TEXT)
    if encoding := _UTF16.get(first[:2]) or _unmarked_utf16(first):
        tell(encoding)
        decoder = codecs.getincrementaldecoder(encoding)()
        yield from _strictly(decoder, first, pieces)
        return
    if b"\0" in first:
        raise UnreadableFileError(messages.NOT_TEXT)
    tell("utf-8-sig" if first.startswith(codecs.BOM_UTF8) else "utf-8")
    yield from _utf8_or_windows(first, pieces, tell)


def _unmarked_utf16(first: bytes) -> str | None:
    """Return the encoding of what has a NUL in most pairs of bytes, always in the same place."""
    even, odd = first[::2].count(0), first[1::2].count(0)
    if min(even, odd) or 2 * max(even, odd) < len(first) // 2:
        return None
    return "utf-16-be" if even > odd else "utf-16-le" if odd else None


def _in_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Regroup, so that the first piece shows the encoding and each is worth its work."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= BLOCK_BYTES:
            yield bytes(held[:BLOCK_BYTES])
            del held[:BLOCK_BYTES]
    if held:
        yield bytes(held)


def _strictly(
    decoder: codecs.IncrementalDecoder, first: bytes, pieces: Iterator[bytes]
) -> Iterator[str]:
    line = 1
    try:
        text = decoder.decode(first)
        for piece in pieces:
            line += text.count("\n")
            yield text
            text = decoder.decode(piece)
        yield text + decoder.decode(b"", True)  # noqa: FBT003 - the codec's own signature
    except UnicodeDecodeError as exc:
        raise UnreadableFileError(messages.NOT_TEXT, line) from exc


def _utf8_or_windows(
    first: bytes, pieces: Iterator[bytes], tell: Callable[[str], object]
) -> Iterator[str]:
    """Decide by the first character that is not ASCII, and keep to it."""
    decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")()
    proved, line, piece = False, 1, first
    while piece:
        try:
            text = decoder.decode(piece)
        except UnicodeDecodeError as exc:
            good: bytes = exc.object[: exc.start]
            if proved or not good.isascii():
                raise UnreadableFileError(
                    messages.MIXED_ENCODING, line + good.count(b"\n")
                ) from exc
            tell("windows-1252")
            yield exc.object.decode("cp1252", "replace")
            yield from (other.decode("cp1252", "replace") for other in pieces)
            return
        proved = proved or not text.isascii()
        line += text.count("\n")
        yield text
        piece = next(pieces, b"")
    if decoder.getstate()[0]:  # half a character at the end
        if proved:
            raise UnreadableFileError(messages.MIXED_ENCODING, line)
        tell("windows-1252")
        yield decoder.getstate()[0].decode("cp1252", "replace")
