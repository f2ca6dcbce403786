"""Made-up clients, as requests and as the domain has them, and what must be refused of them."""

import json
from dataclasses import dataclass
from typing import Any

from evaluation_api.decision.domain import FEATURES

#: One client for each profile, in the order of FEATURES, and the profile.
FIVE_CLIENTS = [
    ((1126, 0, 504, 1200, 599), 0),
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
    says: str = ""


def _with(field: str, literal: str) -> bytes:
    """Put a JSON literal in the place of one field's value."""
    fields = [
        f'"{name}": {literal if name == field else json.dumps(value)}'
        for name, value in MARIA.items()
    ]
    return ("{" + ", ".join(fields) + "}").encode()


def _without(field: str) -> bytes:
    return json.dumps({k: v for k, v in MARIA.items() if k != field}).encode()


BAD_AMOUNTS = {
    "NaN": Bad(_with("balance", "NaN"), 422, ("#/balance",), "finito"),
    "Infinity": Bad(_with("purchases", "Infinity"), 422, ("#/purchases",), "finito"),
    "1e999": Bad(_with("payments", "1e999"), 422, ("#/payments",), "finito"),
    "a negative amount": Bad(_with("balance", "-1"), 422, ("#/balance",), "a partir de 0"),
    "a number in quotes": Bad(_with("purchases", '"12"'), 422, ("#/purchases",), "sem aspas"),
    "true": Bad(_with("cash_advance", "true"), 422, ("#/cash_advance",), "número"),
    "null": Bad(_with("payments", "null"), 422, ("#/payments",), "número"),
    "a missing amount": Bad(_without("payments"), 422, ("#/payments",), "informe este campo"),
    "no credit limit": Bad(_with("credit_limit", "0"), 422, ("#/credit_limit",), "maior que zero"),
    "too much": Bad(_with("credit_limit", "1e8"), 422, ("#/credit_limit",), "até 10.000.000"),
    "an object": Bad(_with("balance", "{}"), 422, ("#/balance",), "número"),
    "an unknown field": Bad(
        json.dumps({**MARIA, "sexo": "F"}).encode(), 422, ("#/sexo",), "sexo” não é aceito"
    ),
    "a string for a client": Bad(b'"Maria"', 422, ("#",), "objeto"),
}

BAD_NAMES = {
    "a name of 121 characters": Bad(_with("name", json.dumps("a" * 121)), 422, ("#/name",), "120"),
    "an empty name": Bad(_with("name", '""'), 422, ("#/name",), "pelo menos 1"),
    "a name of spaces": Bad(_with("name", '"   "'), 422, ("#/name",), "pelo menos 1"),
    "a name with a control character": Bad(_with("name", r'"a\u0007b"'), 422, ("#/name",), "ler"),
    "a name with a NUL": Bad(_with("name", r'"a\u0000b"'), 422, ("#/name",), "ler"),
    "a number for a name": Bad(_with("name", "12"), 422, ("#/name",), "texto"),
    "no name": Bad(_without("name"), 422, ("#/name",), "informe este campo"),
    "a list": Bad(json.dumps([MARIA]).encode(), 422, ("#",), "objeto"),
    "an empty object": Bad(b"{}", 422, tuple(f"#/{field}" for field in MARIA)),
    "three wrong fields": Bad(
        json.dumps({**MARIA, "name": "", "balance": -1, "payments": "x"}).encode(),
        422,
        ("#/name", "#/balance", "#/payments"),
    ),
}

MALFORMED = {
    "malformed JSON": Bad(b'{"name": "Maria", "balance": 1', 400),
    "invalid UTF-8": Bad(_with("name", '"Mar\u00eda"').decode().encode("latin-1"), 400),
    "a lone surrogate": Bad(_with("name", r'"\ud800"'), 400),
    "an empty body": Bad(b"", 400),
}

#: Everything that POST /avaliar must refuse.
BAD_REQUESTS = {**BAD_AMOUNTS, **BAD_NAMES, **MALFORMED}
