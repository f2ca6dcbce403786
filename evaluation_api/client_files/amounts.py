"""Amounts as files write them: with a decimal comma or a decimal point, grouped or not.

A cell that a spreadsheet shows as money is written as shown: `R$ 1.234,56`, with spaces around
it, and `R$ -` for nothing.
"""

import re
from collections.abc import Iterable

_COMMA = re.compile(r"(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?", re.ASCII)
_POINT = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?", re.ASCII)

_CURRENCY = "R$"
#: How a spreadsheet's accounting format writes zero, after the currency.
_NOTHING = "-"


def uses_decimal_comma(cells: Iterable[str], *, otherwise: bool) -> bool:
    """Tell how amounts are written by those that can be read in one way only.

    otherwise: what to assume where there is none, as of 12 or 1.234.
    """
    comma = point = 0
    for cell in cells:
        bare = _bare(cell)
        as_comma, as_point = bool(_COMMA.fullmatch(bare)), bool(_POINT.fullmatch(bare))
        comma += as_comma and not as_point
        point += as_point and not as_comma
    return comma > point if comma or point else otherwise


def with_comma(cell: str) -> float:
    """Read 1234,56 or 1.234,56; a zero below zero is zero. Raises ValueError for anything else."""
    if "." not in cell and "_" not in cell and "$" not in cell:
        return float(cell.replace(",", ".")) + 0.0
    return _grouped(cell, _COMMA, ".")


def with_point(cell: str) -> float:
    """Read 1234.56 or 1,234.56; a zero below zero is zero. Raises ValueError for anything else."""
    if "," not in cell and "_" not in cell and "$" not in cell:
        return float(cell) + 0.0
    return _grouped(cell, _POINT, ",")


def _grouped(cell: str, grammar: re.Pattern[str], group: str) -> float:
    bare = _bare(cell)
    if not grammar.fullmatch(bare):
        raise ValueError(cell)
    return float(bare.replace(group, "").replace(",", "."))


def _bare(cell: str) -> str:
    """Return a cell without what stands around its figures."""
    text = cell.strip()
    if not text.upper().startswith(_CURRENCY):
        return text
    figures = text[len(_CURRENCY) :].strip()
    return "0" if figures == _NOTHING else figures


def written(amount: float, *, decimal_comma: bool) -> str:
    """Write a number as a file does, without groups."""
    text = repr(amount)
    return text.replace(".", ",") if decimal_comma else text
