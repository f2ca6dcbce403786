"""The dossier: one evaluation to print - a first page for the person, a technical part after it.

HTML out of a template; every value is escaped by it. Knows the contract's answer and no SQL.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from evaluation_api.decision import sentences
from evaluation_api.decision.domain import FEATURES, Recorded
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.web import answers, disclosure, pages
from evaluation_api.web.requests import SAO_PAULO

_OUTCOMES: Final = {
    "aprovado": "Aprovado",
    "analise_manual": "Análise manual",
    "recusado": "Recusado",
}

#: What the page draws of each reason of the profile, and of each fact.
_REASON: Final = {"rotulo", "valor", "contribuicao", "sentido", "frase"}
_FACT: Final = {"rotulo", "frase"}
_MOST_DECIMALS: Final = 12


def _local(when: datetime) -> str:
    """Format a time as the analysts' clocks show it."""
    return when.astimezone(SAO_PAULO).strftime("%d/%m/%Y %H:%M:%S")


def _day(when: datetime) -> str:
    return when.astimezone(SAO_PAULO).strftime("%d/%m/%Y")


def _number(value: float, decimals: int) -> str:
    """Format a number with a decimal comma and a real minus sign."""
    return f"{value:.{decimals}f}".replace(".", ",").replace("-", "\N{MINUS SIGN}")


def _bound(value: float) -> str:
    """Format a bound between 0 and 1 as the policy sets it: 0,05 and 0,125."""
    return max(f"{value:.2f}", f"{value:.4g}", key=len).replace(".", ",")


def _confidence(value: float, bound: float) -> str:
    """Format a confidence with two decimals, and more where they would make the bound of it."""
    told = (decimals for decimals in range(2, _MOST_DECIMALS) if round(value, decimals) != bound)
    return _number(value, next(told, 2))


def _percent(value: float) -> str:
    """Format what the policy sets in percent as its other sentences do: 60% and 62,5%."""
    return sentences.round_percent(value / 100)


pages.templates.filters |= {
    "reais": sentences.money,
    "decisao": _OUTCOMES.__getitem__,
    "referencia": _bound,
    "porcento": _percent,
    "hora": _local,
    "dia": _day,
    "protocolo": sentences.protocol,
    "numero": _number,
    "certeza": _confidence,
}


def _shown(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of an answer; what another release did not say is left out."""
    return {
        "profile": _part(answer, "perfil", "nome"),
        "sentence": _part(answer, "resposta"),
        "neighbour": _part(answer, "perfil_vizinho", "nome"),
        "remarks": _part(answer, "observacoes") or [],
        "reasons": [r for r in _part(answer, "motivos") or [] if r.keys() >= _REASON],
        "counterfactual": _part(answer, "simulacao", "frase"),
        "facts": [f for f in _part(answer, "fatos") or [] if f.keys() >= _FACT],
        "adverse": [m["frase"] for m in _part(answer, "motivos_principais") or [] if "frase" in m],
    }


def _part(answer: Any, *path: str) -> Any:  # noqa: ANN401 - JSON
    for name in path:
        answer = (answer or {}).get(name)
    return answer


def render(evaluation: Recorded, policy: AnyPolicy) -> str:
    """Return the page. policy: the one that decided, or would decide a pending evaluation."""
    usage = evaluation.applicant.usage
    told = () if evaluation.erased_at else FEATURES
    return pages.templates.get_template("dossie.html").render(
        evaluation=evaluation,
        amounts=[(sentences.LABELS[feature], getattr(usage, feature)) for feature in told],
        answer=_shown(answers.parse_answer(evaluation)),
        criteria=disclosure.criteria(policy),
    )
