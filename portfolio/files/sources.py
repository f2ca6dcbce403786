"""A file of any kind as a table: its header, and its records block by block."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Final

from portfolio.files import apart, header, held, messages, records, room, text
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices, Header
from portfolio.files.records import Records

#: Opens what is of a kind of `held`.
_OpenHeld = Callable[[Iterable[bytes], str, Choices], tuple[Header, Iterator[Records]]]
#: How those begin that are no text; of four bytes each.
_BEGINNINGS: Final = {
    b"PAR1": held.PARQUET,
    b"PK\x03\x04": held.WORKBOOK,
    held.OLD_WORKBOOK: held.WORKBOOK,
}
#: How those begin that are no table, though Excel opens them.
_MARKUP: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|!--|\?xml|html|head|meta|style|body|table)", re.IGNORECASE
)


@dataclass(frozen=True)
class Table:
    """What a file holds.

    records: to be read once, in the file's order. done: the share read. encoding: of its text, as
    far as it was read, or its kind. is_cut_short: whether it was read to its end, and that is
    within a line.
    """

    header: Header
    records: Iterator[Records]
    delimiter: str = ";"
    done: Callable[[], float] = lambda: 1.0
    encoding: Callable[[], str] = lambda: ""
    is_cut_short: Callable[[], bool] = lambda: False


def open_table(path: Path, choices: Choices) -> Table:
    """Open a file, or what comes through a pipe; all that is needed is in it.

    Raises UnreadableFileError or OSError.
    """
    table = _opened(_chunks(path), path.stat().st_size, choices, partial(_held, path))
    _require_chosen(table.header, choices)
    header.require(table.header)
    return table


def _held(
    path: Path, chunks: Iterable[bytes], kind: str, choices: Choices
) -> tuple[Header, Iterator[Records]]:
    if path.is_file():
        with path.open("rb") as file:
            return apart.open_file(file, kind, choices)
    with room.naming(Path(gettempdir())), TemporaryFile() as file:
        file.writelines(chunks)
        file.seek(0)
        return apart.open_file(file, kind, choices)


def _require_chosen(found: Header, choices: Choices) -> None:
    """Raise UnreadableFileError for a column that was chosen and is not there."""
    for column in choices.columns.values():
        if column not in found.names:
            raise UnreadableFileError(messages.no_such_column(column, found.names))


def open_sent(chunks: Iterable[bytes], size: int, choices: Choices) -> Table:
    """Open what somebody sent, of so many bytes.

    What it needs may be missing in it: `header.require`. Raises UnreadableFileError.
    """
    return _opened(chunks, size, choices, apart.open_sent)


def _opened(chunks: Iterable[bytes], size: int, choices: Choices, open_held: _OpenHeld) -> Table:
    """Open a file by the kind that its content says, whatever its name does."""
    pieces = iter(chunks)
    first = next(pieces, b"")
    whole = chain([first], pieces)
    if kind := _BEGINNINGS.get(first[:4]):
        found, read = open_held(whole, kind, choices)
        return _as_first_sent(Table(found, read, encoding=lambda: kind))
    if _MARKUP.match(first):
        raise UnreadableFileError(messages.MARKUP)
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
    read, encoding, is_cut_short = 0, "", False

    def counted() -> Iterator[bytes]:
        nonlocal read
        for chunk in chunks:
            read += len(chunk)
            yield chunk

    def note(told: str) -> None:
        nonlocal encoding
        encoding = told

    def note_cut() -> None:
        nonlocal is_cut_short
        is_cut_short = True

    blocks = text.blocks(counted(), note, note_cut)
    start = header.start_of(next(blocks, ""), choices)
    rest = chain([start.rest] if start.rest else [], blocks)
    return Table(
        start.header,
        records.cut(rest, start),
        start.delimiter,
        lambda: min(1.0, read / size) if size else 0.0,  # a pipe does not say how much comes
        lambda: encoding,
        lambda: is_cut_short,
    )
