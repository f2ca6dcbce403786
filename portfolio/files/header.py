"""Where a table begins, what separates its cells, and which column is which."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from evaluation_api.decision import names
from evaluation_api.decision.domain import FEATURES
from evaluation_api.decision.sentences import COLUMNS
from portfolio.files import messages
from portfolio.files.cells import LINES_OF_A_CELL, closed, whole
from portfolio.files.errors import MissingColumnsError, UnreadableFileError

#: What a file has to say of each client.
FIELDS: Final = ("name", *FEATURES)
#: Tried in this order; the first of those that find the most columns is taken.
_DELIMITERS: Final = (";", ",", "\t", "|")
#: Lines looked through for the one that names the columns: titles stand above it.
LOOKED_THROUGH: Final = 20

_MOST_LINES: Final = LOOKED_THROUGH * LINES_OF_A_CELL

#: What erros.csv says of each line, beside its cells.
TOLD_OF_FAULTY: Final = ("linha", "erro_campo", "erro_motivo")

#: Columns of a table; each of them takes its time in every block.
MOST_COLUMNS: Final = 1000
#: What a result writes before a name that a spreadsheet would run (`writing`).
_MARKED: Final = re.compile(r"'(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_JOINED: Final = re.compile(r"[\s_-]+")
#: The unit that people write behind an amount's name, as the form does.
_UNIT: Final = re.compile(r"\(r\$\)$", re.IGNORECASE)
_SEPARATOR_LINE: Final = re.compile(r"sep=(.)", re.IGNORECASE)
_FIELD_OF: Final = {
    **{field: field for field in FIELDS},
    **{column: field for field, column in COLUMNS.items()},
    "cliente": "name",
    "nome_do_cliente": "name",
    "limite": "credit_limit",
    "saldo": "balance",
}


@dataclass(frozen=True)
class Choices:
    """What a person chose, where a file does not say it itself.

    columns: by field, the column that holds it.
    """

    columns: Mapping[str, str]


@dataclass(frozen=True)
class Header:
    """The columns of a table.

    names: as the file has them, those without any name at the end left out. places: by field, its
    place in names. line: the number of the line that names them, from 1.
    """

    names: tuple[str, ...]
    places: Mapping[str, int]
    line: int

    @property
    def unused(self) -> tuple[str, ...]:
        """Return the columns that decide nothing; they travel to the result."""
        used = set(self.places.values())
        return tuple(name for place, name in enumerate(self.names) if place not in used)

    @property
    def first_sent(self) -> list[int]:
        """Return the places of what was sent at first: what erros.csv says beside it was not."""
        told = {at for at, name in enumerate(self.names) if name in TOLD_OF_FAULTY}
        is_told = told.isdisjoint(self.places.values()) and len(told) == len(TOLD_OF_FAULTY)
        return [at for at in range(len(self.names)) if not is_told or at not in told]

    @property
    def has_numbered_clients(self) -> bool:
        """Tell whether a column was chosen to name the clients: numbers may do so, too."""
        return _FIELD_OF.get(_plain(self.names[self.places["name"]])) != "name"


@dataclass(frozen=True)
class Start:
    """How a CSV file begins. rest: the text that was looked through and follows the header."""

    delimiter: str
    header: Header
    next_line: int
    rest: str


def start_of(text: str, choices: Choices) -> Start:
    """Find the header in a file's first block of whole lines; `require` says what it lacks.

    Raises UnreadableFileError where there is none, MissingColumnsError where some line may be one.
    """
    if not text.strip():
        raise UnreadableFileError(messages.EMPTY_FILE)
    line, delimiters = 1, list(_DELIMITERS)
    first, _, rest = text.partition("\n")
    if told := _SEPARATOR_LINE.fullmatch(first.strip('"\t ')):
        line, delimiters, text = 2, [told[1]], rest
    found = [start for d in delimiters if (start := _begun(text, d, line, choices))]
    if not found:
        lines = text.split("\n", _MOST_LINES)
        raise no_header(cells for d in delimiters for *_, cells in _records(lines, d))
    return max(found, key=lambda start: len(start.header.places))  # the first of equals


def no_header(rows: Iterable[Sequence[object]]) -> UnreadableFileError:
    """Return what to raise where no line names the columns: the first that could do so is shown."""
    sentence = messages.no_header([COLUMNS[field] for field in FIELDS])
    for cells in rows:
        named = [str(cell or "").strip() for cell in cells]
        named = [named[at] for at in Header(tuple(named), {}, 0).first_sent]
        if len(set(filter(None, named))) >= len(FIELDS):
            return MissingColumnsError(sentence, None, FIELDS, list(filter(None, named)))
    return UnreadableFileError(sentence)


def _begun(text: str, delimiter: str, line: int, choices: Choices) -> Start | None:
    """Return how the table begins, were this the separator; its header has two columns at least."""
    lines = text.split("\n", _MOST_LINES)
    for start, stop, cells in _records(lines, delimiter):
        header = header_of(cells, line + start, choices)
        if len(header.places) > 1:
            return Start(delimiter, header, line + stop, "\n".join(lines[stop:]))
    return None


def _records(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield where each of the first records begins and ends, and its cells.

    lines: behind the last line feed stands what is not looked at.
    """
    stop = 0
    for _ in range(LOOKED_THROUGH):
        if (start := stop) == len(lines) - 1:
            return
        cells, stop = _record(lines[:-1], start, delimiter)
        yield start, stop, cells


