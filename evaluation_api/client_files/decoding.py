"""From bytes to text while a file comes in: UTF-8 with or without a mark, or Latin-1.

Latin-1 is read as Windows-1252, which it is where they agree on a character: what Excel calls
ANSI has its dashes and curly apostrophes where Latin-1 has control characters.
"""

import codecs

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class NotTextError(Exception):
    """The bytes are no text that can be read. mixed: they were valid UTF-8 before."""

    def __init__(self, *, mixed: bool, before: str = "") -> None:
        """Carry what could be read before the trouble."""
        super().__init__("not text")
        self.mixed = mixed
        self.before = before


class TextDecoder:
    """Decides by the first character that is not ASCII, and keeps to it."""

    def __init__(self) -> None:
        """Start undecided, which is UTF-8 as long as all is ASCII."""
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._start: bytes | None = b""
        self._proved = False
        #: utf-8, utf-8-sig (with a mark) or windows-1252; final once all is decoded.
        self.encoding = "utf-8"

    def decode(self, chunk: bytes, *, final: bool = False) -> str:
        """Decode what came. Raises NotTextError."""
        if self._start is not None:
            self._start += chunk
            if len(self._start) < len(codecs.BOM_UTF8) and not final:
                return ""
            chunk, self._start = self._unmarked(self._start), None
        if self.encoding == "windows-1252":
            return chunk.decode("cp1252", "replace")
        return self._decode_utf8(chunk, final=final)

    def _unmarked(self, start: bytes) -> bytes:
        if start.startswith(_UTF16_MARKS):
            raise NotTextError(mixed=False)
        if start.startswith(codecs.BOM_UTF8):
            self.encoding = "utf-8-sig"
            self._proved = True
            return start[len(codecs.BOM_UTF8) :]
        return start

    def _decode_utf8(self, chunk: bytes, *, final: bool) -> str:
        try:
            text = self._utf8.decode(chunk, final)
        except UnicodeDecodeError as exc:
            good = exc.object[: exc.start]
            if self._proved or not good.isascii():
                raise NotTextError(mixed=True, before=good.decode()) from exc
            self.encoding = "windows-1252"
            return exc.object.decode("cp1252", "replace")
        self._proved = self._proved or not text.isascii()
        return text
