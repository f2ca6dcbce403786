"""The table of cases that hold the processes and the page equal, as tests take it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from evaluation_api.decision.domain import FEATURES

TABLE = json.loads((Path(__file__).parent / "cases/applicants.json").read_text(encoding="utf-8"))

_FIELDS = {"amounts": FEATURES, "names": ("name",)}


class Case(NamedTuple):
    """One input, and its value once read, or the fault that is found in it."""

    what: str
    field: str
    sent: str
    value: Any
    fault: str | None

    def body(self, good: dict[str, Any]) -> bytes:
        """Write a body with the literal in the place of one field, or without the field."""
        fields = {name: json.dumps(value) for name, value in good.items()} | {self.field: self.sent}
        literals = (f'"{name}": {literal}' for name, literal in fields.items() if literal)
        return ("{" + ", ".join(literals) + "}").encode()


def in_bodies(side: str, *sections: str) -> list[Case]:
    """Return the cases for whoever reads JSON; sent: a literal, empty for a field left out."""
    return list(_cases(side, "json", sections))


def in_texts(side: str, *sections: str) -> list[Case]:
    """Return the cases for whoever reads what people write; sent: the text."""
    return list(_cases(side, "text", sections))


def _cases(side: str, kind: str, sections: tuple[str, ...]) -> Iterator[Case]:
    for section in sections:
        for row in TABLE[section]:
            sent = _sent(row, kind, is_text=section in {"names", "reviews"})
            outcome = row.get(side, {} if side == "file_point" else row)
            if sent is None or not outcome.keys() & {"value", "fault"}:
                continue
            times = row.get("times", 1)
            value = outcome["value"] * times if "value" in outcome else None
            for field in row.get("fields", _FIELDS.get(section)):
                yield Case(row["what"], field, sent, value, outcome.get("fault"))


def _sent(row: dict[str, Any], kind: str, *, is_text: bool) -> str | None:
    if kind == "json" and kind not in row and is_text:
        return json.dumps(row["text"] * row.get("times", 1))
    return row[kind] * row.get("times", 1) if kind in row else None