def _record(lines: Sequence[str], start: int, delimiter: str) -> tuple[list[str], int]:
    """Return the cells of the record that begins there, and where it ends.

    Quotes that a line opens and does not close are looked for in those that follow, but never past
    one that has cells for a header, or a client, by itself.
    """
    for stop in range(start + 1, min(start + LINES_OF_A_CELL, len(lines)) + 1):
        if stop > start + 1 and len(whole(lines[stop - 1], delimiter) or ()) >= len(FIELDS):
            break
        cells = closed(lines[start:stop], delimiter)
        if cells is not None:
            return cells, stop
    return lines[start].split(delimiter), start + 1


def header_of(cells: Sequence[object], line: int, choices: Choices) -> Header:
    """Say which field each cell of a line names, if any.

    Raises MissingColumnsError for twins, UnreadableFileError for too many columns.
    """
    columns = [_unmarked(str(cell or "").strip()) for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    if len(columns) > MOST_COLUMNS:
        raise UnreadableFileError(messages.too_many_columns(len(columns), MOST_COLUMNS), line)
    places: dict[str, int] = {}
    chosen = {column: field for field, column in choices.columns.items()}
    for place, name in enumerate(columns):
        field = chosen.get(name) or _FIELD_OF.get(_plain(name), "")
        if not field or (field in choices.columns and name not in chosen):
            continue
        if field in places:
            sentence = messages.repeated_column(name, columns[places[field]], field)
            raise MissingColumnsError(sentence, line, [field], list(filter(None, columns)))
        places[field] = place
    return Header(tuple(columns), places, line)


def _unmarked(name: str) -> str:
    return name[1:] if _MARKED.match(name) else name


def require(header: Header) -> None:
    """Raise MissingColumnsError where a table does not say which columns are what is needed.

    Raises UnreadableFileError where it has too few of them, so that nobody could say.
    """
    if missing := [field for field in FIELDS if field not in header.places]:
        sentence = messages.missing_columns(missing, header.unused)
        if sum(map(bool, header.unused)) < len(missing):
            raise UnreadableFileError(f"{sentence} {messages.ADD_COLUMNS}", header.line)
        raise MissingColumnsError(sentence, header.line, missing, header.unused)


def _plain(name: str) -> str:
    """Return a name without case, accents, unit, and what may stand between its words."""
    return names.fold(_JOINED.sub(" ", _UNIT.sub("", name.strip()))).replace(" ", "_")
