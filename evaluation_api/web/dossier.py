"""The dossier: one evaluation on a page to print - criteria, factors, versions, reviews.

HTML out of a template; every value is escaped by it. Knows the contract's answer and no SQL.
"""

from datetime import datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from evaluation_api.decision import sentences
from evaluation_api.decision.domain import FEATURES, Recorded
from evaluation_api.decision.policy import Policy
from evaluation_api.web import answers
from evaluation_api.web.requests import SAO_PAULO

_OUTCOMES: Final = {
    "aprovado": "Aprovado",
    "analise_manual": "Análise manual",
    "recusado": "Recusado",
}

_templates = Environment(
    loader=PackageLoader("evaluation_api.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["reais"] = sentences.money
_templates.filters["decisao"] = _OUTCOMES.__getitem__


def _local(when: datetime) -> str:
    """Spell a time as the analysts' clocks show it."""
    return when.astimezone(SAO_PAULO).strftime("%d/%m/%Y %H:%M:%S")


def _number(value: float, decimals: int) -> str:
    """Spell a number with a decimal comma and a real minus sign."""
    return f"{value:.{decimals}f}".replace(".", ",").replace("-", "\N{MINUS SIGN}")


_templates.filters["hora"] = _local
_templates.filters["instante"] = datetime.fromisoformat
_templates.filters["numero"] = _number


def render(evaluation: Recorded, policy: Policy) -> str:
    """Give the page. policy: the one that decided, or would decide a pending evaluation."""
    usage = evaluation.applicant.usage
    return _templates.get_template("dossie.html").render(
        evaluation=evaluation,
        amounts=[(sentences.LABELS[feature], getattr(usage, feature)) for feature in FEATURES],
        answer=answers.reread(evaluation),
        criteria=answers.criteria_of(policy),
        final_outcome=evaluation.final_outcome,
    )
