"""What the systems answer: the labels in their JSON, read strictly, so that rubbish is no speed."""

import json
from collections.abc import Callable

Read = Callable[[bytes, int], list[int] | None]
"""Labels in a body for n clients; None where nothing was predicted. Raises KeyError, TypeError,
ValueError for anything else than the answer."""

_ORIGINAL = ("nome", "cluster", "resposta")
_REASONS = ("id", "decisao", "motivos", "modelo", "politica", "avaliado_em")


def evaluation(body: bytes, _: int) -> list[int]:
    """Read the original's answer to /avaliar."""
    answer = json.loads(body)
    _require(answer, _ORIGINAL)
    return [int(answer["cluster"])]


def explained_evaluation(body: bytes, count: int) -> list[int]:
    """Read our answer to /avaliar: reasons and record included."""
    _require(json.loads(body), _REASONS)
    return evaluation(body, count)


def canned(body: bytes, count: int) -> None:
    """Read our answer to /avaliar where nobody predicted."""
    explained_evaluation(body, count)


def predictions(body: bytes, count: int) -> list[int]:
    """Read our model service: one object, or a list of them."""
    answer = json.loads(body)
    rows = [answer] if isinstance(answer, dict) else answer
    return _counted([int(row["cluster"]) for row in rows], count)


def labels(body: bytes, count: int) -> list[int]:
    """Read a plain list of labels."""
    return _counted([int(label) for label in json.loads(body)], count)


def tensor(body: bytes, count: int) -> list[int]:
    """Read the V2 inference protocol."""
    (output,) = json.loads(body)["outputs"]
    return _counted([int(label) for label in output["data"]], count)


def _require(answer: dict[str, object], fields: tuple[str, ...]) -> None:
    missing = [field for field in fields if field not in answer]
    if missing:
        message = f"without {', '.join(missing)}"
        raise KeyError(message)


def _counted(found: list[int], count: int) -> list[int]:
    if len(found) != count:
        message = f"{len(found)} labels for {count} clients"
        raise ValueError(message)
    return found
