"""Cuts lines of CSV into cells, so that no quote swallows a client.

A block without quotes is Arrow's work. Elsewhere, and where lines have more or fewer cells than the
header, it is the standard library's, line by line where it must be: quotes that a line opens and
does not close are looked for in the lines that follow, but never past one that is whole by itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from portfolio.files import messages
from portfolio.files.cells import LINES_OF_A_CELL, closed, whole
from portfolio.files.errors import Fault
from portfolio.files.header import Start


class Records(NamedTuple):
    """Some lines of a table, in its order.

    lines: n numbers of the lines that they begin on, from 1. cells: n texts for each column of the
    header, as sent. faults: of those that are no record, whose cells are what could be told apart.
    """

    lines: NDArray[np.int64]
    cells: list[pa.Array]
    faults: list[Fault]


class _Record(NamedTuple):
    line: int
    cells: list[str]
    reason: str | None = None
    value: str = ""


def cut(blocks: Iterable[str], start: Start) -> Iterator[Records]:
    """Cut what follows a header, block by block of whole lines."""
    number, held = start.next_line, ""
    for block in blocks:
        text = held + block
        fast = None if '"' in text else _by_arrow(text, number, start)
        if fast is not None:
            records, held = fast, ""
        else:
            taken, held = _by_line(text, number, start, final=False)
            records = _columns(taken, len(start.header.names))
        number += text.count("\n") - held.count("\n")
        yield records
    if held:
        taken, _ = _by_line(held, number, start, final=True)
        yield _columns(taken, len(start.header.names))


def _by_arrow(text: str, number: int, start: Start) -> Records | None:
    """Cut a block without quotes at once; None where a line has not as many cells as the header."""
    names = [str(place) for place in range(len(start.header.names))]
    data = text.encode()
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data),
            pa.csv.ReadOptions(column_names=names, block_size=len(data) + 1, use_threads=False),
            pa.csv.ParseOptions(
                delimiter=start.delimiter, quote_char=False, ignore_empty_lines=False
            ),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    lines = np.arange(number, number + len(table))
    return Records(lines, [column.combine_chunks() for column in table.columns], [])


def _by_line(text: str, number: int, start: Start, *, final: bool) -> tuple[list[_Record], str]:
    """Cut a block line by line; return what may go on in the next block."""
    lines, width = text.split("\n")[:-1], len(start.header.names)
    taken: list[_Record] = []
    place = 0
    while place < len(lines):
        cells, count = _record(lines, place, start.delimiter, width)
        if cells is None and not final and len(lines) - place <= LINES_OF_A_CELL:
            return taken, "\n".join([*lines[place:], ""])
        taken.append(_judged(cells, lines[place], number + place, start))
        place += count
    return taken, ""


def _record(
    lines: Sequence[str], place: int, delimiter: str, width: int
) -> tuple[list[str] | None, int]:
    """Return the cells of the record that begins at a place, and over how many lines it runs.

    None in place of the cells where its quotes stay open.
    """
    cells = closed(lines[place : place + 1], delimiter)
    if cells is not None:
        return cells, 1
    for stop in range(place + 2, min(place + LINES_OF_A_CELL, len(lines)) + 1):
        other = whole(lines[stop - 1], delimiter)
        if other is not None and len(other) == width:
            break
        cells = closed(lines[place:stop], delimiter)
        if cells is not None and len(cells) == width:
            return cells, stop - place
    return None, 1


def _judged(cells: list[str] | None, line: str, number: int, start: Start) -> _Record:
    """Make cells as many as the header's; say why that cannot be."""
    width = len(start.header.names)
    if cells is None:
        parts = line.split(start.delimiter)
        return _Record(number, _padded(parts, start), messages.OPEN_QUOTES, line)
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        cells = cells[:width]
    if len(cells) == width or not any(cell.strip() for cell in cells):
        return _Record(number, _padded(cells, start))
    return _Record(number, _padded(cells, start), messages.wrong_width(len(cells), width), line)


def _padded(cells: list[str], start: Start) -> list[str]:
    """Keep every cell: those beyond the last column stay in it."""
    width = len(start.header.names)
    if len(cells) > width:
        return [*cells[: width - 1], start.delimiter.join(cells[width - 1 :])]
    return cells + [""] * (width - len(cells))


def _columns(records: Sequence[_Record], width: int) -> Records:
    return Records(
        np.array([record.line for record in records], np.int64),
        [pa.array([r.cells[place] for r in records], pa.string()) for place in range(width)],
        [Fault(r.line, None, r.value, r.reason) for r in records if r.reason is not None],
    )
