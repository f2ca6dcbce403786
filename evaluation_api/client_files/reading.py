"""Reads a CSV file while it comes in: encoding, separator, columns, lines.

Keeps at most one record in hand, whatever the file's size. Pure: knows neither where bytes come
from nor where lines go.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from evaluation_api.client_files import amounts, header, messages
from evaluation_api.client_files.decoding import NotTextError, TextDecoder
from evaluation_api.client_files.domain import CHUNK_LINES, Dialect, Line
from evaluation_api.decision.domain import FEATURES
from evaluation_api.decision.errors import FieldError, InvalidRequestError

#: Characters of one record; more is no client, or quotes that were never closed.
_LONGEST_RECORD = 65_536
_LONGEST_AMOUNT = 64
#: Follows the last whole line: csv takes it for a record of its own, or into quotes still open.
_END = "."
#: In the first line: a workbook, or UTF-16 without its mark.
_NUL = "\x00"


class FileReader:
    """Takes bytes, gives the lines that are whole by then.

    All its methods raise InvalidRequestError naming the columns, or the line, that can't be read.
    """

    def __init__(self) -> None:
        """Start before the first byte."""
        self._decoder = TextDecoder()
        self._records: _Records | None = None
        self._head = ""
        self._head_number = 1
        self._count = 0
        self._amounts: list[str] = []

    def feed(self, chunk: bytes) -> list[Line]:
        """Read on."""
        return self._read(self._decoded(chunk, final=False), final=False)

    def finish(self) -> list[Line]:
        """Read what was left, the file being whole."""
        lines = self._read(self._decoded(b"", final=True), final=True)
        if self._records is None:
            raise _unfit(messages.EMPTY_FILE)
        if not self._count:
            raise _unfit(messages.NO_LINES)
        return lines

    @property
    def dialect(self) -> Dialect:
        """Return how the file is written; for after finish."""
        assert self._records is not None  # noqa: S101 - finish has raised otherwise
        delimiter = self._records.delimiter
        decimal_comma = amounts.uses_decimal_comma(self._amounts, otherwise=delimiter == ";")
        return Dialect(
            self._decoder.encoding,
            delimiter,
            decimal_comma,
            self._records.header,
            self._records.fields,
        )

    def _decoded(self, chunk: bytes, *, final: bool) -> str:
        try:
            return self._decoder.decode(chunk, final=final)
        except NotTextError as exc:
            if not exc.mixed or _NUL in self._head + exc.before:
                raise _unfit(messages.NOT_TEXT) from exc
            number = self._next_line() + exc.before.count("\n")
            raise _unreadable(number, messages.MIXED_ENCODING) from exc

    def _next_line(self) -> int:
        """Return the number of the line that the next byte belongs to."""
        if self._records is None:
            return self._head_number + self._head.count("\n")
        return self._records.number + self._records.held.count("\n")

    def _read(self, text: str, *, final: bool) -> list[Line]:
        if self._records is None:
            text = self._begin(self._head + text, final=final)
        if self._records is None:
            return []
        lines = list(self._records.take(text, final=final))
        if self._count < CHUNK_LINES:
            self._amounts += _amounts(lines[: CHUNK_LINES - self._count], self._records.fields)
        self._count += len(lines)
        return lines

    def _begin(self, text: str, *, final: bool) -> str:
        """Read the header once it is whole; return what comes after it."""
        blank, text = _without_blank_lines(text)
        self._head_number += blank
        line, end, rest = text.partition("\n")
        if len(line) > _LONGEST_RECORD:
            raise _unreadable(self._head_number, messages.TOO_LONG)
        if not line.strip() or not (end or final):
            self._head = text
            return ""
        self._records = _Records(line, self._head_number)
        return rest


class _Records:
    """Cuts text into records, each with the number of the line it begins on."""

    def __init__(self, head: str, number: int) -> None:
        self.delimiter = header.delimiter_of(head)
        names = _names(head.rstrip("\r"), self.delimiter, number)
        self.header = tuple(name.strip() for name in names)
        self.fields = header.fields_of(names)
        self.number = number + 1
        self.held = ""

    def take(self, text: str, *, final: bool) -> Iterator[Line]:
        text = self.held + text
        cut = len(text) if final else text.rfind("\n") + 1
        whole = list(io.StringIO(text[:cut], newline=""))
        begun = 0
        records = csv.reader([*whole, _END], delimiter=self.delimiter)
        try:
            for cells in records:
                if records.line_num > len(whole):
                    break
                if any(cells):  # spreadsheets leave empty lines, with separators or without
                    yield Line(self.number + begun, cells)
                begun = records.line_num
        except csv.Error as exc:
            raise _unreadable(self.number + begun, messages.UNREADABLE) from exc
        self.number += begun
        self.held = "".join(whole[begun:]) + text[cut:]
        self._check(is_open=begun < len(whole), final=final)

    def _check(self, *, is_open: bool, final: bool) -> None:
        """Refuse to hold what never ends."""
        too_long = len(self.held) > _LONGEST_RECORD
        if is_open and (final or too_long):
            raise _unreadable(self.number, messages.OPEN_QUOTES)
        if too_long:
            raise _unreadable(self.number, messages.TOO_LONG)


def _without_blank_lines(text: str) -> tuple[int, str]:
    """Return how many lines at a text's start are blank, and the text after them."""
    blank = text[: len(text) - len(text.lstrip())]
    start = blank.rfind("\n") + 1
    return blank.count("\n"), text[start:]


def _names(head: str, delimiter: str, number: int) -> list[str]:
    """Read the names of the columns."""
    if _NUL in head:
        raise _unfit(messages.NOT_TEXT)
    try:
        return next(csv.reader([head], delimiter=delimiter))
    except csv.Error as exc:
        raise _unreadable(number, messages.UNREADABLE) from exc


def _amounts(lines: Sequence[Line], fields: Sequence[str]) -> Iterator[str]:
    """Return what stands where amounts do, by which to tell how a file writes them."""
    for line in lines:
        if len(line.cells) == len(fields):
            for field, cell in zip(fields, line.cells, strict=True):
                if field in FEATURES and len(cell) <= _LONGEST_AMOUNT:
                    yield cell.strip()


def _unfit(sentence: str) -> InvalidRequestError:
    """Say what is wrong with a file as a whole."""
    return InvalidRequestError([FieldError("#/1", sentence)])


def _unreadable(number: int, sentence: str) -> InvalidRequestError:
    return InvalidRequestError([FieldError(f"#/{number}", f"Linha {number}: {sentence}")])
