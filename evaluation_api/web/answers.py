"""What callers are answered, as types: the field names here are the contract's.

msgspec spells them and describes them for the interactive page, so the two cannot differ.
"""

import math
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import msgspec

from evaluation_api.decision import policy_file, sentences
from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    Counterfactual,
    Evaluation,
    Geometry,
    Outcome,
    Recorded,
    Review,
    StoredDecision,
    Summary,
)
from evaluation_api.decision.policy import BORDER, RANGE, Policy, Profile

_encode = msgspec.json.Encoder().encode
_OF_THE_OCCASION = frozenset({"id", "avaliado_em", "duracao_ms"})


class Perfil(msgspec.Struct):
    """One of the five client profiles."""

    cluster: int
    chave: str
    nome: str


class Motivo(msgspec.Struct):
    """What one amount did to set the client apart from the next-best profile."""

    campo: str
    rotulo: str
    valor: float
    contribuicao: float
    sentido: str
    frase: str


class Simulacao(msgspec.Struct):
    """The smallest change of one amount that would lead to an approval."""

    campo: str
    rotulo: str
    de: float
    para: float
    cluster: int
    perfil: str
    frase: str


class Avaliacao(msgspec.Struct):
    """The answer of POST /avaliar. nome, cluster and resposta are the original three."""

    nome: str
    cluster: int
    resposta: str
    id: str
    decisao: Outcome
    perfil: Perfil
    perfil_vizinho: Perfil | None
    motivos: list[Motivo]
    observacoes: list[str]
    confianca: float | None
    simulacao: Simulacao | None
    modelo: str
    modelo_sha256: str
    politica: str
    avaliado_em: str
    duracao_ms: float


class Pendente(msgspec.Struct):
    """The 202 answer to a request that waits for the model."""

    id: str
    situacao: str = "pendente"


class Pedido(msgspec.Struct):
    """What was asked, as it was read."""

    name: str
    balance: float
    purchases: float
    cash_advance: float
    credit_limit: float
    payments: float


class Revisao(msgspec.Struct):
    """What a person decided."""

    id: str
    decisao: Outcome
    justificativa: str
    revisor: str
    revisado_em: str


class Registro(msgspec.Struct):
    """One evaluation as recorded; avaliacao is the answer as it was given, byte for byte."""

    id: str
    situacao: str
    recebido_em: str
    pedido: Pedido
    avaliacao: msgspec.Raw | None
    degradada: bool
    revisoes: list[Revisao]
    decisao_final: Outcome | None


class Item(msgspec.Struct):
    """One line of the history."""

    id: str
    situacao: str
    recebido_em: str
    nome: str
    cluster: int | None
    perfil: str | None
    decisao: Outcome | None
    decisao_final: Outcome | None
    confianca: float | None
    revisoes: int


class Pagina(msgspec.Struct):
    """A page of the history; proximo is the cursor of the next one, if there is one."""

    itens: list[Item]
    proximo: str | None


class Criterio(msgspec.Struct):
    """What is decided for one profile."""

    cluster: int
    chave: str
    nome: str
    frase: str
    decisao: Outcome


class Fronteira(msgspec.Struct):
    """What is decided when another profile is nearly as close."""

    confianca_minima: float
    decisao: Outcome
    frase: str


class Limite(msgspec.Struct):
    """One bound of what the model has seen."""

    regra: str
    maximo: float
    frase: str


class Faixa(msgspec.Struct):
    """What is decided outside of what the model has seen."""

    decisao: Outcome
    frase: str
    limites: list[Limite]


class Politica(msgspec.Struct):
    """The criteria in force."""

    versao: str
    nome: str
    vigente_desde: date
    perfis: list[Criterio]
    fronteira: Fronteira
    faixa: Faixa


class Modelo(msgspec.Struct):
    """The model in service; centroids by label, on the unit sphere, where it has any."""

    tag: str
    sha256: str
    caracteristicas: tuple[str, ...]
    centroides: tuple[tuple[float, ...], ...] | None
    tamanhos: tuple[int, ...] | None


