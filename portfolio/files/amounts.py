"""Amounts as files write them: with a decimal comma or a decimal point, grouped or not.

One grammar for the form and for files: a cell that could be two amounts is none. That is one of
three decimals, 1,234 or 1.234, where nothing else in the file says which mark is which.
"""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_CURRENCY: Final = re.compile(r"^(-?)\s*R\$\s*", re.IGNORECASE)
#: How a spreadsheet's accounting format writes zero, after the currency.
_NOTHING: Final = "-"
#: The same for Arrow.
_CURRENCY_FIRST: Final = r"(?i)^R\$\s*"
_CURRENCY_AND_NOTHING: Final = rf"{_CURRENCY_FIRST}{_NOTHING}$"
_GROUPED_DECIMALS: Final = 3
#: Cells that whoever chooses a mark is shown.
_EXAMPLES: Final = 3


#: A column of amounts of a workbook: each cell is a text, or a number, which has no mark.
OF_WORKBOOK: Final = pa.struct([("text", pa.string()), ("number", pa.float64())])
#: Decimals of a workbook's numbers, whose last bits are the arithmetic's.
_DECIMALS: Final = 10


class Mark(StrEnum):
    """What stands before the decimals; the values are what a person may choose."""

    COMMA = "virgula"
    POINT = "ponto"


class _Pattern(NamedTuple):
    """How amounts are written, and the two marks.

    plain: those that Arrow reads at once. plainest: those of them without groups. alone: those that
    nobody reads by the other mark. whole: all of them; with an exponent, as programs write 0.00005,
    there are no groups, so that three decimals are three decimals.
    """

    decimal: str
    group: str
    plain: str
    plainest: str
    alone: str
    whole: re.Pattern[str]


def _pattern(decimal: str, group: str) -> _Pattern:
    decimals = rf"([{decimal}](\d{{1,2}}|\d{{4,17}}))?"
    return _Pattern(
        decimal,
        group,
        rf"^(\d{{1,8}}|\d{{1,3}}([{group}]\d{{3}}){{1,2}}){decimals}$",
        rf"^\d{{1,8}}{decimals}$",
        rf"^(\d+|\d{{1,3}}([{group}]\d{{3}})+)[{decimal}](\d{{1,2}}|\d{{4,}})$",
        re.compile(
            rf"(\d{{1,3}}(?:[{group}]\d{{3}})+|\d+)(?:[{decimal}](\d+))?"
            rf"|\d+(?:[{decimal}]\d+)?(e[+-]?\d{{1,3}})",
            re.ASCII | re.IGNORECASE,
        ),
    )


_PATTERNS: Final = {Mark.COMMA: _pattern(",", "."), Mark.POINT: _pattern(".", ",")}


class Grammar(NamedTuple):
    """How a file writes amounts.

    three_decimals: whether 1.234 may be one and a bit. is_told: whether anything says which mark it
    is; otherwise no cell that could be two amounts is one.
    """

    mark: Mark
    three_decimals: bool
    is_told: bool = True


class NotAnAmountError(ValueError):
    """A cell that is no amount, or could be two."""


class NegativeAmountError(NotAnAmountError):
    """A cell that is an amount below zero, however its sign is written."""


class Evidence(NamedTuple):
    """What some cells of a file say of its decimal mark.

    comma, point: cells that can be read in that way alone. ambiguous: some with three decimals,
    or groups, and nothing to tell which. precise: some cells have more than three decimals, or an
    exponent, as programs write them, so that three mean no group.
    """

    comma: int
    point: int
    ambiguous: tuple[str, ...]
    precise: bool


