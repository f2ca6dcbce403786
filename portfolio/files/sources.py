"""A file of any kind as a table: its header, and its records block by block."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

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


@dataclass(frozen=True)
class Table:
    """What a file holds. records: to be read once, in the file's order. done: the share read."""

    header: Header
    records: Iterator[Records]
    delimiter: str = ";"
    done: Callable[[], float] = lambda: 1.0


def open_table(path: Path, choices: Choices) -> Table:
    """Open a file by the kind that its name says. Raises UnreadableFileError or OSError."""
    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            return _parquet(path, choices)
        if kind in _WORKBOOKS:
            return _workbook(path, choices)
    except (pa.ArrowInvalid, python_calamine.CalamineError) as exc:
        raise UnreadableFileError(messages.NOT_TEXT) from exc
    return _csv(path, choices)


def _csv(path: Path, choices: Choices) -> Table:
    size, read = path.stat().st_size, 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        with path.open("rb") as file:
            while chunk := file.read(text.BLOCK_BYTES):
                read += len(chunk)
                yield chunk

    blocks = text.blocks(chunks())
    start = header.start_of(next(blocks, ""), choices)
    rest = chain([start.rest] if start.rest else [], blocks)
    return Table(start.header, records.cut(rest, start), start.delimiter, lambda: read / size)


def _parquet(path: Path, choices: Choices) -> Table:
    file = pa.parquet.ParquetFile(path)
    found = header.header_of(file.schema_arrow.names, 1, choices)
    header.require(found)

    def read() -> Iterator[Records]:
        line = 1
        for batch in file.iter_batches(_ROWS, columns=list(found.names)):
            lines = np.arange(line, line + len(batch))
            yield Records(lines, [batch.column(name) for name in found.names], [])
            line += len(batch)

    return Table(found, read())


def _workbook(path: Path, choices: Choices) -> Table:
    """Read the first sheet; its lines are the sheet's rows, from 1."""
    names = python_calamine.load_workbook(path).sheet_names
    if not names:
        raise UnreadableFileError(messages.NO_SHEET)
    rows = (
        python_calamine.load_workbook(path).get_sheet_by_index(0).to_python(skip_empty_area=False)
    )
    for at, cells in enumerate(rows[: header.LOOKED_THROUGH]):
        found = header.header_of(cells, at + 1, choices)
        if len(found.places) > 1:
            header.require(found)
            return Table(found, _rows(rows[at + 1 :], at + 2, len(found.names)))
    raise UnreadableFileError(messages.no_header([messages.COLUMNS[f] for f in header.FIELDS]))


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
