"""The promise: nobody who is refused would have got anything better by behaving worse.

A policy refuses over adverse facts, which stay adverse for whoever owes more, withdraws more or
pays less; what is left is the model, which may then see another profile. What its geometry rules
out is worked out where the model is (model_store/promise.py) and told with it; whether that is
enough depends on which profiles are refused, and from which use on. Derivation: docs/model.md.
"""

from typing import NamedTuple


class Border(NamedTuple):
    """Where a client may come from one profile to another by behaving worse in one amount."""

    source: int
    target: int
    feature: str


class Promise(NamedTuple):
    """What is true of a model.

    use_from: by profile, the balance / limit from which nobody is in it who paid at most
    paid_at_most of the balance, and at most the limit; None where there is no such bound.
    wrong_way: the borders that behaving worse may cross.
    """

    paid_at_most: float
    use_from: tuple[float | None, ...]
    wrong_way: tuple[Border, ...]


class Refusals(NamedTuple):
    """When a policy refuses.

    refused: profiles that are, over high use and little paid. better: those that are not.
    most_owed: the largest balance of clients in range, in limits.
    """

    refused: frozenset[int]
    better: frozenset[int]
    high_use: float
    low_paid: float
    most_owed: float


def broken_borders(promise: Promise, refusals: Refusals) -> tuple[Border, ...]:
    """Return the borders over which a refused client could come to something better; or none.

    A profile with no client at the use from which the policy refuses is out of reach. That is known
    of clients who paid little of a balance that, in range, keeps their payments within the limit.
    """
    better = refusals.better
    within_limit = refusals.low_paid * refusals.most_owed <= 1
    if refusals.low_paid <= promise.paid_at_most and within_limit:
        better -= _without_clients(promise, refusals.high_use)
    return tuple(
        one for one in promise.wrong_way if one.source in refusals.refused and one.target in better
    )


def _without_clients(promise: Promise, use: float) -> set[int]:
    bounds = enumerate(promise.use_from)
    return {profile for profile, bound in bounds if bound is not None and bound <= use}
