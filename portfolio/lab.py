"""What a policy would do, before it does: to clients of a file, whose outcome may be known.

Frames in, figures out. Knows neither files nor the terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation_api.decision.limits import LARGEST_AMOUNT
from evaluation_api.decision.policy_file import AnyPolicy
from portfolio import frames
from portfolio.frames import OUTCOMES, Profiler

_SEED: Final = 20_261_126
_TWINS: Final = 50
#: Clients whose twins are tried; more say the same within a tenth of a per cent.
_MOST_TRIED: Final = 20_000
_BOOTSTRAPS: Final = 200
#: Of the normal distribution, for intervals of 95 %.
_Z: Final = 1.959964
#: The amounts in which a client can behave worse, and which way that is.
_WORSE: Final = {"balance": 1, "cash_advance": 1, "payments": -1}
_APPROVED, _PERSON, _REFUSED = range(len(OUTCOMES))

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Trial:
    """Clients, and what two policies decide of them, row by row.

    clients: FEATURES as float64. before, after: as frames.evaluate returns them.
    """

    clients: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame

    @property
    def changed(self) -> Flags:
        """Tell of n clients whether the decision is another."""
        return np.asarray(ranks(self.before) != ranks(self.after))


def ranks(decisions: pd.DataFrame) -> NDArray[np.int8]:
    """Return n decisions as places in OUTCOMES; the greater, the worse for the client."""
    return np.asarray(decisions["decisao"].cat.codes)


def shares(decisions: pd.DataFrame) -> dict[str, float]:
    """Return the share of each outcome."""
    counted = np.bincount(ranks(decisions), minlength=len(OUTCOMES)) / max(len(decisions), 1)
    return dict(zip(OUTCOMES, map(float, counted), strict=True))


def crossed(before: pd.DataFrame, after: pd.DataFrame) -> list[list[int]]:
    """Count clients by decision before (rows) and after (columns), in the order of OUTCOMES."""
    places = ranks(before) * len(OUTCOMES) + ranks(after)
    counts: list[list[int]] = (
        np.bincount(places, minlength=len(OUTCOMES) ** 2).reshape(len(OUTCOMES), -1).tolist()
    )
    return counts


def by_profile(trial: Trial) -> dict[str, list[list[int]]]:
    """Return a table like `crossed` for each profile that a client is in."""
    profiles = trial.after["perfil"].to_numpy()
    return {
        str(profile): crossed(trial.before[profiles == profile], trial.after[profiles == profile])
        for profile in np.unique(profiles).tolist()
    }


def by_reason(decisions: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the decisions that are no approvals by the codes of their reasons."""
    if "motivos" not in decisions:
        return {}
    against = decisions[ranks(decisions) != _APPROVED]
    table = pd.crosstab(against["motivos"], against["decisao"])
    return {
        str(reason): {str(outcome): int(count) for outcome, count in row.items() if count}
        for reason, row in table.iterrows()
        if row.any()
    }


def better_by_worse(
    clients: pd.DataFrame, policy: AnyPolicy, profiler: Profiler, reach: float
) -> dict[str, Any]:
    """Try whether anybody would be decided better by behaving worse.

    Each client has twins who owe or withdraw more, by up to reach times the limit, or pay less: in
    one amount, and in all at once. Others owe or withdraw up to three times as much as they do, or
    pay less, in one amount: who owes nothing does not begin to. Returns the share of clients any of
    whose twins is decided better, of all, of those left to a person, and of the refused who are in
    range.
    """
    random = np.random.default_rng(_SEED)
    tried = clients.sample(min(len(clients), _MOST_TRIED), random_state=_SEED)
    own = frames.evaluate(tried, policy, profiler)
    found: dict[str, Any] = {"clients": len(tried), "twins": _TWINS, "reach": reach}
    kinds = (
        ("one_amount", False, reach),
        ("all_amounts", True, reach),
        ("one_amount_multiplied", False, None),
    )
    for kind, jointly, most in kinds:
        better = np.zeros(len(tried), bool)
        for turn in range(_TWINS):
            features = list(_WORSE) if jointly else [list(_WORSE)[turn % len(_WORSE)]]
            worse = twins(tried, features, most, random)
            better |= ranks(frames.evaluate(worse, policy, profiler)) < ranks(own)
        left = better & (ranks(own) == _PERSON)
        refused = better & (ranks(own) == _REFUSED) & ~own["fora_da_faixa"].to_numpy()
        found[kind] = {
            "of_all": float(better.mean()),
            "left_to_a_person": float(left.mean()),
            "refused_in_range": int(refused.sum()),
        }
    return found


