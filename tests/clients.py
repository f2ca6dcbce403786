"""Made-up clients, as requests and as the domain has them, and what must be refused of them."""

import json
from dataclasses import dataclass
from typing import Any

from evaluation_api.decision.domain import FEATURES
from tests.shared_cases import in_bodies

#: One client for each profile, in the order of FEATURES, and the profile.
FIVE_CLIENTS = [
    ((1126, 0, 504, 1200, 539), 0),
    ((1065, 0, 3358, 10500, 20740), 1),
    ((2271, 1200, 2630, 3000, 968), 2),
    ((6, 0, 20, 500, 32), 3),
    ((1035, 5788, 0, 2700, 5651), 4),
]

MARIA = {
    "name": "Maria",
    "balance": 1055.0,
    "purchases": 3345.0,
    "cash_advance": 147.0,
    "credit_limit": 3854.0,
    "payments": 3233.0,
}

#: The same client as the model service takes it: five amounts and no name.
AMOUNTS = {feature: MARIA[feature] for feature in FEATURES}


def asked(amounts: tuple[float, ...], name: str = "Maria") -> dict[str, Any]:
    """Make a request of amounts in the order of FEATURES."""
    return {"name": name, **dict(zip(FEATURES, amounts, strict=True))}


@dataclass(frozen=True)
class Bad:
    """A body that must be refused: pointers of the fields to name, none for a malformed body."""

    body: bytes
    status: int
    pointers: tuple[str, ...] = ()


def _refused(*sections: str) -> dict[str, Bad]:
    """Take from the shared table what is refused, each in one field."""
    cases = in_bodies("request", *sections)
    return {c.what: Bad(c.body(MARIA), 422, (f"#/{c.field}",)) for c in cases if c.fault}


BAD_AMOUNTS = {
    **_refused("amounts", "fields"),
    "a string for a client": Bad(b'"Maria"', 422, ("#",)),
}

BAD_NAMES = {
    **_refused("names"),
    "a list": Bad(json.dumps([MARIA]).encode(), 422, ("#",)),
    "an empty object": Bad(b"{}", 422, tuple(f"#/{field}" for field in MARIA)),
    "three wrong fields": Bad(
        json.dumps({**MARIA, "name": "", "balance": -1, "payments": "x"}).encode(),
        422,
        ("#/name", "#/balance", "#/payments"),
    ),
}

MALFORMED = {
    "malformed JSON": Bad(b'{"name": "Maria", "balance": 1', 400),
    "invalid UTF-8": Bad('{"name": "Mar\u00eda"}'.encode("latin-1"), 400),
    "a lone surrogate": Bad(rb'{"name": "\ud800"}', 400),
    "an empty body": Bad(b"", 400),
}

#: Everything that POST /avaliar must refuse.
BAD_REQUESTS = {**BAD_AMOUNTS, **BAD_NAMES, **MALFORMED}
