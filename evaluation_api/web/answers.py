"""What callers are answered, made of what the domain knows; contract.py has the types."""

import json
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from evaluation_api.decision import policy_file, sentences
from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    Counterfactual,
    Evaluation,
    Geometry,
    Recorded,
    Review,
    StoredDecision,
    Summary,
)
from evaluation_api.decision.policy import BORDER, RANGE, Policy, Profile
from evaluation_api.decision.reasons import reasons
from evaluation_api.web.contract import (
    Avaliacao,
    Criterio,
    Faixa,
    Fronteira,
    Item,
    Limite,
    Modelo,
    Motivo,
    Pagina,
    Pedido,
    Pendente,
    Perfil,
    Politica,
    Registro,
    Revisao,
    Simulacao,
)

_AVALIACAO: Final = TypeAdapter(Avaliacao)
_REGISTRO: Final = TypeAdapter(Registro)
_PENDENTE: Final = TypeAdapter(Pendente)
_VOLATILE_FIELDS: Final = frozenset({"id", "avaliado_em", "duracao_ms"})


def answer(evaluation: Evaluation, policy: Policy) -> str:
    """Return the answer of POST /avaliar as JSON, the text that is recorded and given."""
    return _AVALIACAO.dump_json(_avaliacao(evaluation, policy)).decode()


def _avaliacao(evaluation: Evaluation, policy: Policy) -> Avaliacao:
    prediction, decision = evaluation.prediction, evaluation.decision
    usage = evaluation.applicant.usage
    profile = policy.profiles[prediction.cluster]
    next_best = None if prediction.runner_up is None else policy.profiles[prediction.runner_up]
    return Avaliacao(
        nome=evaluation.applicant.name,
        cluster=prediction.cluster,
        resposta=profile.sentence,
        id=evaluation.id,
        decisao=decision.outcome,
        perfil=_perfil(profile),
        perfil_vizinho=None if next_best is None else _perfil(next_best),
        motivos=_motivos(evaluation, profile, next_best),
        observacoes=[_remark(key, policy) for key in decision.remarks],
        confianca=prediction.confidence,
        simulacao=_simulacao(usage, decision.counterfactual, policy),
        modelo=prediction.model.tag,
        modelo_sha256=prediction.model.sha256,
        politica=decision.policy_version,
        avaliado_em=when(evaluation.evaluated_at),
        duracao_ms=round(evaluation.milliseconds, 3),
    )


def answer_json(recorded: Recorded) -> str | None:
    """Return a recorded answer, made now if none was stored; None while it waits."""
    stored = recorded.stored_decision
    if stored is None:
        return recorded.answer
    policy = policy_file.parse(stored.policy_text)
    return answer(evaluation_of(recorded, stored, policy), policy)


def evaluation_of(recorded: Recorded, stored: StoredDecision, policy: Policy) -> Evaluation:
    """Put together what was decided, by the policy that decided it."""
    return Evaluation(
        id=recorded.id,
        applicant=recorded.applicant,
        prediction=stored.prediction,
        decision=policy.decide(recorded.applicant.usage, stored.prediction),
        evaluated_at=stored.evaluated_at,
        milliseconds=stored.milliseconds,
    )


def differences(one: str, other: str) -> list[tuple[str, object, object]]:
    """Compare two answers field by field, but for id and times: (field, in one, in other)."""
    first, second = json.loads(one), json.loads(other)
    return [
        (field, first.get(field), second.get(field))
        for field in {**first, **second}
        if field not in _VOLATILE_FIELDS and not _same(first.get(field), second.get(field))
    ]


