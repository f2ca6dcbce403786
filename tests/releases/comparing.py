"""What one release answered, looked for in what another answers: more is fine, less is not."""

import csv
import html
import io
import json
import math
import re
from collections.abc import Iterator
from typing import Any

#: What two evaluations of the same client may differ in.
VOLATILE = ("id", "avaliado_em", "duracao_ms")


def lost(before: Any, now: Any, where: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Return where a JSON value has lost or changed something; new fields are none of it."""
    if isinstance(before, dict) and isinstance(now, dict):
        gone = [f"{where}/{key} is gone" for key in before.keys() - now.keys()]
        return gone + [
            found
            for key in before.keys() & now.keys()
            for found in lost(before[key], now[key], f"{where}/{key}")
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [found for n, (one, other) in pairs for found in lost(one, other, f"{where}/{n}")]
    return [] if _same(before, now) else [f"{where}: {before!r}, now {now!r}"]


def _same(before: object, now: object) -> bool:
    """Compare plain values; a number may differ as matrix products of other sizes round."""
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=1e-9, abs_tol=1e-9)
    return before == now


def decided(answer: dict[str, Any]) -> dict[str, Any]:
    """Leave out of an answer what belongs to its occasion."""
    return {field: value for field, value in answer.items() if field not in VOLATILE}


def rows(result: bytes) -> list[dict[str, str]]:
    """Read the result of a file of clients."""
    return list(csv.DictReader(io.StringIO(result.decode("utf-8-sig")), delimiter=";"))


def lost_of_page(path: str, before: bytes, now: bytes) -> list[str]:
    """Compare what a path showed and shows: JSON or CSV."""
    read = rows if path.endswith(".csv") else json.loads
    return [one for one in lost(read(before), read(now), path) if not _OWN_WORDS.match(one)]


#: What a release says of a criterion, which is no part of what was recorded.
_OWN_WORDS = re.compile(r"/politica/faixa/limites/\d+/frase: ")


def lost_of_dossier(shown: dict[str, Any], dossier: bytes) -> list[str]:
    """Return what an evaluation's own page shows and its dossier does not."""
    # Here an amount stays on the line of its currency.
    text = html.unescape(dossier.decode()).replace("\N{NO-BREAK SPACE}", " ")
    return [sentence for sentence in _sentences(shown) if sentence not in text]


def _sentences(shown: dict[str, Any]) -> Iterator[str]:
    yield shown["pedido"]["name"]
    for review in shown["revisoes"]:
        yield from (review["revisor"], review["justificativa"])
    if shown["avaliacao"]:
        yield from (shown["avaliacao"]["resposta"], shown["avaliacao"]["modelo"])
        yield from (reason["frase"] for reason in shown["avaliacao"]["motivos"])
