"""Parquet and workbooks, which libraries open as a whole: their header, and records block by block.

What they take is bounded by who runs this (`apart`). Columns are text, or what has one plain form
as text: numbers, dates, and truth values where no amount is meant. Amounts of a workbook, whose own
numbers stand among texts and have no mark, are `amounts.OF_WORKBOOK`.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from string import ascii_uppercase
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import python_calamine
from numpy.typing import NDArray

from evaluation_api.decision.domain import FEATURES
from portfolio.files import amounts, header, messages, text
from portfolio.files.errors import Fault, UnreadableFileError
from portfolio.files.header import Choices, Header
from portfolio.files.records import Records

PARQUET: Final = "parquet"
WORKBOOK: Final = "planilha"
#: Characters of a cell beside the table.
_LONGEST_SHOWN: Final = 200
#: How a workbook begins that is no ZIP: .xls, until 2003.
OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0"
#: Records read at once.
_ROWS: Final = 16_384
#: Bytes of text of a block, unless one record has more.
_BLOCK_BYTES: Final = 8 * 2**20
#: What a workbook may hold in all; it grows tenfold when it is opened.
MOST_UNPACKED_BYTES: Final = 256 * 2**20
#: Rows of a sheet, as Excel and LibreOffice have them.
_MOST_ROWS: Final = 2**20


def read(
    source: IO[bytes], kind: str, choices: Choices, *, is_sent: bool
) -> tuple[Header, Iterator[Records]]:
    """Open a file of PARQUET or WORKBOOK. is_sent: by somebody who is not at this machine.

    Raises UnreadableFileError, at once or for a later record.
    """
    if kind == PARQUET:
        found, records = _parquet(source, choices)
    else:
        if is_sent:
            _require_small(source)
        found, records = _workbook(source, choices)
    return found, _bounded(_readable(records))


def _readable(records: Iterator[Records]) -> Iterator[Records]:
    """Translate what the libraries raise for what they cannot read."""
    try:
        yield from records
    except MemoryError as exc:
        raise UnreadableFileError(messages.TOO_FAR) from exc
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise UnreadableFileError(messages.DAMAGED) from exc


def _parquet(source: IO[bytes], choices: Choices) -> tuple[Header, Iterator[Records]]:
    try:
        file = pa.parquet.ParquetFile(source)
    except (pa.ArrowException, OSError) as exc:
        raise UnreadableFileError(messages.NOT_TEXT) from exc
    found = header.header_of(file.schema_arrow.names, 1, choices)
    of_amounts = _amount_places(found)

    def records() -> Iterator[Records]:
        line = 1
        for batch in file.iter_batches(_ROWS, use_threads=False):
            columns = [
                _column(batch.column(at), is_amount=at in of_amounts)
                for at in range(len(found.names))
            ]
            yield Records(np.arange(line, line + len(batch)), columns, [])
            line += len(batch)

    return found, records()


def _amount_places(found: Header) -> set[int]:
    return {found.places[feature] for feature in FEATURES if feature in found.places}


def _column(column: pa.Array, *, is_amount: bool) -> pa.Array:
    """Return a column as numbers or as text of one type, whatever text it is.

    An amount is a number or text, as POST /avaliar has it: a truth value, or a date, is none.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column
    is_plain = (pa.types.is_boolean, pa.types.is_date, pa.types.is_timestamp, pa.types.is_time)
    if not is_amount and any(is_kind(kind) for is_kind in is_plain):
        return column
    return _texts(column)


def _texts(column: pa.Array) -> pa.Array:
    """Return any column as text; bytes that are none, and lists, as Python shows them."""
    try:
        return pc.cast(column, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([_shown(cell) for cell in column.to_pylist()], pa.string())


def _shown(cell: object) -> str | None:
    if cell is None:
        return None
    return cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)


def _require_small(source: IO[bytes]) -> None:
    """Raise UnreadableFileError for a workbook that becomes too large when it is opened."""
    if source.read(len(OLD_WORKBOOK)) == OLD_WORKBOOK:  # which compresses nothing
        return
    try:
        with zipfile.ZipFile(source) as packed:
            size = sum(one.file_size for one in packed.infolist())
    except zipfile.BadZipFile as exc:
        raise UnreadableFileError(messages.NO_WORKBOOK) from exc
    if size > MOST_UNPACKED_BYTES:
        raise UnreadableFileError(messages.TOO_LARGE)
    source.seek(0)