def _same(one: object, other: object) -> bool:
    """Compare JSON values; a number may differ as matrix products of other sizes round."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-7)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return one == other


def _perfil(profile: Profile) -> Perfil:
    return Perfil(profile.cluster, profile.key, profile.name)


def _motivos(evaluation: Evaluation, profile: Profile, next_best: Profile | None) -> list[Motivo]:
    """Return what set the client apart from the next-best profile, strongest first."""
    if next_best is None:
        return []
    return [
        Motivo(
            reason.feature,
            sentences.LABELS[reason.feature],
            reason.amount,
            reason.contribution,
            "aproxima" if reason.fits else "afasta",
            sentences.reason(reason, profile, next_best),
        )
        for reason in reasons(evaluation.applicant.usage, evaluation.prediction)
    ]


def _remark(key: str, policy: Policy) -> str:
    return {BORDER: policy.border.sentence, RANGE: policy.training_range.sentence}[key]


def _simulacao(usage: CardUsage, change: Counterfactual | None, policy: Policy) -> Simulacao | None:
    if change is None:
        return None
    current = getattr(usage, change.feature)
    profile = policy.profiles[change.cluster]
    return Simulacao(
        campo=change.feature,
        rotulo=sentences.LABELS[change.feature],
        de=current,
        para=change.amount,
        cluster=change.cluster,
        perfil=profile.name,
        frase=sentences.counterfactual(current, change, profile),
    )


def pending(evaluation_id: str) -> bytes:
    """Return the 202 answer to a request that waits for the model, as JSON."""
    return _PENDENTE.dump_json(Pendente(evaluation_id))


def recorded(evaluation: Recorded) -> bytes:
    """Return one evaluation with its reviews as JSON, the answer in it byte for byte."""
    rest = _REGISTRO.dump_json(
        Registro(
            id=evaluation.id,
            situacao=_situation(pending=evaluation.pending),
            recebido_em=when(evaluation.received_at),
            pedido=_pedido(evaluation.applicant),
            avaliacao=None,
            degradada=evaluation.degraded,
            revisoes=[review(one) for one in evaluation.reviews],
            decisao_final=evaluation.final_outcome,
        )
    )
    machine = answer_json(evaluation) or "null"
    # No text of a person's can hold this: the quotes in it would be escaped.
    return rest.replace(b'"avaliacao":null', b'"avaliacao":' + machine.encode(), 1)


def _situation(*, pending: bool) -> str:
    return "pendente" if pending else "concluida"


def _pedido(applicant: Applicant) -> Pedido:
    usage = applicant.usage
    return Pedido(
        applicant.name,
        usage.balance,
        usage.purchases,
        usage.cash_advance,
        usage.credit_limit,
        usage.payments,
    )


def parse_answer(evaluation: Recorded) -> dict[str, Any]:
    """Return a recorded answer as it is, whatever fields its release gave it; {} while it waits."""
    text = answer_json(evaluation)
    answered: dict[str, Any] = {} if text is None else json.loads(text)
    return answered


def review(review: Review) -> Revisao:
    """Return one review."""
    return Revisao(
        id=review.id,
        decisao=review.outcome,
        justificativa=review.justification,
        revisor=review.reviewer,
        revisado_em=when(review.reviewed_at),
    )


def page(summaries: list[Summary], limit: int, policy: Policy) -> Pagina:
    """Return a page of up to limit evaluations; a full one has a next."""
    following = summaries[-1].id if len(summaries) == limit else None
    return Pagina([_item(summary, policy) for summary in summaries], following)


def _item(summary: Summary, policy: Policy) -> Item:
    cluster = summary.cluster
    return Item(
        id=summary.id,
        situacao=_situation(pending=cluster is None),
        recebido_em=when(summary.received_at),
        nome=summary.name,
        cluster=cluster,
        perfil=None if cluster is None else policy.profiles[cluster].name,
        decisao=summary.outcome,
        decisao_final=summary.final_outcome,
        confianca=summary.confidence,
        revisoes=summary.reviews,
    )


def criteria(policy: Policy) -> Politica:
    """Return the policy in force, for whoever asks by which criteria clients are judged."""
    border, seen = policy.border, policy.training_range
    return Politica(
        versao=policy.version,
        nome=policy.name,
        vigente_desde=policy.valid_from,
        perfis=[_criterio(profile) for profile in policy.profiles],
        fronteira=Fronteira(border.min_confidence, border.outcome, border.sentence),
        faixa=Faixa(seen.outcome, seen.sentence, list(_limites(policy))),
    )


def _criterio(profile: Profile) -> Criterio:
    return Criterio(profile.cluster, profile.key, profile.name, profile.sentence, profile.outcome)


def _limites(policy: Policy) -> Iterator[Limite]:
    for feature, times in policy.training_range.times_the_limit.items():
        sentence = sentences.times_the_limit(feature, times)
        yield Limite(f"{feature}/credit_limit", times, sentence)
    for feature, maximum in policy.training_range.maximum.items():
        yield Limite(feature, maximum, sentences.at_most(feature, maximum))


def geometry(geometry: Geometry) -> Modelo:
    """Return the model in service, for drawings."""
    model = geometry.model
    return Modelo(model.tag, model.sha256, geometry.features, geometry.centroids, geometry.sizes)


def when(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC, to the millisecond."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
