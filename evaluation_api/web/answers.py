"""What callers are answered of evaluations, made of what is known; contract.py has the types."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from evaluation_api.decision import policy_file, sentences
from evaluation_api.decision.domain import (
    AdverseFact,
    CardUsage,
    Decision,
    Evaluation,
    Facts,
    Prediction,
    Recorded,
    Review,
    Search,
    Summary,
)
from evaluation_api.decision.earlier_policy import ProfilePolicy
from evaluation_api.decision.evaluation import decide_again
from evaluation_api.decision.facts import to_the_cent
from evaluation_api.decision.policy import BORDER, RANGE, Profile
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.web import contract

#: Writes what pydantic does, byte for byte, in two thirds of the time.
_encode: Final = msgspec.json.Encoder().encode


def answer(evaluation: Evaluation, policy: AnyPolicy) -> str:
    """Return the answer of POST /avaliar as JSON, the text that is recorded and given."""
    return _encode(_avaliacao(evaluation, policy)).decode()


def _avaliacao(evaluation: Evaluation, policy: AnyPolicy) -> contract.Avaliacao:
    prediction, decision = evaluation.prediction, evaluation.decision
    usage = evaluation.applicant.usage
    spoken = None if decision.facts is None else to_the_cent(decision.facts, usage)
    profile = policy.profiles[prediction.cluster]
    next_best = None if prediction.runner_up is None else policy.profiles[prediction.runner_up]
    return {
        "nome": evaluation.applicant.name,
        "cluster": prediction.cluster,
        "resposta": sentences.answer(profile, decision._replace(facts=spoken), policy.bounds),
        "id": evaluation.id,
        "decisao": decision.outcome,
        "perfil": _perfil(profile),
        "perfil_vizinho": None if next_best is None else _perfil(next_best),
        "motivos": _motivos(evaluation, profile, next_best),
        "observacoes": list(_observations(decision, policy)),
        "confianca": prediction.confidence,
        "simulacao": _simulacao(usage, decision, policy),
        "modelo": prediction.model.tag,
        "modelo_sha256": prediction.model.sha256,
        "politica": decision.policy_version,
        "avaliado_em": when(evaluation.evaluated_at),
        "duracao_ms": round(evaluation.milliseconds, 3),
        "fatos": _fatos(usage, decision.facts, spoken, policy),
        "motivos_principais": list(_adverse_facts(decision, spoken, policy)),
    }


def answer_json(recorded: Recorded) -> str | None:
    """Return a recorded answer, made now if none was stored; None while it waits."""
    stored = recorded.stored_decision
    if stored is None:
        return recorded.answer
    return answer_again(
        recorded, policy_file.parse(stored.policy_text), stored.prediction, stored.milliseconds
    )


def answer_again(
    recorded: Recorded, policy: AnyPolicy, prediction: Prediction, milliseconds: float
) -> str:
    """Return the answer to what is recorded as decided, as the policy that did gives it."""
    evaluation = Evaluation(
        id=recorded.id,
        applicant=recorded.applicant,
        prediction=prediction,
        decision=decide_again(policy, recorded, prediction),
        evaluated_at=recorded.evaluated_at or recorded.received_at,
        milliseconds=milliseconds,
    )
    return answer(evaluation, policy)


def _perfil(profile: Profile) -> contract.Perfil:
    return {"cluster": profile.cluster, "chave": profile.key, "nome": profile.name}


def _motivos(
    evaluation: Evaluation, profile: Profile, next_best: Profile | None
) -> list[contract.Motivo]:
    """Return what set the client apart from the next-best profile, strongest first."""
    told = evaluation.prediction.contributions
    if next_best is None or told is None:
        return []
    usage = evaluation.applicant.usage
    return [
        {
            "campo": feature,
            "rotulo": sentences.LABELS[feature],
            "valor": (amount := getattr(usage, feature)),
            "contribuicao": part,
            "sentido": "aproxima" if part >= 0 else "afasta",
            "frase": sentences.reason(feature, amount, part, profile, next_best),
        }
        for feature, part in sorted(told.items(), key=lambda one: abs(one[1]), reverse=True)
    ]


def _observations(decision: Decision, policy: AnyPolicy) -> Iterator[str]:
    """Yield the sentences of the rules that apply, and of each amount outside the range."""
    for key in decision.remarks:
        yield {BORDER: policy.near.sentence, RANGE: policy.training_range.sentence}[key]
    yield from map(sentences.excess, decision.excesses)
    if decision.unpromised:
        yield sentences.UNPROMISED


def _fatos(
    usage: CardUsage, facts: Facts | None, spoken: Facts | None, policy: AnyPolicy
) -> list[contract.Fato]:
    if facts is None or spoken is None or isinstance(policy, ProfilePolicy):
        return []
    high, low = policy.thresholds.high_use.value, policy.thresholds.low_paid.value
    hardly, withdrawn = policy.thresholds.hardly_paid.value, policy.references.withdrawn.value
    paid = None if facts.paid is None else percent(facts.paid, low, hardly)
    bounds = policy.bounds
    said = sentences.paid(usage, spoken, *bounds["payments"])
    return [
        _fato(
            "uso_do_limite",
            percent(facts.use, high),
            high,
            sentences.use(usage, spoken, *bounds["balance"]),
        ),
        _fato("parte_paga", paid, low, said),
        _fato(
            "saques",
            percent(facts.withdrawn, withdrawn),
            withdrawn,
            sentences.withdrawn(usage, spoken, *bounds["cash_advance"]),
        ),
    ]


def _fato(code: str, value: float | None, bound: float, sentence: str) -> contract.Fato:
    return {
        "codigo": code,
        "rotulo": sentences.FACT_LABELS[code],
        "valor": value,
        "unidade": "%",
        "limite": percent(bound),
        "frase": sentence,
    }


def _adverse_facts(
    decision: Decision, spoken: Facts | None, policy: AnyPolicy
) -> Iterator[contract.MotivoPrincipal]:
    if spoken is None or policy.bounds is None:
        return
    shares = {
        "balance": spoken.use,
        "payments": spoken.paid or 0.0,
        "cash_advance": spoken.withdrawn,
    }
    for fact in decision.adverse:
        said = fact._replace(value=shares[fact.feature])
        yield _adverse(fact, sentences.adverse(said, *policy.bounds[fact.feature]))


def _adverse(fact: AdverseFact, sentence: str) -> contract.MotivoPrincipal:
    return {
        "codigo": fact.code,
        "campo": fact.feature,
        "frase": sentence,
        "valor": percent(fact.value, fact.reference),
        "referencia": percent(fact.reference),
    }


@lru_cache(maxsize=64)  # of what a policy sets; and an answer says a share more than once
def percent(share: float, *references: float) -> float:
    """Return a share in percent, 0.83214 as 83.21, and nearer where that tells it from another."""
    return round(100 * share, max(2, sentences.digits(share, *references)))


def _simulacao(
    usage: CardUsage, decision: Decision, policy: AnyPolicy
) -> contract.Simulacao | None:
    change = decision.counterfactual
    if change is None:
        return None
    current = getattr(usage, change.feature)
    profile = policy.profiles[change.cluster]
    return {
        "campo": change.feature,
        "rotulo": sentences.LABELS[change.feature],
        "de": current,
        "para": change.amount,
        "cluster": change.cluster,
        "perfil": profile.name,
        "frase": sentences.counterfactual(
            current, change, profile, by_facts=decision.facts is not None
        ),
        "ate": change.until,
    }


def pending(evaluation_id: str) -> bytes:
    """Return the 202 answer to a request that waits for the model, as JSON."""
    return _encode(contract.Pendente(evaluation_id, sentences.protocol(evaluation_id)))


def recorded(evaluation: Recorded) -> bytes:
    """Return one evaluation with its reviews as JSON, the answer in it byte for byte."""
    machine: Any = msgspec.Raw((answer_json(evaluation) or "null").encode())
    return _encode(
        contract.Registro(
            id=evaluation.id,
            protocolo=sentences.protocol(evaluation.id),
            situacao=_situation(pending=evaluation.pending),
            recebido_em=when(evaluation.received_at),
            pedido=_pedido(evaluation),
            avaliacao=machine,
            degradada=evaluation.degraded,
            revisoes=[review(one) for one in evaluation.reviews],
            decisao_final=evaluation.final_outcome,
            apagado_em=_erased_at(evaluation),
            corrige=evaluation.corrects,
            corrigida_por=evaluation.corrected_by,
        )
    )


def _situation(*, pending: bool) -> str:
    return "pendente" if pending else "concluida"


def _erased_at(one: Recorded | Summary) -> str | None:
    return None if one.erased_at is None else when(one.erased_at)


def _pedido(evaluation: Recorded) -> contract.Pedido:
    """Return what was asked; the zeros of who was erased are nobody's amounts."""
    amounts = asdict(evaluation.applicant.usage)
    if evaluation.erased_at is not None:
        amounts = dict.fromkeys(amounts)
    return contract.Pedido(evaluation.applicant.name, **amounts)


