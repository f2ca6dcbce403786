"""Reads a CSV file while it comes in: encoding, separator, columns, lines.

Keeps at most one record in hand, whatever the file's size. Pure: knows neither where bytes come
from nor where lines go.
"""

import csv
import io
from collections.abc import Iterator

from evaluation_api.batch import amounts, header, messages
from evaluation_api.batch.decoding import NotTextError, TextDecoder
from evaluation_api.batch.domain import CHUNK_LINES, Dialect, Line
from evaluation_api.domain import FEATURES
from evaluation_api.errors import FieldError, InvalidRequestError

#: Characters of one record; more means quotes that were never closed.
_LONGEST_RECORD = 65_536


class FileReader:
    """Takes bytes, gives the lines that are whole by then.

    All its methods raise InvalidRequestError naming the columns, or the line, that can't be read.
    """

    def __init__(self) -> None:
        """Start before the first byte."""
        self._decoder = TextDecoder()
        self._records: _Records | None = None
        self._head = ""
        self._first: list[Line] = []

    def feed(self, chunk: bytes) -> list[Line]:
        """Read on."""
        return self._read(self._decoded(chunk, final=False), final=False)

    def finish(self) -> list[Line]:
        """Read what was left, the file being whole."""
        lines = self._read(self._decoded(b"", final=True), final=True)
        if self._records is None:
            raise _unreadable(1, messages.EMPTY_FILE)
        if not self._first:
            raise _unreadable(1, messages.NO_LINES)
        return lines

    @property
    def dialect(self) -> Dialect:
        """Give how the file is written; for after finish."""
        assert self._records is not None  # noqa: S101 - finish has raised otherwise
        fields, delimiter = self._records.fields, self._records.delimiter
        width = len(fields)
        cells = (
            cell.strip()
            for line in self._first
            if len(line.cells) == width
            for field, cell in zip(fields, line.cells, strict=True)
            if field in FEATURES
        )
        decimal_comma = amounts.uses_decimal_comma(cells, otherwise=delimiter == ";")
        return Dialect(
            self._decoder.encoding, delimiter, decimal_comma, self._records.header, fields
        )

    def _decoded(self, chunk: bytes, *, final: bool) -> str:
        try:
            return self._decoder.decode(chunk, final=final)
        except NotTextError as exc:
            if not exc.mixed:
                raise _unreadable(1, messages.NOT_TEXT) from exc
            number = self._next_line() + exc.before.count("\n")
            raise _unreadable(number, messages.MIXED_ENCODING) from exc

    def _next_line(self) -> int:
        """Give the number of the line that the next byte belongs to."""
        if self._records is None:
            return 1 + self._head.count("\n")
        return self._records.number + self._records.held.count("\n")

    def _read(self, text: str, *, final: bool) -> list[Line]:
        if self._records is None:
            text = self._head + text
            self._records, text = _begin(text, final=final)
            if self._records is None:
                self._head = text
                return []
        lines = list(self._records.take(text, final=final))
        if len(self._first) < CHUNK_LINES:
            self._first += lines[: CHUNK_LINES - len(self._first)]
        return lines


class _Records:
    """Cuts text into records, each with the number of the line it begins on."""

    def __init__(self, names: list[str], delimiter: str, number: int) -> None:
        self.header = tuple(name.strip() for name in names)
        self.fields = header.fields_of(names)
        self.delimiter = delimiter
        self.number = number
        self.held = ""

    def take(self, text: str, *, final: bool) -> Iterator[Line]:
        text = self.held + text
        cut = len(text) if final else _last_end(text)
        self.held = text[cut:]
        if len(self.held) > _LONGEST_RECORD or (final and text.count('"') % 2):
            first = self.number + text[:cut].count("\n") * (not final)
            raise _unreadable(first, messages.OPEN_QUOTES)
        yield from self._lines(text[:cut])

    def _lines(self, block: str) -> Iterator[Line]:
        start, begun = self.number, 0
        records = csv.reader(io.StringIO(block, newline=""), delimiter=self.delimiter)
        try:
            for cells in records:
                if any(cells):  # spreadsheets leave empty lines, with separators or without
                    yield Line(start + begun, cells)
                begun = records.line_num
        except csv.Error as exc:
            raise _unreadable(start + begun, messages.UNREADABLE) from exc
        self.number = start + begun


def _begin(text: str, *, final: bool) -> tuple[_Records | None, str]:
    """Read the header, once it is whole; give what comes after it, or else the text again."""
    number = 1
    rest = text
    while rest:
        line, end, following = rest.partition("\n")
        if not end and not final:
            if len(line) > _LONGEST_RECORD:
                raise _unreadable(number, messages.UNREADABLE)
            return None, text
        number += 1
        rest = following
        if line.strip():
            delimiter = header.delimiter_of(line)
            names = next(csv.reader([line.rstrip("\r")], delimiter=delimiter))
            return _Records(names, delimiter, number), rest
    return None, text


def _last_end(text: str) -> int:
    """Find where the last whole record ends: a line's end outside of quotes."""
    quotes = text.count('"')
    cut = len(text)
    while True:
        end = text.rfind("\n", 0, cut) + 1
        quotes -= text.count('"', end, cut)
        if end == 0 or quotes % 2 == 0:
            return end
        cut = end - 1


def _unreadable(number: int, sentence: str) -> InvalidRequestError:
    return InvalidRequestError([FieldError(f"#/{number}", f"Linha {number}: {sentence}")])
