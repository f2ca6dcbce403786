"""The Portuguese sentences about clients, criteria and fields.

Those of errors are in web/problem_table.py, of files in portfolio/files/messages.py, the policy's
own in its file. Functions from values to text. Knows the domain's words, and neither JSON nor HTTP.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from evaluation_api.decision.domain import (
    AdverseFact,
    CardUsage,
    Counterfactual,
    Decision,
    Excess,
    Facts,
    Outcome,
)
from evaluation_api.decision.policy import Profile
from evaluation_api.decision.promise import Border

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

#: All columns of a file of clients, in the order of a template.
COLUMNS = {"name": "nome", **NAMES}

_SUBJECTS = {
    "balance": "O saldo devedor de",
    "purchases": "O valor de compras de",
    "cash_advance": "O valor de saques de",
    "credit_limit": "O limite de crédito de",
    "payments": "O valor de pagamentos de",
}
_BRAZILIAN = str.maketrans(",.", ".,")
#: 10.005 is a little less as a double has it, and 0.125 would be rounded to even. Half of the last
#: bit of the largest amount, and less than anybody writes.
_BEYOND_ITS_BITS = 1e-9


@lru_cache(maxsize=64)  # several sentences of an answer say the same amount
def money(amount: float) -> str:
    """Format an amount as R$ 1.234,56, to the nearest cent, as the pages do: half a cent as one."""
    return f"R$ {amount + _BEYOND_ITS_BITS:_.2f}".replace(".", ",").replace("_", ".")


def reason(feature: str, amount: float, part: float, profile: Profile, next_best: Profile) -> str:
    """Say what one amount did to set a client apart from the next-best profile.

    part: its own of d2^2 - d1^2, above 0 where it speaks for the profile.
    """
    nearer, farther = (profile, next_best) if part >= 0 else (next_best, profile)
    return f"{_SUBJECTS[feature]} {money(amount)} {_comparison(nearer.name, farther.name)}"


@lru_cache(maxsize=64)
def _comparison(nearer: str, farther: str) -> str:
    return f"combina mais com o perfil “{nearer}” do que com “{farther}”."


def counterfactual(
    current: float, change: Counterfactual, profile: Profile, *, by_facts: bool
) -> str:
    """Say which change of one amount would lead to an approval.

    by_facts: whether the policy looks at facts; before, it was the profile alone.
    """
    changed = f"Com {LABELS[change.feature]} {_reach(current, change)}"
    if by_facts:
        today = money(current) if current else "nada"
        return f"{changed}, em vez de {today}, e os outros valores iguais, o pedido seria aprovado."
    # As it was said then: what was decided by profile is shown in the words of its day.
    return (
        f"{changed} (hoje {money(current)}) e os outros valores iguais, o perfil passaria a ser"
        f" “{profile.name}”, que é aprovado."
    )


def _reach(current: float, change: Counterfactual) -> str:
    """Say from where to where a change holds; beyond, the model sees another profile again."""
    if change.until is None:
        bound = "no máximo" if change.amount < current else "pelo menos"
        return f"de {bound} {money(change.amount)}"
    if change.until == change.amount:
        return f"de {money(change.amount)}"
    low, high = sorted((change.amount, change.until))
    return f"entre {money(low)} e {money(high)}"


@lru_cache(maxsize=64)  # as of amounts
def percent(share: float, *references: float) -> str:
    """Format a share as 83,2%, with as many digits as tell it from each reference."""
    if 0 < share < _LEAST_SHARE:
        return "menos de 0,1%"
    return f"{100 * share:,.{digits(share, *references)}f}%".translate(_BRAZILIAN)


def digits(share: float, *references: float) -> int:
    """Return how many decimals, in percent, tell a share from each reference that it is not."""
    told = 1
    for other in references:
        apart = abs(share - other)
        while told < _MOST_DIGITS and SAME_SHARE < apart <= 0.005001 * 10**-told:
            told += 1
    return told


#: A share of whole cents is a ten-millionth of a millionth from a policy's ten-thousandths, or
#: more, since no whole has more than 1e9 cents; what is nearer differs by computing alone.
_MOST_DIGITS = 11
SAME_SHARE = 2e-14
#: Below it the one digit would say that there is nothing.
_LEAST_SHARE = 0.0005


def use(usage: CardUsage, facts: Facts, *bounds: float) -> str:
    """Say how much of the limit is owed."""
    if not facts.use:
        return f"Não tem saldo devedor; o limite é de {money(usage.credit_limit)}."
    share = percent(facts.use, *bounds)
    return f"Deve {money(usage.balance)}, {share} do limite de {money(usage.credit_limit)}."


def paid(usage: CardUsage, facts: Facts, *bounds: float) -> str:
    """Say how much of what is owed was paid."""
    if facts.paid is None and usage.balance:
        return f"O saldo devedor de {money(usage.balance)} conta como pago."
    if facts.paid is None:
        return "Não há saldo devedor a pagar."
    if not facts.paid:
        return f"Não fez pagamentos no período, e deve {money(usage.balance)}."
    share = percent(facts.paid, *bounds)
    return f"Pagou {money(usage.payments)}, {share} do saldo devedor de {money(usage.balance)}."


def withdrawn(usage: CardUsage, facts: Facts, *bounds: float) -> str:
    """Say how much was withdrawn."""
    if not facts.withdrawn:
        return "Não fez saques no período."
    share = percent(facts.withdrawn, *bounds)
    return f"Sacou {money(usage.cash_advance)}, {share} do limite de {money(usage.credit_limit)}."


#: What each code of an adverse fact says.
ADVERSE = {
    "uso_alto": "O saldo devedor é {value} do limite de crédito, acima da referência de {bound}.",
    "pouco_pago": "Os pagamentos são {value} do saldo devedor, abaixo da referência de {bound}.",
    "quase_nada_pago": (
        "Os pagamentos são {value} do saldo devedor, abaixo da referência de {bound}."
    ),
    "saques_altos": "Os saques são {value} do limite de crédito, acima da referência de {bound}.",
}
_NOTHING_PAID = "Não houve pagamentos; a referência é de pelo menos {bound} do saldo devedor."


def adverse(fact: AdverseFact, *bounds: float) -> str:
    """Say what speaks against a client, with its reference.

    bounds: what else the share is judged by.
    """
    sentence = ADVERSE[fact.code] if fact.value else _NOTHING_PAID
    return sentence.format(
        value=percent(fact.value, fact.reference, *bounds), bound=round_percent(fact.reference)
    )


@lru_cache(maxsize=64)  # a policy has a handful
def round_percent(share: float) -> str:
    """Format a share that the policy sets, as 30%."""
    return f"{100 * share:.4g}%".replace(".", ",")


def possible(code: str, reference: float) -> str:
    """Say of an adverse fact when a decision names it."""
    return _WHEN[code].format(reference=round_percent(reference))


_WHEN = {
    "uso_alto": "Saldo devedor acima de {reference} do limite de crédito.",
    "pouco_pago": "Pagamentos abaixo de {reference} do saldo devedor.",
    "quase_nada_pago": "Pagamentos abaixo de {reference} do saldo devedor.",
    "saques_altos": "Saques acima de {reference} do limite de crédito.",
}

FACT_LABELS = {
    "uso_do_limite": "uso do limite",
    "parte_paga": "parte paga",
    "saques": "saques em relação ao limite",
}

PROMISE = (
    "Nenhum cliente recusado, com valores dentro da faixa do modelo, teria uma decisão melhor se"
    " devesse mais, sacasse mais ou pagasse menos."
)
EXCEPTION = (
    "Pagamentos acima da faixa do modelo levam o caso a uma pessoa: com pagamentos menores, dentro"
    " da faixa, ele poderia ser aprovado."
)
NOTHING_PROMISED = "O modelo em serviço não diz o que a política pode prometer."
UNPROMISED = (
    "O modelo em serviço não sustenta a promessa da política, e o caso precisa ser analisado por"
    " uma pessoa em lugar de ser recusado."
)

_WORSE = {"balance": "deve mais", "cash_advance": "saca mais", "payments": "paga menos"}


def border(one: Border, profiles: Sequence[Profile]) -> str:
    """Say over which border somebody refused could come to something better."""
    source, target = profiles[one.source].name, profiles[one.target].name
    return f"Quem {_WORSE[one.feature]} pode passar de “{source}” para “{target}”."


def answer(
    profile: Profile, decision: Decision, bounds: Mapping[str, tuple[float, ...]] | None
) -> str:
    """Say what is decided, this client's facts, and the profile.

    bounds: what shares are judged by, under the amount that each is of; None where the policy has
    none.
    """
    if decision.facts is None or bounds is None:
        return profile.sentence
    decided, facts = _DECIDED[decision.outcome], _facts(decision.facts, bounds)
    return f"{decided} {facts} Perfil “{profile.name}”. {profile.sentence}"


def _facts(facts: Facts, bounds: Mapping[str, tuple[float, ...]]) -> str:
    """Say of a client, in one sentence, how much is owed and how much of that was paid."""
    used = percent(facts.use, *bounds["balance"])
    owed = f"usa {used} do limite de crédito" if facts.use else "não usa o limite"
    if facts.paid is None:
        settled = ", saldo que conta como pago" if facts.use else " e não tem saldo devedor a pagar"
        return f"O cliente {owed}{settled}."
    share = percent(facts.paid, *bounds["payments"])
    was_paid = f"pagou {share}" if facts.paid else "não pagou nada"
    return f"O cliente {owed} e {was_paid} do saldo devedor."


_DECIDED = {
    Outcome.APPROVED: "Pedido aprovado.",
    Outcome.MANUAL_REVIEW: "O caso vai para análise manual.",
    Outcome.REFUSED: "Pedido não aprovado pela política de crédito.",
}


def excess(one: Excess) -> str:
    """Say which amount is outside of what the model has seen, and by what bound."""
    amount = f"{LABELS[one.feature].capitalize()} de {money(one.amount)}"
    if one.times_the_limit is None:
        return f"{amount}: acima do maior valor do treinamento, {money(one.bound)}."
    times = _number(one.times_the_limit)
    return f"{amount}: acima de {times} vezes o limite de crédito, {money(one.bound)}."


def times_the_limit(feature: str, times: float) -> str:
    """Say the criterion that an amount is out of range beyond so many times the limit."""
    return f"{LABELS[feature].capitalize()} acima de {_number(times)} vezes o limite de crédito."


def above(feature: str, maximum: float) -> str:
    """Say the criterion that an amount is out of range above the training's largest."""
    return f"{LABELS[feature].capitalize()} acima de {money(maximum)}."


