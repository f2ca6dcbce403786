"""What anybody may know of how clients are judged: the policy, its promise, and the model."""

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import Gauge

from evaluation_api.decision import policy_file, sentences
from evaluation_api.decision.domain import Geometry, Model, ModelCard, UsedPolicy
from evaluation_api.decision.facts import Thresholds
from evaluation_api.decision.policy import FactPolicy, Profile
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.decision.references import FEATURE_OF, References
from evaluation_api.web import contract
from evaluation_api.web.answers import percent, when

logger = logging.getLogger(__name__)

_PROMISE_BROKEN: Final = Gauge(
    "evaluation_promise_broken", "1 while the model in service breaks the policy's promise"
)


def criteria(
    policy: AnyPolicy, model: Model | None = None, versions: Sequence[UsedPolicy] = ()
) -> contract.Politica:
    """Return a policy, for whoever asks by which criteria clients are judged.

    model: the one in service, as far as it was met. versions: every policy that decided here.
    """
    seen = policy.training_range
    by_facts = policy if isinstance(policy, FactPolicy) else None
    return contract.Politica(
        versao=policy.version,
        nome=policy.name,
        vigente_desde=policy.valid_from,
        perfis=[_criterio(profile) for profile in policy.profiles],
        fronteira=contract.Fronteira(
            policy.near.min_confidence, policy.if_near, policy.near.sentence
        ),
        faixa=contract.Faixa(seen.outcome, seen.sentence, list(_limites(policy))),
        fatos=_criterios(by_facts.thresholds) if by_facts else None,
        motivos=list(_possible(by_facts.references)) if by_facts else [],
        promessa=_promessa(by_facts, model) if by_facts else None,
        versoes=[_versao(used) for used in versions],
    )


def _criterio(profile: Profile) -> contract.Criterio:
    return contract.Criterio(
        profile.cluster,
        profile.key,
        profile.name,
        profile.sentence,
        profile.outcome,
        profile.if_poor,
        profile.if_unpaid,
    )


def _criterios(thresholds: Thresholds) -> contract.Criterios:
    return contract.Criterios(
        percent(thresholds.high_use.value),
        percent(thresholds.low_paid.value),
        percent(thresholds.hardly_paid.value),
        thresholds.settled,
    )


def _possible(references: References) -> Iterator[contract.MotivoPossivel]:
    for code, share in references.by_code().items():
        sentence = sentences.possible(code, share)
        yield contract.MotivoPossivel(code, FEATURE_OF[code], percent(share), sentence)


def _promessa(policy: FactPolicy, model: Model | None) -> contract.Promessa:
    return contract.Promessa(
        vale=None if model is None else policy.is_promised(model),
        frase=sentences.PROMISE,
        fronteiras=warnings(policy, model),
        excecao=sentences.EXCEPTION,
    )


def warnings(policy: AnyPolicy, model: Model | None) -> list[str]:
    """Return why the policy's promise does not hold for the model in service, or nothing."""
    if model is None or not isinstance(policy, FactPolicy) or policy.is_promised(model):
        return []
    borders = policy.broken_borders(model)
    if borders is None:
        return [sentences.NOTHING_PROMISED]
    return [sentences.border(one, policy.profiles) for one in borders]


def tell_of_promise(policy: AnyPolicy, model: Model) -> None:
    """Say once of a model, to the log and the metrics, whether the policy's promise holds for it.

    Where it does not, refusals become a person's.
    """
    told = warnings(policy, model)
    _PROMISE_BROKEN.set(bool(told))
    if told:
        logger.warning("promise_broken", extra={"model": model.tag, "why": " ".join(told)})


def _versao(used: UsedPolicy) -> contract.VersaoDaPolitica:
    policy = policy_file.parse(used.text)
    return contract.VersaoDaPolitica(
        policy.version, policy.name, policy.valid_from, when(used.first_used_at)
    )


def _limites(policy: AnyPolicy) -> Iterator[contract.Limite]:
    for feature, times in policy.training_range.times_the_limit.items():
        sentence = sentences.times_the_limit(feature, times)
        yield contract.Limite(f"{feature}/credit_limit", times, sentence)
    for feature, maximum in policy.training_range.maximum.items():
        yield contract.Limite(feature, maximum, sentences.above(feature, maximum))


def geometry(geometry: Geometry) -> contract.Modelo:
    """Return the model in service, for drawings."""
    model = geometry.model
    card = None if geometry.card is None else _card(geometry.card)
    return contract.Modelo(
        model.tag, model.sha256, geometry.features, geometry.centroids, geometry.sizes, card
    )


def _card(card: ModelCard) -> contract.Ficha:
    approved = card.approved
    return contract.Ficha(
        dados=card.data,
        indices=card.scores,
        estabilidade=card.stability,
        limites=tuple(
            contract.Medida(one.what, one.value, one.at_least, one.at_most)
            for one in card.limits or ()
        ),
        publicado_por=None if approved is None else approved.by,
        publicado_em=None if approved is None else approved.at,
        motivo=None if approved is None else approved.why,
    )
