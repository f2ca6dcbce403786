"""The cells of lines of CSV that are one record."""

import csv
from collections.abc import Sequence
from typing import Final

#: Lines that one cell may run over: an address in a spreadsheet has a few.
LINES_OF_A_CELL: Final = 20


def closed(lines: Sequence[str], delimiter: str) -> list[str] | None:
    """Return the cells of lines that are one record, None if their quotes stay open."""
    if len(lines) == 1 and '"' not in lines[0]:
        return lines[0].split(delimiter)
    end = "."  # a record of its own, unless quotes are open
    ended = [*(f"{line}\n" for line in lines), end]
    try:
        records = list(csv.reader(ended, delimiter=delimiter, strict=len(lines) > 1))
    except csv.Error:  # something follows the quote that ends a cell
        return None
    return records[0] if records[1:] == [[end]] else None


def whole(line: str, delimiter: str) -> list[str] | None:
    """Return the cells of a line that is a record by itself.

    None for one with a quote too many, which ends another's cell.
    """
    return None if line.count('"') % 2 else closed([line], delimiter)
