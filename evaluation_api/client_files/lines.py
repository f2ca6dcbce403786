"""From a line of a file to an applicant, or to what is wrong with it.

The same rules as POST /avaliar has, which tests compare.
"""

from collections.abc import Callable

from evaluation_api.client_files import amounts, messages
from evaluation_api.client_files.domain import Dialect, Fault, Line
from evaluation_api.decision import names, sentences
from evaluation_api.decision.domain import FEATURES, Applicant, CardUsage
from evaluation_api.decision.limits import LARGEST_AMOUNT, WHITE_SPACE

Read = Callable[[Line], Applicant | Fault]


def reader(dialect: Dialect) -> Read:
    """Make the function that reads the lines of a file."""
    width = len(dialect.fields)
    name_at = dialect.fields.index("name")
    places = [dialect.fields.index(feature) for feature in FEATURES]
    at_b, at_p, at_c, at_l, at_y = places
    amount = amounts.with_comma if dialect.decimal_comma else amounts.with_point

    def read(line: Line) -> Applicant | Fault:
        cells = line.cells
        if len(cells) != width:
            return Fault(None, messages.wrong_width(len(cells), width))
        name = names.in_one_form(cells[name_at].strip(WHITE_SPACE))
        try:
            usage = CardUsage(
                amount(cells[at_b]),
                amount(cells[at_p]),
                amount(cells[at_c]),
                amount(cells[at_l]),
                amount(cells[at_y]),
            )
        except ValueError:
            return _fault(dialect, cells)
        if _holds(usage) and not sentences.name_error(name):
            return Applicant(name, usage)
        return _fault(dialect, cells)

    return read


def _holds(usage: CardUsage) -> bool:
    return (
        0 <= usage.balance <= LARGEST_AMOUNT
        and 0 <= usage.purchases <= LARGEST_AMOUNT
        and 0 <= usage.cash_advance <= LARGEST_AMOUNT
        and 0 < usage.credit_limit <= LARGEST_AMOUNT
        and 0 <= usage.payments <= LARGEST_AMOUNT
    )


def _fault(dialect: Dialect, cells: list[str]) -> Fault:
    """Find the first wrong field, in the file's order, and say what is wrong with it."""
    for field, cell in zip(dialect.fields, cells, strict=True):
        wrong = (
            sentences.name_error(names.in_one_form(cell.strip(WHITE_SPACE)))
            if field == "name"
            else _wrong_amount(field, cell, dialect)
        )
        if wrong:
            return Fault(field, wrong)
    raise AssertionError(cells)


def _wrong_amount(field: str, cell: str, dialect: Dialect) -> str | None:
    if not cell.strip():
        return sentences.field_error("missing", field, {})
    try:
        amount = (amounts.with_comma if dialect.decimal_comma else amounts.with_point)(cell)
    except ValueError:
        return _no_number(field, cell, dialect)
    if not amount >= 0:
        return sentences.field_error("greater_than_equal", field, {"ge": 0})
    if field == "credit_limit" and amount == 0:
        return sentences.field_error("greater_than", field, {})
    if amount > LARGEST_AMOUNT:
        return sentences.field_error("less_than_equal", field, {"le": LARGEST_AMOUNT})
    return None


def _no_number(field: str, cell: str, dialect: Dialect) -> str:
    if cell.strip().startswith("-"):
        return sentences.field_error("greater_than_equal", field, {"ge": 0})
    return messages.no_amount(field, decimal_comma=dialect.decimal_comma)
