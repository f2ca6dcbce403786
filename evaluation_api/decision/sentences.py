"""The Portuguese sentences about clients, criteria and fields.

Those of errors are in web/problems.py, of files in client_files/messages.py, the policy's own in
its file. Functions from values to text. Knows the domain's words and nothing of JSON or HTTP.
"""

from functools import lru_cache

from evaluation_api.decision.domain import Counterfactual
from evaluation_api.decision.policy import Profile
from evaluation_api.decision.reasons import Reason

#: What an analyst calls each amount. balance is what the client owes, not the limit left.
LABELS = {
    "balance": "saldo devedor",
    "purchases": "compras",
    "cash_advance": "saques",
    "credit_limit": "limite de crédito",
    "payments": "pagamentos",
}
#: What files call each amount: the policy's, those of clients, and their results.
NAMES = {
    "balance": "saldo_devedor",
    "purchases": "compras",
    "cash_advance": "saques",
    "credit_limit": "limite_de_credito",
    "payments": "pagamentos",
}

_SUBJECTS = {
    "balance": "O saldo devedor de",
    "purchases": "O valor de compras de",
    "cash_advance": "O valor de saques de",
    "credit_limit": "O limite de crédito de",
    "payments": "O valor de pagamentos de",
}
_BRAZILIAN = str.maketrans(",.", ".,")


def money(amount: float) -> str:
    """Format an amount as R$ 1.234,56."""
    reais, _, cents = f"{amount:,.2f}".partition(".")
    return f"R$ {reais.replace(',', '.')},{cents}"


def reason(why: Reason, profile: Profile, next_best: Profile) -> str:
    """Say what one amount did to set a client apart from the next-best profile."""
    nearer, farther = (profile, next_best) if why.fits else (next_best, profile)
    return f"{_SUBJECTS[why.feature]} {money(why.amount)} {_comparison(nearer.name, farther.name)}"


@lru_cache(maxsize=64)
def _comparison(nearer: str, farther: str) -> str:
    return f"combina mais com o perfil “{nearer}” do que com “{farther}”."


def counterfactual(current: float, change: Counterfactual, profile: Profile) -> str:
    """Say which change of one amount would lead to an approved profile."""
    bound = "no máximo" if change.amount < current else "pelo menos"
    return (
        f"Com {LABELS[change.feature]} de {bound} {money(change.amount)}"
        f" (hoje {money(current)}) e os outros valores iguais, o perfil passaria a ser"
        f" “{profile.name}”, que é aprovado."
    )


def times_the_limit(feature: str, times: float) -> str:
    """Say the criterion that an amount may be so many times the credit limit."""
    return f"{LABELS[feature].capitalize()} de até {_number(times)} vezes o limite de crédito."


def at_most(feature: str, maximum: float) -> str:
    """Say the criterion that an amount may not exceed the training's largest."""
    return f"{LABELS[feature].capitalize()} de até {money(maximum)}."


def field_error(kind: str, field: str, context: dict[str, object]) -> str:
    """Say what is wrong with one field of a request; kind is pydantic's name for it."""
    label = LABELS.get(field, _OTHER_LABELS.get(field, field)).capitalize()
    template = _FIELD_ERRORS.get(kind, "{label}: valor não aceito.")
    bound = context.get("le", context.get("ge"))
    limit = f"{bound:,.0f}".translate(_BRAZILIAN) if isinstance(bound, int | float) else ""
    return template.format(**{**context, "label": label, "field": field, "limit": limit})


def _number(value: float) -> str:
    return f"{value:g}".translate(_BRAZILIAN)


BAD_KEY = "A chave de idempotência deve ter de 1 a 255 caracteres ASCII visíveis."

_OTHER_LABELS = {
    "ate": "data final",
    "cursor": "cursor",
    "de": "data inicial",
    "limite": "limite",
    "name": "nome",
    "nome": "nome",
    "perfil": "perfil",
    "decisao": "decisão",
    "justificativa": "justificativa",
    "revisor": "revisor",
}

_FIELD_ERRORS = {
    "missing": "{label}: informe este campo.",
    "extra_forbidden": "O campo “{field}” não é aceito.",
    "repeated": "{label}: informe uma vez só.",
    "float_type": "{label}: informe um número, sem aspas.",
    "finite_number": "{label}: informe um número finito.",
    "greater_than": "{label}: informe um valor maior que zero.",
    "greater_than_equal": "{label}: informe um valor a partir de {limit}.",
    "less_than_equal": "{label}: informe um valor de até {limit}.",
    "string_type": "{label}: informe um texto.",
    "string_too_short": "{label}: informe pelo menos {min_length} caractere(s).",
    "string_too_long": "{label}: use até {max_length} caracteres.",
    "string_pattern_mismatch": "{label}: use apenas caracteres que se podem ler.",
    "int_parsing": "{label}: informe um número inteiro.",
    "uuid_parsing": "{label}: não é um cursor desta lista.",
    "less_than": "{label}: informe uma data anterior.",
    "day": "{label}: informe uma data como 2026-11-22.",
    "enum": "{label}: informe uma das decisões: aprovado, analise_manual, recusado.",
    "model_type": "Envie um objeto JSON com os campos do cliente.",
    "model_attributes_type": "Envie um objeto JSON com os campos do cliente.",
}