def evidence_in(cells: pa.Array) -> Evidence:
    """Look at n texts, of which Arrow tells most at once. Returns what evidence_of does."""
    comma, point = (pc.match_substring_regex(cells, _PATTERNS[mark].alone) for mark in Mark)
    told = pc.or_(comma, point)
    says_nothing = pc.match_substring_regex(cells, r"^\d+$")
    others = evidence_of(cells.filter(pc.invert(pc.or_(told, says_nothing))).to_pylist())
    precise = pc.and_(told, pc.match_substring_regex(cells, rf"\d{{{_GROUPED_DECIMALS + 1},}}$"))
    return others._replace(
        comma=others.comma + comma.true_count,
        point=others.point + point.true_count,
        precise=others.precise or precise.true_count > 0,
    )


def evidence_of(cells: Iterable[str]) -> Evidence:
    """Look at cells one by one."""
    comma = point = 0
    ambiguous: dict[str, None] = {}
    precise = False
    for cell in cells:
        bare, _ = _bare(cell)
        readings = {mark: p.whole.fullmatch(bare) for mark, p in _PATTERNS.items()}
        found = readings[Mark.COMMA] or readings[Mark.POINT]
        if found is None:
            continue
        if all(readings.values()):
            if {",", "."} & set(bare) and len(ambiguous) < _EXAMPLES:
                ambiguous[cell.strip()] = None
        else:
            comma += readings[Mark.COMMA] is not None
            point += readings[Mark.POINT] is not None
            precise |= len(found[2] or "") > _GROUPED_DECIMALS
        precise |= found[3] is not None
    return Evidence(comma, point, tuple(ambiguous), precise)


def read(cell: str, grammar: Grammar) -> float:
    """Read one amount. Raises NegativeAmountError or NotAnAmountError."""
    pattern = _PATTERNS[grammar.mark]
    bare, negative = _bare(cell)
    found = pattern.whole.fullmatch(bare)
    if found is None:
        raise NotAnAmountError(cell)
    if len(found[2] or "") == _GROUPED_DECIMALS and not grammar.three_decimals:
        raise NotAnAmountError(cell)
    if not grammar.is_told and evidence_of([cell]).ambiguous:
        raise NotAnAmountError(cell)
    amount = float(bare.replace(pattern.group, "").replace(pattern.decimal, "."))
    if negative and amount:
        raise NegativeAmountError(cell)
    return amount


def _bare(cell: str) -> tuple[str, bool]:
    """Return a cell's figures without what stands around them, and whether it is negative."""
    text = cell.strip().replace("\u2212", "-")
    negative = False
    if text.startswith("(") and text.endswith(")"):
        text, negative = text[1:-1].strip(), True
    if currency := _CURRENCY.match(text):
        negative |= bool(currency[1])
        text = text[currency.end() :].strip()
        if text == _NOTHING:
            return "0", False
    if text.startswith("-") or text.endswith("-"):
        negative, text = True, text.strip("-").strip()
    return text.removeprefix("+"), negative


