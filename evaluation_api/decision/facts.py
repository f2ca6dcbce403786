"""The facts of a client's own card use: how much of the limit is owed, how much of that was paid.

True of the person whatever a model says. Amounts are compared in whole cents and shares in
ten-thousandths, so that 16.48 of 164.80 is exactly 10 %.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from evaluation_api.decision.domain import CardUsage, Facts
from evaluation_api.decision.limits import LARGEST_AMOUNT

_CENTS: Final = 100
_TEN_THOUSANDTHS: Final = 10_000


def cents(amount: float) -> int:
    """Return an amount in whole cents, the nearest."""
    return round(amount * _CENTS)


class Share(NamedTuple):
    """A part of a whole: Share.of(0.6) is 60 %. value: as a number."""

    ten_thousandths: int
    value: float

    @classmethod
    def of(cls, value: float) -> "Share":
        """Return the nearest share to a value from 0 on."""
        ten_thousandths = round(value * _TEN_THOUSANDTHS)
        return cls(ten_thousandths, ten_thousandths / _TEN_THOUSANDTHS)

    def difference(self, part: int, whole: int) -> int:
        """Return a number > 0 where part of whole is more than this share, 0 where it is equal."""
        return part * _TEN_THOUSANDTHS - whole * self.ten_thousandths


class Span(NamedTuple):
    """The amounts from low to high, both included, in reais."""

    low: float
    high: float


#: The largest amount over a cent; of a limit below that, a share could be beyond every number.
LARGEST_SHARE: Final = 100 * LARGEST_AMOUNT


def _of_limit(amount: float, usage: CardUsage) -> float:
    return min(amount / usage.credit_limit, LARGEST_SHARE)


def to_the_cent(facts: Facts, usage: CardUsage) -> Facts:
    """Return facts of whole cents, as the policy compares and sentences say amounts."""
    limit, balance = cents(usage.credit_limit), cents(usage.balance)
    if not limit:
        return facts
    return facts._replace(
        use=balance / limit,
        paid=None if facts.paid is None else cents(usage.payments) / balance,
        withdrawn=cents(usage.cash_advance) / limit,
    )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a fact is adverse, [fatos] of the policy.

    high_use: balance / limit from which use is high. low_paid: payments / balance below which
    little was paid, hardly_paid: below which next to nothing was. settled: reais that may be owed
    and count as paid.
    """

    high_use: Share
    low_paid: Share
    hardly_paid: Share
    settled: float

    def of(self, usage: CardUsage) -> Facts:
        """Work out the facts of one client."""
        balance, limit = cents(usage.balance), cents(usage.credit_limit)
        owes = balance > self.settled * _CENTS
        paid_times = cents(usage.payments) * _TEN_THOUSANDTHS
        return Facts(
            _of_limit(usage.balance, usage),
            usage.payments / usage.balance if owes else None,
            _of_limit(usage.cash_advance, usage),
            owes
            and balance * _TEN_THOUSANDTHS >= limit * self.high_use.ten_thousandths
            and paid_times < balance * self.low_paid.ten_thousandths,
            owes and paid_times < balance * self.hardly_paid.ten_thousandths,
        )

    def spans(self, usage: CardUsage) -> dict[str, Span]:
        """Return, amount by amount, where one alone would leave no adverse fact.

        Only what a person can do: owe less, withdraw less, pay more. An amount with which that is
        not to be had is absent.
        """
        balance, limit = cents(usage.balance), cents(usage.credit_limit)
        payments = cents(usage.payments)
        owed_at_most = self._most_owed(limit, payments)
        paid_at_least = self._least_paid(balance, limit)
        spans = {
            "balance": Span(0, min(usage.balance, owed_at_most / _CENTS)),
            "payments": Span(max(usage.payments, paid_at_least / _CENTS), LARGEST_AMOUNT),
        }
        if payments >= paid_at_least:
            spans["cash_advance"] = Span(0, usage.cash_advance)
        return spans

    def _most_owed(self, limit: int, payments: int) -> int:
        """Return the largest balance, in cents, with which neither fact is adverse."""
        settled = int(self.settled * _CENTS)
        below_high_use = -(-limit * self.high_use.ten_thousandths // _TEN_THOUSANDTHS) - 1
        enough_paid = payments * _TEN_THOUSANDTHS // self.low_paid.ten_thousandths
        anything_paid = payments * _TEN_THOUSANDTHS // self.hardly_paid.ten_thousandths
        return min(max(below_high_use, enough_paid, settled), max(anything_paid, settled))

    def _least_paid(self, balance: int, limit: int) -> int:
        """Return the least payments, in cents, with which neither fact is adverse."""
        if balance <= self.settled * _CENTS:
            return 0
        is_high = balance * _TEN_THOUSANDTHS >= limit * self.high_use.ten_thousandths
        share = self.low_paid if is_high else self.hardly_paid
        return -(-balance * share.ten_thousandths // _TEN_THOUSANDTHS)