def parse_answer(evaluation: Recorded) -> dict[str, Any]:
    """Return a recorded answer as it is, whatever fields its release gave it; {} while it waits."""
    text = answer_json(evaluation)
    answered: dict[str, Any] = {} if text is None else json.loads(text)
    return answered


def review(review: Review) -> contract.Revisao:
    """Return one review."""
    return contract.Revisao(
        id=review.id,
        decisao=review.outcome,
        justificativa=review.justification,
        revisor=review.reviewer,
        revisado_em=when(review.reviewed_at),
        motivo=review.reason,
    )


def page(summaries: list[Summary], search: Search, policy: AnyPolicy) -> contract.Pagina:
    """Return a page of up to search.limit evaluations; it has a next if there are more.

    A page of those that read on in the order of commits always has one.
    """
    shown = summaries[: search.limit]
    following = shown[-1].id if len(summaries) > search.limit else None
    if search.after is not None:
        following = _place(shown[-1].position, shown[-1].id) if shown else _place(*search.after)
    return contract.Pagina([_item(summary, policy) for summary in shown], following)


def _place(number: int, identity: str) -> str:
    return f"{number}-{identity}" if identity else str(number)


def _item(summary: Summary, policy: AnyPolicy) -> contract.Item:
    cluster = summary.cluster
    return contract.Item(
        id=summary.id,
        protocolo=sentences.protocol(summary.id),
        situacao=_situation(pending=cluster is None),
        recebido_em=when(summary.received_at),
        nome=summary.name,
        cluster=cluster,
        perfil=None if cluster is None else policy.profiles[cluster].name,
        decisao=summary.outcome,
        decisao_final=summary.final_outcome,
        confianca=summary.confidence,
        revisoes=summary.reviews,
        apagado_em=_erased_at(summary),
        corrigida_por=summary.corrected_by,
    )


def when(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC, to the millisecond."""
    return f"{moment.isoformat(timespec='milliseconds')[:23]}Z"