class Partes(msgspec.Struct):
    """What the service leans on."""

    banco: str
    modelo: str


class Saude(msgspec.Struct):
    """situacao: ok, degradada (the model is away) or indisponivel (the database is)."""

    situacao: str
    partes: Partes


class Vida(msgspec.Struct):
    """What a process that lives says of itself."""

    situacao: str = "ok"


def answer(evaluation: Evaluation, policy: Policy) -> str:
    """Spell an evaluation as the answer of POST /avaliar, the text that is recorded and given."""
    return _encode(_avaliacao(evaluation, policy)).decode()


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
    first, second = msgspec.json.decode(one), msgspec.json.decode(other)
    return [
        (field, first.get(field), second.get(field))
        for field in {**first, **second}
        if field not in _OF_THE_OCCASION and not _same(first.get(field), second.get(field))
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
    """Spell what set the client apart from the next-best profile, strongest first."""
    contributions = evaluation.prediction.contributions
    if not contributions or next_best is None:
        return []
    usage = evaluation.applicant.usage
    strongest_first = sorted(contributions.items(), key=_strength, reverse=True)
    return [
        _motivo(feature, getattr(usage, feature), contribution, profile, next_best)
        for feature, contribution in strongest_first
    ]


def _strength(contribution: tuple[str, float]) -> float:
    return abs(contribution[1])


def _motivo(
    feature: str, amount: float, contribution: float, profile: Profile, next_best: Profile
) -> Motivo:
    fits = contribution >= 0
    sentence = sentences.reason(feature, amount, fits=fits, profile=profile, next_best=next_best)
    sense = "aproxima" if fits else "afasta"
    return Motivo(feature, sentences.LABELS[feature], amount, contribution, sense, sentence)


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
    """Spell the 202 answer to a request that waits for the model."""
    return _encode(Pendente(evaluation_id))


def recorded(evaluation: Recorded) -> bytes:
    """Spell one evaluation with its reviews."""
    machine = answer_json(evaluation)
    return _encode(
        Registro(
            id=evaluation.id,
            situacao=_situation(pending=evaluation.pending),
            recebido_em=when(evaluation.received_at),
            pedido=_pedido(evaluation.applicant),
            avaliacao=None if machine is None else msgspec.Raw(machine.encode()),
            degradada=evaluation.degraded,
            revisoes=[_revisao(review) for review in evaluation.reviews],
            decisao_final=evaluation.final_outcome,
        )
    )


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
    answered: dict[str, Any] = {} if text is None else msgspec.json.decode(text)
    return answered


def review(review: Review) -> bytes:
    """Spell one review."""
    return _encode(_revisao(review))


def _revisao(review: Review) -> Revisao:
    return Revisao(
        id=review.id,
        decisao=review.outcome,
        justificativa=review.justification,
        revisor=review.reviewer,
        revisado_em=when(review.reviewed_at),
    )


def page(summaries: list[Summary], limit: int, policy: Policy) -> bytes:
    """Spell a page of up to limit evaluations; a full one has a next."""
    following = summaries[-1].id if len(summaries) == limit else None
    return _encode(Pagina([_item(summary, policy) for summary in summaries], following))


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


def criteria(policy: Policy) -> bytes:
    """Spell the policy in force, for whoever asks by which criteria clients are judged."""
    return _encode(criteria_of(policy))


def criteria_of(policy: Policy) -> Politica:
    """Give the criteria as the contract names them."""
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


def geometry(geometry: Geometry) -> bytes:
    """Spell the model in service, for drawings."""
    model = geometry.model
    return _encode(
        Modelo(model.tag, model.sha256, geometry.features, geometry.centroids, geometry.sizes)
    )


def when(moment: datetime) -> str:
    """Spell a time as RFC 3339 in UTC, to the millisecond."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