def twins(
    clients: pd.DataFrame, features: Sequence[str], reach: float | None, random: np.random.Generator
) -> pd.DataFrame:
    """Return a twin of each client who behaves worse in some amounts, at random, in whole cents.

    reach: how far amounts grow at most, in limits; with None they are up to three times their own;
    never beyond LARGEST_AMOUNT.
    """
    worse = clients.copy()
    for feature in features:
        share = random.random(len(clients))
        if _WORSE[feature] < 0:
            worse[feature] *= share
        else:
            most = 2 * clients[feature] if reach is None else reach * clients["credit_limit"]
            worse[feature] += share * most + 0.01
    return worse.round(2).clip(upper=LARGEST_AMOUNT)


def contradicted(decisions: pd.DataFrame, policy: AnyPolicy) -> int:
    """Count reasons that the client's own shares contradict; a policy that keeps its word has 0."""
    if "motivos" not in decisions:
        return 0
    references = policy.references  # type: ignore[union-attr]  # it names reasons
    said = decisions["motivos"].astype(str).str.split()
    contradicts = {
        "uso_alto": decisions["uso"] < references.use.value - _A_CENT,
        "pouco_pago": decisions["parte_paga"] > references.low_paid.value + _A_CENT,
        "quase_nada_pago": decisions["parte_paga"] > references.hardly_paid.value + _A_CENT,
        "saques_altos": decisions["saques"] < references.withdrawn.value - _A_CENT,
    }
    return sum(
        sum(code in codes for codes in said[against]) for code, against in contradicts.items()
    )


#: Amounts are compared in whole cents: of a limit of R$ 1,00, a cent is that much.
_A_CENT: Final = 0.01


def fared(decisions: pd.DataFrame, defaulted: pd.Series) -> dict[str, Any]:
    """Say how clients whose outcome is known fared.

    defaulted: n, 1 where the client did not pay. Returns the default rate with its interval by
    decision and by profile, and how well the decision tells them apart: AUC, with its interval, and
    the Kolmogorov-Smirnov distance.
    """
    known = defaulted.notna().to_numpy()
    values, rank = defaulted.to_numpy()[known].astype(float), ranks(decisions)[known]
    profiles = decisions["perfil"].to_numpy()[known]
    low, high = _bootstrapped(values, rank)
    return {
        "clients": int(known.sum()),
        "by_decision": {o: rate(values[rank == place]) for place, o in enumerate(OUTCOMES)},
        "by_profile": {str(p): rate(values[profiles == p]) for p in np.unique(profiles).tolist()},
        "auc": {"value": auc(values, rank), "low": low, "high": high},
        "ks": ks(values, rank),
    }


def rate(flags: NDArray[np.float64]) -> dict[str, float | int | None]:
    """Return a share of n and Wilson's interval of 95 % around it; None where there is nobody."""
    count = len(flags)
    if not count:
        return {"n": 0, "value": None, "low": None, "high": None}
    share = float(flags.mean())
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return {"n": count, "value": share, "low": float(middle - half), "high": float(middle + half)}


def auc(defaulted: NDArray[np.float64], rank: NDArray[np.int8]) -> float | None:
    """Return how often one who defaulted was decided worse than one who did not; ties are half.

    None where all fared alike.
    """
    return _auc_of(*_by_rank(defaulted, rank))


