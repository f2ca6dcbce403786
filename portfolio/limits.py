"""Where a change of one amount alone leaves nothing but the profile in a policy's way.

FactPolicy.spans for many clients at once, as the model service takes it; tests hold the two equal.
"""

from typing import Final

import numpy as np

from evaluation_api.decision.domain import FEATURES, Model
from evaluation_api.decision.facts import Thresholds
from evaluation_api.decision.limits import LARGEST_AMOUNT
from evaluation_api.decision.policy import FactPolicy
from evaluation_api.decision.policy_file import AnyPolicy
from model_store.geometry import CHANGEABLE
from model_store.serving.columns import ANY_AMOUNT
from portfolio import frames
from portfolio.frames import Floats, Whole

_CENTS: Final = 100
_TEN_THOUSANDTHS: Final = 10_000
_CHANGEABLE: Final = tuple(FEATURES[place] for place in CHANGEABLE)


def of(policy: AnyPolicy, model: Model, amounts: Floats) -> Floats:
    """Return n x 8: the least, then the greatest of each changeable amount; NaN for not at all.

    One row for all where the policy sets no limits, or the model makes no promise by them.
    """
    if not isinstance(policy, FactPolicy) or model.promise is None:
        return ANY_AMOUNT
    columns = dict(zip(FEATURES, amounts.T, strict=True))
    lows, highs = _spans(policy.thresholds, columns)
    outside = frames.outside(policy.training_range, columns)
    count = sum(map(np.asarray, outside.values()), np.zeros(len(amounts), np.int64))
    found = np.full((len(amounts), 2 * len(_CHANGEABLE)), np.nan)
    for place, feature in enumerate(_CHANGEABLE):
        if feature in lows:
            most = frames.most(policy.training_range, feature, columns["credit_limit"])
            others = count - outside.get(feature, np.zeros(len(amounts), bool))
            kept = (others == 0) & (lows[feature] <= most)
            found[:, place] = np.where(kept, lows[feature], np.nan)
            high = np.minimum(highs[feature], most)
            found[:, place + len(_CHANGEABLE)] = np.where(kept, high, np.nan)
    return found


def _spans(
    thresholds: Thresholds, amounts: dict[str, Floats]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return Thresholds.spans for n clients: by feature the least, and the greatest."""
    balance, limit, payments = (
        frames.cents(amounts[feature]) for feature in ("balance", "credit_limit", "payments")
    )
    nothing, paid_at_least = np.zeros(len(limit)), _least_paid(thresholds, balance, limit)
    lows = {
        "balance": nothing,
        "payments": np.maximum(amounts["payments"], paid_at_least / _CENTS),
        "cash_advance": np.where(payments >= paid_at_least, nothing, np.nan),
    }
    highs = {
        "balance": np.minimum(amounts["balance"], _most_owed(thresholds, limit, payments) / _CENTS),
        "payments": np.full(len(limit), LARGEST_AMOUNT),
        "cash_advance": amounts["cash_advance"],
    }
    return lows, highs


def _most_owed(thresholds: Thresholds, limit: Whole, payments: Whole) -> Whole:
    settled = int(thresholds.settled * _CENTS)
    below_high_use = -(-limit * thresholds.high_use.ten_thousandths // _TEN_THOUSANDTHS) - 1
    enough_paid = payments * _TEN_THOUSANDTHS // thresholds.low_paid.ten_thousandths
    anything_paid = payments * _TEN_THOUSANDTHS // thresholds.hardly_paid.ten_thousandths
    neither = np.maximum(np.maximum(below_high_use, enough_paid), settled)
    return np.minimum(neither, np.maximum(anything_paid, settled))


def _least_paid(thresholds: Thresholds, balance: Whole, limit: Whole) -> Whole:
    high_use = thresholds.high_use.ten_thousandths
    is_high = balance * _TEN_THOUSANDTHS >= limit * high_use
    share = np.where(
        is_high, thresholds.low_paid.ten_thousandths, thresholds.hardly_paid.ten_thousandths
    )
    least = -(-balance * share // _TEN_THOUSANDTHS)
    return np.where(balance <= thresholds.settled * _CENTS, 0, least)
