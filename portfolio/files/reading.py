"""From the records of a table to amounts that can be decided, and to what is wrong with the others.

The same rules as POST /avaliar has, which tests compare.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evaluation_api.decision import names, sentences
from evaluation_api.decision.domain import FEATURES
from evaluation_api.decision.limits import LARGEST_AMOUNT, LONGEST_NAME, UNREADABLE
from portfolio.files import amounts, messages
from portfolio.files.amounts import Grammar, Mark
from portfolio.files.errors import AmbiguousMarkError, Fault, UnreadableFileError
from portfolio.files.header import FIELDS, Header
from portfolio.files.records import Records
from portfolio.files.sources import Table

#: Lines of a block whose amounts tell which mark stands before the decimals.
_LOOKED_AT: Final = 10_000

#: Unicode's White_Space, as pydantic and the browser trim it. str.strip alone takes \x1c to \x1f.
_WHITE_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
#: The mark of a byte that was no character.
_NO_CHARACTER: Final = "\ufffd"

#: Names that are fine at a glance: letters of European languages, and what joins them; a few
#: figures, too few for a CPF.
_PLAIN_NAME: Final = (
    rf"^[A-Za-zÀ-ÖØ-öø-ÿ][A-Za-zÀ-ÖØ-öø-ÿ .'-]{{0,{LONGEST_NAME - 11}}}[0-9]{{0,10}}$"
)
#: The numbers of clients who have no names here: too few figures for a CPF.
_NUMBER: Final = r"^\s*[0-9]{1,10}\s*$"
#: What a row of totals is named by, whatever figures and marks stand among the words; and how such
#: a name begins.
_OF_TOTALS: Final = frozenset(
    {"sub", "total", "totais", "subtotal", "subtotais", "soma"}
    | {"geral", "gerais", "parcial", "de", "do", "dos", "cliente", "clientes"}
)
_TOTALS: Final = r"(?i)^\s*(sub[- ]?)?(tota|soma)"


class Clients(NamedTuple):
    """Some lines of a table, in its order, those without any cell left out.

    lines: n numbers, from 1. cells: n texts for each column of the header, as sent. decidable: n
    flags. frame: FEATURES as float64, of those that are decidable. faults: of the others, at least
    one each.
    """

    lines: NDArray[np.int64]
    cells: list[pa.Array]
    decidable: NDArray[np.bool_]
    frame: pd.DataFrame
    faults: list[Fault]


def clients_of(
    table: Table,
    mark: Mark | None = None,
    *,
    usual: Mark | None = None,
    is_recorded: bool = False,
) -> tuple[Grammar, Iterator[Clients]]:
    """Read a table's clients block by block, and tell how it writes amounts.

    mark: as a person chose it for this table. usual: for the one before, which holds where the
    amounts do not tell another. is_recorded: whether they are, by names then, and no numbers.
    Raises UnreadableFileError, at once where the amounts can be read in two ways or there is none,
    and later for a line that ends the reading.
    """
    first: list[Records] = []
    for some in table.records:
        first.append(some)
        if sum(len(records.lines) for records in first) >= _LOOKED_AT:
            break
    if not any(len(records.lines) for records in first):
        raise UnreadableFileError(messages.NO_LINES)
    grammar = _grammar_of(first, table, mark, usual)
    rest = chain(first, table.records)
    written = (as_written(records, grammar.mark) for records in rest)
    return grammar, (
        read(records, table.header, grammar, is_recorded=is_recorded) for records in written
    )


def as_written(records: Records, mark: Mark) -> Records:
    """Return records of a workbook as those of a file that has this mark; others as they are."""
    return records._replace(cells=[amounts.written(cells, mark) for cells in records.cells])


def _grammar_of(
    first: Sequence[Records], table: Table, mark: Mark | None, usual: Mark | None
) -> Grammar:
    places = [table.header.places[feature] for feature in FEATURES]
    columns = [amounts.texts(records.cells[place]) for records in first for place in places]
    columns = [column for column in columns if pa.types.is_string(column.type)]
    if not columns:
        return Grammar(Mark.COMMA, three_decimals=True)  # numbers, of which each is one amount
    if mark is not None:
        return Grammar(mark, three_decimals=True)
    cells = pa.concat_arrays([column[:_LOOKED_AT].drop_null() for column in columns])
    seen = amounts.evidence_in(cells)
    seen_most = Mark.COMMA if seen.comma > seen.point else Mark.POINT
    if usual is not None and (seen.comma == seen.point or seen_most is usual):
        return Grammar(usual, three_decimals=True)
    if seen.comma == seen.point:
        if seen.ambiguous:
            raise AmbiguousMarkError(messages.which_mark(seen.ambiguous[0]), seen.ambiguous)
        likely = Mark.COMMA if table.delimiter == ";" else Mark.POINT
        return Grammar(likely, three_decimals=False, is_told=False)
    return Grammar(seen_most, seen.precise)


def read(
    records: Records, header: Header, grammar: Grammar, *, is_recorded: bool = False
) -> Clients:
    """Read the clients of some records; every record but those without any cell comes back."""
    lines, cells = _without_blank(records, header)
    faults = list(records.faults)
    broken = {fault.line for fault in faults}
    good = ~np.isin(lines, list(broken)) if broken else np.ones(len(lines), bool)
    found, columns = [], {}
    may_be_numbers = header.has_numbered_clients and not is_recorded
    fine = f"{_PLAIN_NAME}|{_NUMBER}" if may_be_numbers else _PLAIN_NAME
    found.append(_name_faults(cells[header.places["name"]], fine))
    for feature in FEATURES:
        columns[feature], wrong = _amounts(cells[header.places[feature]], feature, grammar)
        found.append(wrong)
    for field, wrong in zip(FIELDS, found, strict=True):
        for place, reason in wrong.items():
            if int(lines[place]) not in broken:
                value = str(cells[header.places[field]][place].as_py())
                column = header.names[header.places[field]]
                faults.append(Fault(int(lines[place]), column, value, reason))
        good[list(wrong)] = False
    faults = _explained(faults, cells, lines, header)
    frame = pd.DataFrame(columns, copy=False) if good.all() else pd.DataFrame(columns)[good]
    return Clients(lines, cells, good, frame, sorted(faults, key=lambda fault: fault.line))


def _without_blank(records: Records, header: Header) -> tuple[NDArray[np.int64], list[pa.Array]]:
    """Leave out the lines that a spreadsheet leaves empty, with separators or without."""
    lines, cells = records.lines, records.cells
    nameless = np.flatnonzero(_is_blank(cells[header.places["name"]]))
    if not len(nameless):
        return lines, cells
    blank = np.ones(len(nameless), bool)
    for column in cells:
        blank &= _is_blank(column.take(pa.array(nameless)))
    kept = np.ones(len(lines), bool)
    kept[nameless[blank]] = False
    return lines[kept], [column.filter(pa.array(kept)) for column in cells]


def _is_blank(column: pa.Array) -> NDArray[np.bool_]:
    if not pa.types.is_string(column.type):
        return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False))
    trimmed = pc.utf8_trim_whitespace(pc.fill_null(column, ""))
    return np.asarray(pc.equal(pc.binary_length(trimmed), 0).to_numpy(zero_copy_only=False))


def _name_faults(column: pa.Array, fine: str) -> dict[int, str]:
    """Return what is wrong with names, by place; fine is the pattern of those that need no look."""
    texts = pc.fill_null(pc.cast(column, pa.string()), "")
    plain = pc.match_substring_regex(texts, fine).to_numpy(zero_copy_only=False)
    total = pc.match_substring_regex(texts, _TOTALS)
    looked_at = np.flatnonzero(~plain | total.to_numpy(zero_copy_only=False))
    reasons = {int(place): _wrong_name(texts[int(place)].as_py()) for place in looked_at}
    return {place: reason for place, reason in reasons.items() if reason}


def names_of(clients: Clients, header: Header) -> pa.Array:
    """Return the names of those that are decidable, as POST /avaliar records them."""
    column = clients.cells[header.places["name"]].filter(pa.array(clients.decidable))
    sent = pc.utf8_trim(pc.cast(column, pa.string()), _WHITE_SPACE)
    plain = pc.string_is_ascii(sent)
    if pc.all(plain, min_count=0).as_py():
        return sent
    others = sent.filter(pc.invert(plain)).to_pylist()
    formed = pa.array([names.in_one_form(name) for name in others], pa.string())
    return pc.replace_with_mask(sent, pc.invert(plain), formed)


def _wrong_name(cell: str) -> str | None:
    name = names.in_one_form(cell.strip(_WHITE_SPACE))
    if fault := _name_fault(name):
        return sentences.field_error(fault, "name", {"max_length": LONGEST_NAME})
    is_of_totals = re.match(_TOTALS, name) and _OF_TOTALS.issuperset(_words(name.casefold()))
    return messages.TOTALS if is_of_totals else None


def _name_fault(name: str) -> str | None:
    """Return why a name is none, as POST /avaliar has it. name: in NFC, no space around it."""
    if not name:
        return "missing"
    if len(name) > LONGEST_NAME:
        return "string_too_long"
    if UNREADABLE.search(name) or _NO_CHARACTER in name:
        return "string_pattern_mismatch"
    return names.fault(name)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text)


def _amounts(
    column: pa.Array, feature: str, grammar: Grammar
) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Read a column; return what is wrong with its cells, by place."""
    read_amounts, others = amounts.columns(column, grammar)
    wrong = {}
    for place in others.tolist():
        cell = column[place].as_py()
        try:
            read_amounts[place] = amounts.read("" if cell is None else str(cell), grammar)
        except ValueError as exc:
            wrong[place] = _no_amount(exc, "" if cell is None else str(cell), feature, grammar)
    with np.errstate(invalid="ignore"):
        beyond = (read_amounts < 0) | (read_amounts > LARGEST_AMOUNT)
        if feature == "credit_limit":
            beyond |= read_amounts == 0
    for place in np.flatnonzero(beyond).tolist():
        wrong[place] = _beyond(float(read_amounts[place]), feature)
    return read_amounts, wrong


