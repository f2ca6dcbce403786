"""A file of any kind as a table: its header, and its records block by block."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

from portfolio.files import apart, header, held, messages, records, text
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices, Header
from portfolio.files.records import Records

_KINDS: Final = {
    ".parquet": held.PARQUET,
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), held.WORKBOOK),
}
#: How those begin that are no text.
_BEGINNINGS: Final = {b"PAR1": held.PARQUET, b"PK\x03\x04": held.WORKBOOK}


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
    if kind := _KINDS.get(path.suffix.lower()):
        with path.open("rb") as file:
            found, read = apart.open_file(file, kind, choices)
        table = Table(found, read, encoding=lambda: kind)
    else:
        table = _csv(_chunks(path), path.stat().st_size, choices)
    _require_chosen(table.header, choices)
    header.require(table.header)
    return _as_first_sent(table)


def _require_chosen(found: Header, choices: Choices) -> None:
    """Raise UnreadableFileError for a column that was chosen and is not there."""
    for column in choices.columns.values():
        if column not in found.names:
            raise UnreadableFileError(messages.no_such_column(column))


def open_sent(chunks: Iterable[bytes], size: int, choices: Choices) -> Table:
    """Open what somebody sent, of so many bytes, by the kind that its content says.

    What it needs may be missing in it: `header.require`. Raises UnreadableFileError.
    """
    pieces = iter(chunks)
    first = next(pieces, b"")
    whole = chain([first], pieces)
    if kind := _BEGINNINGS.get(first[:4]):
        found, read = apart.open_sent(whole, kind, choices)
        return _as_first_sent(Table(found, read, encoding=lambda: kind))
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
        lambda: min(1.0, read / size) if size else 0.0,  # a pipe does not say how much comes
        lambda: encoding,
    )
