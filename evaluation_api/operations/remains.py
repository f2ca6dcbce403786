"""What is left of an answer when its person is taken out of it: what was decided, when and by what.

persons.py writes it, and audit.py knows an erased row by it.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from evaluation_api.decision.domain import Recorded
from evaluation_api.decision.names import ERASED
from evaluation_api.web import answers

_SENTENCE: Final = "Os dados desta pessoa foram apagados; ficou o que foi decidido."
#: What stands in an erased row, and by which name in what is left of its answer.
_FIELDS: Final = {
    "name": "nome",
    "id": "id",
    "cluster": "cluster",
    "confidence": "confianca",
    "outcome": "decisao",
    "model_tag": "modelo",
    "policy_version": "politica",
}


class _Remains(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of an answer that say nothing of a person, and nothing besides."""

    nome: str
    cluster: int | None
    resposta: str
    id: str
    decisao: str | None
    motivos: tuple[()]
    confianca: float | None
    modelo: str | None
    politica: str | None
    avaliado_em: str


def of(recorded: Recorded) -> str:
    """Return what is left of an answer, as JSON. recorded: decided."""
    assert recorded.evaluated_at  # noqa: S101 - what waits is not erased
    left = _Remains(
        nome=ERASED,
        cluster=recorded.cluster,
        resposta=_SENTENCE,
        id=recorded.id,
        decisao=recorded.outcome,
        motivos=(),
        confianca=None,
        modelo=recorded.model_tag,
        politica=recorded.policy_version,
        avaliado_em=answers.when(recorded.evaluated_at),
    )
    return msgspec.json.encode(left).decode()


def fit(row: Mapping[str, Any]) -> bool:
    """Tell whether an erased row says what is left of its answer. Raises MsgspecError for no such.

    row: by the columns of the table, whatever is stored there.
    """
    left = msgspec.json.decode(row["answer"], type=_Remains)
    return all(row[column] == getattr(left, name) for column, name in _FIELDS.items())