def field_error(kind: str, field: str, context: dict[str, object]) -> str:
    """Say what is wrong with one field of a request; kind is pydantic's name for it."""
    label = LABELS.get(field, _OTHER_LABELS.get(field, field.replace("_", " "))).capitalize()
    bound = context.get("le", context.get("ge"))
    kind = _SIMPLER.get((kind, context.get("min_length", bound)), kind)
    template = _FIELD_ERRORS.get(kind, "{label}: valor não aceito.")
    limit = f"{bound:,.0f}".translate(_BRAZILIAN) if isinstance(bound, int | float) else ""
    choices = ", ".join(_QUOTED.findall(str(context.get("expected", ""))))
    told = {"label": label, "field": field, "limit": limit, "choices": choices}
    return template.format(**{**context, **told})


#: As pydantic tells what it takes: 'virgula' or 'ponto'.
_QUOTED = re.compile("'([^']*)'")


def _number(value: float) -> str:
    return f"{value:g}".translate(_BRAZILIAN)


BAD_KEY = "Envie uma só chave de idempotência, com 1 a 255 caracteres ASCII visíveis."
TWO_PLACES = "Informe depois_de ou cursor: cada um continua de um lugar, em outra ordem."
DAYS_REVERSED = "O último dia não pode ser anterior ao primeiro."
UNVERIFIED_ADDRESS = (
    "O provedor de identidade ainda não verificou o seu e-mail. Verifique-o na sua conta e entre de"
    " novo."
)
NO_GROUP = "Nenhum grupo da sua conta tem um papel neste serviço. Peça acesso a quem cuida dele."