def columns(cells: pa.Array, grammar: Grammar) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read n cells at once where they are plain, and return where others stand.

    cells: text, or numbers as Parquet has them. Returns n amounts, NaN for those others, and their
    places.
    """
    if not pa.types.is_string(cells.type):
        sent = pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        read_amounts = sent + 0.0  # a result would show the sign of -0.0
        return read_amounts, np.flatnonzero(~np.isfinite(read_amounts))
    plainest = _plainest(cells, grammar.mark)
    if plainest is not None:
        return plainest, np.array([], np.int64)
    pattern = _PATTERNS[grammar.mark]
    looks = pattern.plain if grammar.is_told else pattern.plainest
    plain = pc.match_substring_regex(cells, looks)
    if not pc.all(plain, min_count=0).as_py():
        others = pc.invert(plain)
        cells = pc.replace_with_mask(cells, others, _in_reais(cells.filter(others), looks))
    cells = pc.replace_substring(cells, pattern.group, "")
    if grammar.mark is Mark.COMMA:
        cells = pc.replace_substring(cells, ",", ".")
    amounts = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
    others = np.flatnonzero(np.isnan(amounts))
    if not len(others):
        return amounts, others
    return np.array(amounts), others  # Arrow's own memory cannot be written to


def _plainest(cells: pa.Array, mark: Mark) -> NDArray[np.float64] | None:
    """Read n cells that all are as _Pattern.plainest, or longer; None where one is not.

    By their bytes: to match them one by one took four times as long as to read them.
    """
    if cells.null_count or not len(cells):
        return None
    _, offsets, values = cells.buffers()
    bounds = np.frombuffer(offsets, np.int32)[cells.offset :][: len(cells) + 1]
    text = np.frombuffer(values or b"", np.uint8)[: bounds[-1]].copy()
    starts, stops, read = bounds[:-1], bounds[1:], text[bounds[0] :]
    marks = np.flatnonzero(read == ord(_PATTERNS[mark].decimal)) + bounds[0]
    of = np.searchsorted(stops, marks, side="right")
    figures_only = np.count_nonzero(read - ord("0") < 10) + len(marks) == len(read)  # noqa: PLR2004
    whole, decimals = stops - starts, stops[of] - marks - 1
    if not figures_only or not np.diff(of).all():
        return None
    whole[of] = marks - starts[of]
    if whole.min() < 1 or not ((decimals >= 1) & (decimals != _GROUPED_DECIMALS)).all():
        return None
    text[marks] = ord(".")
    written = pa.StringArray.from_buffers(
        len(cells), offsets, pa.py_buffer(text), offset=cells.offset
    )
    return np.asarray(pc.cast(written, pa.float64()).to_numpy())


def _in_reais(cells: pa.Array, looks: str) -> pa.Array:
    """Return cells that are plain once space and currency have gone, as _bare reads them.

    Null in place of the others.
    """
    trimmed = pc.utf8_trim_whitespace(cells)
    nought = pc.replace_substring_regex(trimmed, _CURRENCY_AND_NOTHING, "0")
    bare = pc.replace_substring_regex(nought, _CURRENCY_FIRST, "")
    is_plain = pc.match_substring_regex(bare, looks)
    return pc.if_else(is_plain, bare, pa.scalar(None, pa.string()))


def of_workbook(cells: Sequence[object]) -> pa.Array:
    """Return cells of a workbook as OF_WORKBOOK, its own numbers apart from texts."""
    is_number = [isinstance(cell, float) for cell in cells]
    pairs = list(zip(cells, is_number, strict=True))
    texts = pa.array([None if number else str(cell) for cell, number in pairs], pa.string())
    numbers = pa.array([cell if number else None for cell, number in pairs], pa.float64())
    return pa.StructArray.from_arrays([texts, numbers], fields=list(OF_WORKBOOK))


def texts(cells: pa.Array) -> pa.Array:
    """Return a column; of OF_WORKBOOK its texts, null where its own numbers stand."""
    return pc.struct_field(cells, "text") if cells.type == OF_WORKBOOK else cells


def written(cells: pa.Array, mark: Mark) -> pa.Array:
    """Return a column; of OF_WORKBOOK as text, its own numbers with the file's mark.

    Never with three decimals, so that no mark that somebody chooses makes another amount of them.
    """
    if cells.type != OF_WORKBOOK:
        return cells
    numbers = pc.struct_field(cells, "number").to_pylist()
    own = [None if number is None else _unmistakable(number, mark) for number in numbers]
    return pc.coalesce(pa.array(own, pa.string()), texts(cells))


def _unmistakable(number: float, mark: Mark) -> str:
    whole, point, decimals = figures(number).partition(".")
    decimals += "0" * (len(decimals) == _GROUPED_DECIMALS)
    return f"{whole}{point and _PATTERNS[mark].decimal}{decimals}"


def figures(number: float) -> str:
    """Return a workbook's number in figures, with a decimal point if with any."""
    return np.format_float_positional(round(number, _DECIMALS), trim="-")
