"""A file of any kind as a table: its header, and its records block by block."""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import python_calamine

from portfolio.files import header, messages, records, text
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices, Header
from portfolio.files.records import Records

#: Records read at once from what is no text.
_ROWS: Final = 16_384
_WORKBOOKS: Final = (".xlsx", ".xlsm", ".xls", ".ods")
#: How those begin that are no text.
_PARQUET: Final = b"PAR1"
_ZIP: Final = b"PK\x03\x04"
#: Of what cannot be read piece by piece; a workbook grows tenfold when it is opened.
MOST_HELD_BYTES: Final = 64 * 2**20
_MOST_UNPACKED_BYTES: Final = 256 * 2**20


@dataclass(frozen=True)
class Table:
    """What a file holds.

    records: to be read once, in the file's order. done: the share read. encoding: of its text, as
    far as it was read, or its kind.
    """

    header: Header
    records: Iterator[Records]
    delimiter: str = ";"
    done: Callable[[], float] = lambda: 1.0
    encoding: Callable[[], str] = lambda: ""


def open_table(path: Path, choices: Choices) -> Table:
    """Open a file by the kind that its name says; all that is needed is in it.

    Raises UnreadableFileError or OSError.
    """
    kind = path.suffix.lower()
    with _readable():
        if kind == ".parquet":
            table = _parquet(path, choices)
        elif kind in _WORKBOOKS:
            table = _workbook(lambda: python_calamine.load_workbook(path), choices)
        else:
            table = _csv(_chunks(path), path.stat().st_size, choices)
    header.require(table.header)
    return _as_first_sent(table)


def open_sent(chunks: Iterable[bytes], size: int, choices: Choices) -> Table:
    """Open what somebody sent, of so many bytes, by the kind that its content says.

    What it needs may be missing in it: `header.require`. Raises UnreadableFileError.
    """
    pieces = iter(chunks)
    first = next(pieces, b"")
    whole = chain([first], pieces)
    with _readable():
        if first.startswith(_PARQUET):
            return _as_first_sent(_parquet(io.BytesIO(_held(whole)), choices))
        if first.startswith(_ZIP):
            content = _held(whole)
            _require_small(content)
            return _as_first_sent(
                _workbook(lambda: python_calamine.load_workbook(io.BytesIO(content)), choices)
            )
    return _as_first_sent(_csv(whole, size, choices))


def _as_first_sent(table: Table) -> Table:
    """Leave out what erros.csv says of its lines: mended, they have the columns of their file."""
    found, kept = table.header, table.header.first_sent
    if len(kept) == len(found.names):
        return table
    places = {field: kept.index(place) for field, place in found.places.items()}
    names = tuple(found.names[at] for at in kept)
    cut = (some._replace(cells=[some.cells[at] for at in kept]) for some in table.records)
    return replace(table, header=Header(names, places, found.line), records=cut)


@contextmanager
def _readable() -> Iterator[None]:
    """Translate what the libraries raise for what is no such file."""
    try:
        yield
    except (pa.ArrowInvalid, python_calamine.CalamineError, zipfile.BadZipFile) as exc:
        raise UnreadableFileError(messages.NOT_TEXT) from exc


def _held(chunks: Iterable[bytes]) -> bytes:
    """Return what can only be read as a whole. Raises UnreadableFileError for too much."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MOST_HELD_BYTES:
            raise UnreadableFileError(messages.TOO_LARGE)
    return bytes(content)


def _require_small(content: bytes) -> None:
    """Raise UnreadableFileError for a workbook that becomes too large when it is opened."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        if sum(one.file_size for one in packed.infolist()) > _MOST_UNPACKED_BYTES:
            raise UnreadableFileError(messages.TOO_LARGE)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(text.BLOCK_BYTES):
            yield chunk


def _csv(chunks: Iterable[bytes], size: int, choices: Choices) -> Table:
    read, encoding = 0, ""

    def counted() -> Iterator[bytes]:
        nonlocal read
        for chunk in chunks:
            read += len(chunk)
            yield chunk

    def note(told: str) -> None:
        nonlocal encoding
        encoding = told

    blocks = text.blocks(counted(), note)
    start = header.start_of(next(blocks, ""), choices)
    rest = chain([start.rest] if start.rest else [], blocks)
    return Table(
        start.header,
        records.cut(rest, start),
        start.delimiter,
        lambda: read / size,
        lambda: encoding,
    )


def _parquet(source: Path | io.BytesIO, choices: Choices) -> Table:
    file = pa.parquet.ParquetFile(source)
    found = header.header_of(file.schema_arrow.names, 1, choices)

    def read() -> Iterator[Records]:
        line = 1
        for batch in file.iter_batches(_ROWS, columns=list(found.names)):
            lines = np.arange(line, line + len(batch))
            yield Records(lines, [batch.column(name) for name in found.names], [])
            line += len(batch)

    return Table(found, read(), encoding=lambda: "parquet")


def _workbook(open_again: Callable[[], Any], choices: Choices) -> Table:
    """Read the first sheet; its lines are the sheet's rows, from 1."""
    names = open_again().sheet_names
    if not names:
        raise UnreadableFileError(messages.NO_SHEET)
    rows = open_again().get_sheet_by_index(0).to_python(skip_empty_area=False)
    for at, cells in enumerate(rows[: header.LOOKED_THROUGH]):
        found = header.header_of(cells, at + 1, choices)
        if len(found.places) > 1:
            records = _rows(rows[at + 1 :], at + 2, len(found.names))
            return Table(found, records, encoding=lambda: "planilha")
    raise header.no_header(rows[: header.LOOKED_THROUGH])


def _rows(rows: Sequence[Sequence[object]], line: int, width: int) -> Iterator[Records]:
    for start in range(0, len(rows), _ROWS):
        block = rows[start : start + _ROWS]
        lines = np.arange(line + start, line + start + len(block))
        columns = [pa.array([_text(row[at]) for row in block], pa.string()) for at in range(width)]
        yield Records(lines, columns, [])


def _text(cell: object) -> str:
    """Return a cell as a file with decimal points has it; a workbook's own numbers have no mark."""
    if isinstance(cell, float):
        return repr(int(cell)) if cell.is_integer() else repr(round(cell, 10))
    return str(cell)