def _no_amount(error: ValueError, cell: str, feature: str, grammar: Grammar) -> str:
    if not cell.strip():
        return sentences.field_error("missing", feature, {})
    if isinstance(error, amounts.NegativeAmountError):
        return sentences.field_error("greater_than_equal", feature, {"ge": 0})
    seen = amounts.evidence_of([cell])
    if seen.ambiguous:
        return messages.three_decimals(feature)
    return messages.no_amount(feature, cell, decimal_comma=grammar.mark is Mark.COMMA)


def _beyond(amount: float, feature: str) -> str:
    if amount < 0:
        return sentences.field_error("greater_than_equal", feature, {"ge": 0})
    if amount > LARGEST_AMOUNT:
        return sentences.field_error("less_than_equal", feature, {"le": LARGEST_AMOUNT})
    return sentences.field_error("greater_than", feature, {})


def _explained(
    faults: list[Fault], cells: Sequence[pa.Array], lines: NDArray[np.int64], header: Header
) -> list[Fault]:
    """Say of a line that is no client what it is, in place of six faults."""
    told = {}
    for line in {fault.line for fault in faults if fault.column is not None}:
        place = int(np.searchsorted(lines, line))
        row = [str(column[place].as_py() or "").strip() for column in cells]
        if reason := _no_client(row, header):
            told[line] = reason
    totals = {fault.line for fault in faults if fault.reason == messages.TOTALS}
    kept = [
        fault
        for fault in faults
        if fault.line not in told and (fault.line not in totals or fault.reason == messages.TOTALS)
    ]
    return [*kept, *(Fault(line, None, "", reason) for line, reason in told.items())]


def _no_client(row: Sequence[str], header: Header) -> str | None:
    """Return what a line is that repeats the header, or names nobody and is no client's."""
    if tuple(row) == header.names:
        return messages.HEADER_AGAIN
    if row[header.places["name"]]:
        return None
    if re.match(_TOTALS, next(filter(None, row), "")):
        return messages.TOTALS
    is_note = not any(row[place] for place in header.places.values())
    return messages.NOTE if is_note else None