def _workbook(source: IO[bytes], choices: Choices) -> tuple[Header, Iterator[Records]]:
    """Read the first sheet that is not hidden; its lines are the sheet's rows, from 1."""
    sheet = _first_sheet(source)
    if sheet.end is not None and sheet.end[0] >= _MOST_ROWS:
        raise UnreadableFileError(messages.TOO_FAR)
    rows = sheet.iter_rows()
    seen: list[Sequence[object]] = []
    for cells in islice(rows, header.LOOKED_THROUGH):
        seen.append(cells)
        found = header.header_of(cells, len(seen), choices)
        if len(found.places) > 1:
            return found, _rows(rows, len(seen) + 1, found)
    raise header.no_header(seen)


def _first_sheet(source: IO[bytes]) -> Any:  # noqa: ANN401 - calamine's own
    try:
        book = python_calamine.load_workbook(source)
    except (python_calamine.CalamineError, OSError) as exc:
        source.seek(0)
        is_old = source.read(len(OLD_WORKBOOK)) == OLD_WORKBOOK  # as one with a password begins
        raise UnreadableFileError(messages.LOCKED if is_old else messages.NO_WORKBOOK) from exc
    shown = [sheet.name for sheet in book.sheets_metadata if _is_shown(sheet)]
    if not shown:
        raise UnreadableFileError(messages.NO_SHEET)
    try:
        return book.get_sheet_by_name(shown[0])
    except (python_calamine.CalamineError, OSError) as exc:
        raise UnreadableFileError(messages.DAMAGED) from exc


def _is_shown(sheet: python_calamine.SheetMetadata) -> bool:
    """Tell whether a sheet has a table that whoever opens the workbook sees."""
    is_table = sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
    return is_table and sheet.visible == python_calamine.SheetVisibleEnum.Visible


def _rows(rows: Iterator[Sequence[object]], line: int, found: Header) -> Iterator[Records]:
    width, of_amounts = len(found.names), _amount_places(found)
    while block := list(islice(rows, _ROWS)):
        columns = [
            amounts.of_workbook(cells) if at in of_amounts else _texts_of(cells)
            for at, cells in enumerate(zip(*(row[:width] for row in block), strict=True))
        ]
        faults = list(_beyond(block, line, width))
        yield Records(np.arange(line, line + len(block)), columns, faults)
        line += len(block)


def _beyond(block: Sequence[Sequence[object]], line: int, width: int) -> Iterator[Fault]:
    """Yield the clients beside whom something stands in a column that the header does not name.

    A note in a row of its own is no client's.
    """
    for number, row in enumerate(block, line):
        outside = [at for at, cell in enumerate(row[width:], width) if _is_filled(cell)]
        if outside and any(map(_is_filled, row[:width])):
            value = _as_text(row[outside[0]])[:_LONGEST_SHOWN]
            yield Fault(number, None, value, messages.nameless_column(_letters(outside[0])))


def _is_filled(cell: object) -> bool:
    return cell != "" and bool(str(cell).strip())


def _letters(place: int) -> str:
    """Return what a spreadsheet calls a column, from 0: A to Z, then AA."""
    before, last = divmod(place, len(ascii_uppercase))
    return (_letters(before - 1) if before else "") + ascii_uppercase[last]


def _texts_of(cells: Sequence[object]) -> pa.Array:
    """Return cells as a file with decimal points has them."""
    return pa.array([_as_text(cell) for cell in cells], pa.string())


def _as_text(cell: object) -> str:
    return amounts.figures(cell) if isinstance(cell, float) else str(cell)


def _bounded(blocks: Iterator[Records]) -> Iterator[Records]:
    """Cut blocks so that each holds little text: a cell may say in two bytes what takes 60,000.

    Raises UnreadableFileError for a record that is longer than a line of CSV may be.
    """
    for some in blocks:
        sizes = _text_bytes(some)
        if len(sizes) and sizes.max() > text.LONGEST_LINE:
            raise UnreadableFileError(messages.LONG_RECORD, int(some.lines[sizes.argmax()]))
        parts = np.cumsum(sizes) // _BLOCK_BYTES
        ends = [*(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(sizes)]
        start = 0
        for end in ends:
            lines = some.lines[start:end]
            faults = [fault for fault in some.faults if lines[0] <= fault.line <= lines[-1]]
            yield Records(lines, [cells[start:end] for cells in some.cells], faults)
            start = end


def _text_bytes(some: Records) -> NDArray[np.int64]:
    sizes = np.zeros(len(some.lines), np.int64)
    for cells in map(amounts.texts, some.cells):
        if pa.types.is_string(cells.type):
            sizes += pc.fill_null(pc.binary_length(cells), 0).to_numpy(zero_copy_only=False)
    return sizes


def whole(source: IO[bytes]) -> IO[bytes]:
    """Return what may be read from any place, as both libraries do."""
    return source if source.seekable() else io.BytesIO(source.read())