def no_name(claim: str) -> str:
    """Say that an account lacks what people are called by. claim: OpenID Connect's name for it."""
    called = "o seu e-mail" if claim == "email" else f"o seu nome ({claim})"
    return (
        f"O provedor de identidade não informou {called}, ou o que informou não pode ser usado como"
        " nome, e sem ele ninguém entra. Avise quem cuida do serviço."
    )


def column_again(column: str) -> str:
    """Say that a file's column was chosen for two fields. column: what the later one is called."""
    return f"{column}: a mesma coluna já foi escolhida para outro campo."


def protocol(evaluation_id: str) -> str:
    """Return what names an evaluation on the telephone: the end of its id, which is random."""
    end = evaluation_id[-8:].upper()
    return f"{end[:4]} {end[4:]}"


_OTHER_LABELS = {
    "ate": "data final",
    "de": "data inicial",
    "name": "nome",
    "decisao": "decisão",
    "revisoes_vistas": "revisões vistas",
}

#: What is said more simply of a bound than with it.
_SIMPLER: dict[tuple[str, object], str] = {
    ("greater_than_equal", 0): "negative",
    ("string_too_short", 1): "missing",
}

_FIELD_ERRORS = {
    "missing": "{label}: preencha este campo.",
    "extra_forbidden": "O campo “{field}” não é aceito.",
    "repeated": "{label}: informe uma só vez.",
    "float_type": "{label}: informe um número, sem aspas.",
    "finite_number": "{label}: informe um número finito.",
    "greater_than": "{label}: informe um valor maior que zero.",
    "greater_than_equal": "{label}: o menor valor aceito é {limit}.",
    "less_than_equal": "{label}: o maior valor aceito é {limit}.",
    "negative": "{label}: o valor não pode ser negativo.",
    "string_type": "{label}: informe um texto.",
    "string_too_short": "{label}: informe pelo menos {min_length} caracteres.",
    "string_too_long": "{label}: use até {max_length} caracteres.",
    "string_pattern_mismatch": "{label}: use apenas caracteres legíveis.",
    "no_letter": "{label}: informe um nome com pelo menos uma letra.",
    "cpf": "{label}: informe só o nome, sem CPF.",
    "int_parsing": "{label}: informe um número inteiro.",
    "int_type": "{label}: informe um número inteiro.",
    "int_from_float": "{label}: informe um número inteiro.",
    "uuid_parsing": "{label}: não é um cursor desta lista.",
    "less_than": "{label}: informe uma data anterior.",
    "place": "{label}: informe 0, ou o proximo de uma página.",
    "day": "{label}: informe uma data como 2026-11-22.",
    "enum": "{label}: informe um destes valores: {choices}.",
    "literal_error": "{label}: informe um destes valores: {choices}.",
    "model_type": "Envie um objeto JSON com os campos descritos na documentação.",
    "model_attributes_type": "Envie um objeto JSON com os campos descritos na documentação.",
}