def ks(defaulted: NDArray[np.float64], rank: NDArray[np.int8]) -> float | None:
    """Return the greatest distance between the decisions of those who defaulted and the others.

    None where all fared alike.
    """
    bad, good = _by_rank(defaulted, rank)
    if not bad.sum() or not good.sum():
        return None
    return float(np.abs(np.cumsum(bad) / bad.sum() - np.cumsum(good) / good.sum()).max())


def _by_rank(
    defaulted: NDArray[np.float64], rank: NDArray[np.int8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    count = len(OUTCOMES)
    is_bad = defaulted > 0
    return np.bincount(rank[is_bad], minlength=count), np.bincount(rank[~is_bad], minlength=count)


def _bootstrapped(
    defaulted: NDArray[np.float64], rank: NDArray[np.int8]
) -> tuple[float | None, float | None]:
    """Bound the AUC, 95 %: drawing clients again is drawing the six counts again."""
    random = np.random.default_rng(_SEED)
    bad, good = _by_rank(defaulted, rank)
    counts = np.concatenate([bad, good])
    if not bad.sum() or not good.sum():
        return None, None
    drawn = random.multinomial(counts.sum(), counts / counts.sum(), _BOOTSTRAPS)
    found = [_auc_of(one[: len(bad)], one[len(bad) :]) for one in drawn]
    low, high = np.quantile([one for one in found if one is not None], [0.025, 0.975])
    return float(low), float(high)


def _auc_of(bad: NDArray[np.int64], good: NDArray[np.int64]) -> float | None:
    below = np.concatenate([[0], np.cumsum(good)[:-1]])
    pairs = bad.sum() * good.sum()
    return float((bad * (below + good / 2)).sum() / pairs) if pairs else None


def groups(decisions: pd.DataFrame, group: pd.Series) -> dict[str, Any]:
    """Compare approval rates between groups of people; the group itself is never stored.

    group: n texts; numbers of more than twelve kinds, as ages are, make five groups of one size.
    Returns each group's rate, and the least against the greatest with an interval. Groups of fewer
    than 100 are told and not compared: chance alone would set them apart.
    """
    approved = (ranks(decisions) == _APPROVED).astype(float)
    rates = {str(name): rate(approved[places]) for name, places in _places_of(group)}
    compared = [(r["value"], r["n"]) for r in rates.values() if (r["n"] or 0) >= _LEAST_COMPARED]
    return {"approved": rates, "least_against_greatest": _ratio(compared)}


_LEAST_COMPARED: Final = 100


def _places_of(group: pd.Series) -> Iterator[tuple[object, NDArray[np.int64]]]:
    values = _in_bands(group.reset_index(drop=True))
    yield from (
        (name, np.asarray(places)) for name, places in values.groupby(values).indices.items()
    )


def _in_bands(group: pd.Series) -> pd.Series:
    """Put numbers of many kinds into bands; what is no number stays as it is."""
    numbers = pd.to_numeric(group.str.replace(",", "."), errors="coerce").replace(
        [np.inf, -np.inf], np.nan
    )
    if numbers.nunique() <= _MOST_KINDS:
        return group
    bands = pd.qcut(numbers, _BANDS, duplicates="drop")
    spans = numbers.groupby(bands, observed=True).agg(["min", "max"])
    names = [f"{span.min:g} to {span.max:g}" for span in spans.itertuples(index=False)]
    return bands.cat.rename_categories(names).astype(object).fillna(group)


_MOST_KINDS: Final = 12
_BANDS: Final = 5


def _ratio(compared: Sequence[tuple[Any, Any]]) -> dict[str, float] | None:
    """Return the least rate against the greatest, and where 95 % of draws of the rates put it."""
    if len(compared) < 2 or not max(compared)[0]:  # noqa: PLR2004 - nothing to compare with
        return None
    random = np.random.default_rng(_SEED)
    drawn = np.array([random.binomial(n, share, _BOOTSTRAPS * 10) / n for share, n in compared])
    values = [share for share, _ in compared]
    low, high = np.quantile(drawn.min(axis=0) / drawn.max(axis=0), [0.025, 0.975])
    return {"value": min(values) / max(values), "low": float(low), "high": float(high)}
