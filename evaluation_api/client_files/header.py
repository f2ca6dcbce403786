"""The first line of a file: which separator it uses, and which column is which."""

import re
from collections.abc import Iterator, Sequence

from evaluation_api.client_files import messages
from evaluation_api.client_files.domain import FIELDS
from evaluation_api.decision.errors import FieldError, InvalidRequestError
from evaluation_api.decision.names import fold

#: The unit that people write behind an amount's name, as the form does.
_UNIT = re.compile(r"\(r\$\)$", re.IGNORECASE)


def delimiter_of(line: str) -> str:
    """Return the separator that a header uses; no name of a column holds either."""
    return ";" if line.count(";") >= line.count(",") else ","


def fields_of(header: Sequence[str]) -> tuple[str, ...]:
    """Return which field each column is. Raises InvalidRequestError naming every wrong column."""
    fields = [_FIELD_OF.get(_plain(name), "") for name in header]
    faults = list(_faults(header, fields))
    if faults:
        raise InvalidRequestError(faults)
    return tuple(fields)


def _faults(header: Sequence[str], fields: Sequence[str]) -> Iterator[FieldError]:
    for field in FIELDS:
        if field not in fields:
            yield FieldError(f"#/{messages.COLUMNS[field]}", messages.missing_column(field))
    for position, (name, field) in enumerate(zip(header, fields, strict=True)):
        shown = name.strip()[:80]
        if not field:
            yield FieldError(_pointer(shown), messages.unknown_column(shown, position + 1))
        elif field in fields[:position]:
            yield FieldError(_pointer(shown), messages.repeated_column(shown, field))


def _pointer(name: str) -> str:
    return "#/" + name.replace("~", "~0").replace("/", "~1")


def _plain(name: str) -> str:
    """Return a name without case, accents, unit, and what may stand between its words."""
    return fold(_UNIT.sub("", name.strip())).replace(" ", "")


_FIELD_OF = {
    **{_plain(field): field for field in FIELDS},
    **{_plain(column): field for field, column in messages.COLUMNS.items()},
    "limite": "credit_limit",
}
