"""A frame of clients in, a frame of decisions out.

The same policy as the evaluation service's, column by column: what it compares is taken from the
policy's own values, and tests hold both ways equal. Knows neither files nor where profiles come
from.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation_api.decision.domain import FEATURES, Model, Outcome
from evaluation_api.decision.earlier_policy import ProfilePolicy
from evaluation_api.decision.facts import LARGEST_SHARE, Share, Thresholds
from evaluation_api.decision.limits import LARGEST_AMOUNT
from evaluation_api.decision.policy import FactPolicy, TrainingRange
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.decision.references import References

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
#: Whole cents of one amount, or codes of a category.
Whole = NDArray[np.int64]
#: An outcome as its place in OUTCOMES; the greater, the worse for the client.
Ranks = NDArray[np.int8]

OUTCOMES: Final = tuple(Outcome)
#: The same in short, as heads of tables.
SHORT_OUTCOMES: Final = ("approved", "person", "refused")
_RANK: Final = {outcome: rank for rank, outcome in enumerate(OUTCOMES)}
_PERSON, _REFUSED = _RANK[Outcome.MANUAL_REVIEW], _RANK[Outcome.REFUSED]
_CENTS: Final = 100
_TEN_THOUSANDTHS: Final = 10_000

#: The columns of contributions, in the order of FEATURES.
CONTRIBUTIONS: Final = tuple(f"contribuicao_{feature}" for feature in FEATURES)

#: What may stand in `motivos`: the codes that References.adverse gives, in its order.
_PAID_CODES: Final = ("", "pouco_pago", "quase_nada_pago")
REASONS: Final = tuple(
    " ".join(filter(None, (use, paid, withdrawn)))
    for use in ("", "uso_alto")
    for paid in _PAID_CODES
    for withdrawn in ("", "saques_altos")
)


class Profiles(NamedTuple):
    """What a model says of n clients.

    cluster: n labels. confidence: n, NaN of a model without geometry. contributions: n x 5 in the
    order of FEATURES, in squared distance; None of a model without geometry. runner_up: n labels,
    the next nearest, where they are known.
    """

    cluster: NDArray[np.int64]
    confidence: Floats
    contributions: Floats | None = None
    runner_up: NDArray[np.int64] | None = None


class Profiler(Protocol):
    """Whatever says which profiles clients belong to."""

    model: Model

    def profiles(self, amounts: Floats) -> Profiles:
        """Place n clients (n x 5, in the order of FEATURES). Raises ModelError."""


class InvalidAmountError(ValueError):
    """An amount that nobody can have; its column and its row, counted from 0."""

    def __init__(self, feature: str, row: int) -> None:
        super().__init__(f"{feature} of row {row} is no amount from 0 to {LARGEST_AMOUNT:,.0f}")
        self.feature, self.row = feature, row


class _Facts(NamedTuple):
    """domain.Facts of n clients, an array each; paid is NaN where nothing to speak of is owed."""

    use: Floats
    paid: Floats
    withdrawn: Floats
    poor: Flags
    unpaid: Flags


def evaluate(clients: pd.DataFrame, policy: AnyPolicy, profiler: Profiler) -> pd.DataFrame:
    """Decide n clients.

    clients: the five FEATURES as float64, in one currency; other columns are not looked at.

    Returns a frame with the index of clients and the columns

    - perfil: int8, the label 0 to 4
    - certeza: float64 in [0, 1], NaN of a model without geometry
    - uso: float64, balance / limit
    - parte_paga: float64, payments / balance, NaN where nothing to speak of is owed
    - saques: float64, cash advances / limit
    - fronteira: bool, near the border to another profile
    - fora_da_faixa: bool, an amount beyond what the model has seen
    - decisao: category of OUTCOMES
    - motivos: category of REASONS: adverse facts' codes, apart by spaces; "" for an approval
    - contribuicao_FEATURE: float64, one each, where the model has geometry
    - segundo_perfil: int8, the label next to perfil, where the profiler says so

    The three shares, motivos and what follows are of a policy that knows facts.
    Raises InvalidAmountError, and ModelError.
    """
    amounts = {feature: clients[feature].to_numpy(np.float64) for feature in FEATURES}
    _require_amounts(amounts)
    profiles = profiler.profiles(np.column_stack(list(amounts.values())))
    near = profiles.confidence < policy.near.min_confidence
    is_outside = _is_outside(policy.training_range, amounts)
    if isinstance(policy, ProfilePolicy):
        ranks = _by_profile(policy, profiles.cluster, near, is_outside)
        decided = {"decisao": _category(ranks, OUTCOMES)}
    else:
        facts = _facts(policy.thresholds, amounts)
        ranks = _by_facts(policy, profiler.model, profiles.cluster, facts, is_outside)
        decided = _explained(policy.references, amounts, facts, ranks)
    columns = {
        "perfil": profiles.cluster.astype(np.int8),
        "certeza": profiles.confidence,
        **decided,
        "fronteira": near,
        "fora_da_faixa": is_outside,
        **_contributions(profiles),
    }
    return pd.DataFrame(columns, index=clients.index, copy=False)


def is_decidable(clients: pd.DataFrame) -> Flags:
    """Tell of n clients whether all five amounts are such that somebody can have them."""
    good = [_is_good(feature, clients[feature].to_numpy(np.float64)) for feature in FEATURES]
    return np.asarray(np.logical_and.reduce(good))


def _require_amounts(amounts: dict[str, Floats]) -> None:
    for feature, column in amounts.items():
        good = _is_good(feature, column)
        if not good.all():
            raise InvalidAmountError(feature, int((~good).argmax()))


def _is_good(feature: str, amounts: Floats) -> Flags:
    least = amounts > 0 if feature == "credit_limit" else amounts >= 0
    return least & (amounts <= LARGEST_AMOUNT)


def _explained(
    references: References, amounts: dict[str, Floats], facts: _Facts, ranks: Ranks
) -> dict[str, object]:
    """Return decisions by facts, and what they are made of, as columns."""
    reasons = np.where(ranks > 0, _adverse(references, amounts, facts), 0)
    return {
        "uso": facts.use,
        "parte_paga": facts.paid,
        "saques": facts.withdrawn,
        "decisao": _category(ranks, OUTCOMES),
        "motivos": _category(reasons, REASONS),
    }


def _by_facts(
    policy: FactPolicy, model: Model, cluster: Whole, facts: _Facts, outside: Flags
) -> Ranks:
    """Have the facts confirm what the profile proposes."""
    proposed = _ranks(
        outcome for p in policy.profiles for outcome in (p.outcome, p.if_unpaid, p.if_poor)
    )
    state = np.where(facts.poor, 2, facts.unpaid.astype(np.int8))
    ranks = proposed.reshape(-1, 3)[cluster, state]
    ranks = np.where(outside, np.maximum(ranks, _RANK[policy.training_range.outcome]), ranks)
    if (ranks == _REFUSED).any() and not policy.is_promised(model):
        ranks = np.where(ranks == _REFUSED, _PERSON, ranks)
    return ranks.astype(np.int8)


def _by_profile(policy: ProfilePolicy, cluster: Whole, near: Flags, outside: Flags) -> Ranks:
    """Decide by a policy from before policies knew facts."""
    ranks = _ranks(profile.outcome for profile in policy.profiles)[cluster]
    ranks = np.where(near, _RANK[policy.if_near], ranks)
    return np.where(outside, _RANK[policy.training_range.outcome], ranks).astype(np.int8)


def _ranks(outcomes: Iterable[Outcome]) -> Ranks:
    return np.array([_RANK[outcome] for outcome in outcomes], np.int8)


def _is_outside(seen: TrainingRange, amounts: dict[str, Floats]) -> Flags:
    """Tell of n clients whether any amount is outside of where the model has seen clients."""
    nowhere = np.zeros(len(amounts["credit_limit"]), bool)
    anywhere: Flags = np.logical_or.reduce([nowhere, *outside(seen, amounts).values()])
    return anywhere


def outside(seen: TrainingRange, amounts: dict[str, Floats]) -> dict[str, Flags]:
    """Tell of n clients which amounts are outside of where the model has seen clients."""
    limit = amounts["credit_limit"]
    features = {*seen.times_the_limit, *seen.maximum}
    return {
        feature: np.rint(amounts[feature] * _CENTS) > np.rint(most(seen, feature, limit) * _CENTS)
        for feature in features
    }


def most(seen: TrainingRange, feature: str, limit: Floats) -> Floats:
    """Return TrainingRange.most for n limits."""
    times = seen.times_the_limit.get(feature, np.inf)
    largest: Floats = np.minimum(times * limit, seen.maximum.get(feature, np.inf))
    return np.rint(largest * _CENTS) / _CENTS


def _facts(thresholds: Thresholds, amounts: dict[str, Floats]) -> _Facts:
    """Work out the facts of n clients, as Thresholds.of does."""
    balance, limit, payments = (
        cents(amounts[feature]) for feature in ("balance", "credit_limit", "payments")
    )
    owes = balance > thresholds.settled * _CENTS
    return _Facts(
        _of_limit(amounts["balance"], amounts["credit_limit"]),
        np.divide(
            amounts["payments"], amounts["balance"], out=np.full(len(owes), np.nan), where=owes
        ),
        _of_limit(amounts["cash_advance"], amounts["credit_limit"]),
        owes
        & (_difference(thresholds.high_use, balance, limit) >= 0)
        & (_difference(thresholds.low_paid, payments, balance) < 0),
        owes & (_difference(thresholds.hardly_paid, payments, balance) < 0),
    )


def _of_limit(amounts: Floats, limits: Floats) -> Floats:
    with np.errstate(over="ignore"):  # of next to no limit
        return np.minimum(amounts / limits, LARGEST_SHARE)


def _adverse(references: References, amounts: dict[str, Floats], facts: _Facts) -> Whole:
    """Return the adverse facts of n clients as places in REASONS."""
    balance, withdrawn, limit, payments = (
        cents(amounts[feature])
        for feature in ("balance", "cash_advance", "credit_limit", "payments")
    )
    owes = ~np.isnan(facts.paid)
    low = owes & (_difference(references.low_paid, payments, balance) < 0)
    hardly = owes & (_difference(references.hardly_paid, payments, balance) < 0)
    places = np.where(hardly, 2, low.astype(np.int64))
    places += len(_PAID_CODES) * (_difference(references.use, balance, limit) > 0)
    return 2 * places + (_difference(references.withdrawn, withdrawn, limit) > 0)


def cents(amounts: Floats) -> Whole:
    """Return amounts in whole cents, the nearest."""
    return np.rint(amounts * _CENTS).astype(np.int64)


def _difference(share: Share, part: Whole, whole: Whole) -> Whole:
    """Return Share.difference for n parts of n wholes; amounts are bounded, so 64 bits do."""
    return part * _TEN_THOUSANDTHS - whole * share.ten_thousandths


def _category(codes: NDArray[np.integer], names: tuple[str, ...]) -> pd.Categorical:
    return pd.Categorical.from_codes(codes.astype(np.int8), pd.Index(list(map(str, names))))


def _contributions(profiles: Profiles) -> dict[str, NDArray[Any]]:
    if profiles.contributions is None:
        return {}
    told = dict(zip(CONTRIBUTIONS, profiles.contributions.T, strict=True))
    if profiles.runner_up is None:
        return told
    return {**told, "segundo_perfil": profiles.runner_up.astype(np.int8)}
