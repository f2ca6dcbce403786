"""Two versions of the model on the same clients: who is placed, and who is decided, otherwise.

The record holds every amount and models are deterministic, so that a version need not serve beside
another to be compared. Frames in, figures out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from evaluation_api.decision.policy_file import AnyPolicy
from model_store.features import PROFILE_COUNT
from portfolio import frames, lab
from portfolio.frames import SHORT_OUTCOMES, Profiler

_NEAREST: Final = 10


def run(
    who: pd.DataFrame, clients: pd.DataFrame, policy: AnyPolicy, a: Profiler, b: Profiler
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Decide n clients by two models; return the findings, and whoever is placed otherwise.

    who: what tells clients apart. clients: FEATURES as float64. The findings are plain values, as
    JSON has them. Raises InvalidAmountError or ModelError.
    """
    trial = lab.Trial(
        clients, frames.evaluate(clients, policy, a), frames.evaluate(clients, policy, b)
    )
    table = _table(who, trial)
    moved = (table["profile_a"] != table["profile_b"]).to_numpy()
    found = {
        "clients": len(clients),
        "a": a.model.tag,
        "b": b.model.tag,
        "policy": policy.version,
        "profiles_changed": int(moved.sum()),
        "profiles": _crossed(table["profile_a"], table["profile_b"]),
        "decisions_changed": int(trial.changed.sum()),
        "decisions": lab.crossed(trial.before, trial.after),
        "shares_a": lab.shares(trial.before),
        "shares_b": lab.shares(trial.after),
        "nearest": _nearest(table[~moved]),
    }
    return found, table[moved | trial.changed]


def _table(who: pd.DataFrame, trial: lab.Trial) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name, decisions in (("a", trial.before), ("b", trial.after)):
        columns[f"profile_{name}"] = decisions["perfil"].to_numpy()
        columns[f"confidence_{name}"] = decisions["certeza"].to_numpy()
        columns[f"decision_{name}"] = decisions["decisao"].astype(str).to_numpy()
    return who.reset_index(drop=True).assign(**columns)


def _crossed(before: pd.Series, after: pd.Series) -> list[list[int]]:
    """Count profiles by a (rows) and by b (columns): 5 x 5."""
    places = before.to_numpy(np.int64) * PROFILE_COUNT + after.to_numpy(np.int64)
    counted = np.bincount(places, minlength=PROFILE_COUNT**2).tolist()
    return [counted[at : at + PROFILE_COUNT] for at in range(0, PROFILE_COUNT**2, PROFILE_COUNT)]


def _nearest(kept: pd.DataFrame) -> list[dict[str, Any]]:
    """Return who keeps the profile by least: whom a little more of the same would move."""
    least = kept[["confidence_a", "confidence_b"]].dropna().min(axis=1)
    nearest = kept.loc[least.nsmallest(_NEAREST).index]
    return [
        {str(name): getattr(value, "item", lambda v=value: v)() for name, value in row.items()}
        for row in nearest.to_dict("records")
    ]


def text(found: Mapping[str, Any]) -> str:
    """Return the findings as lines of at most 100 characters."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['clients']:,} clients by policy {found['policy']}"
    yield f"A: {found['a']}"
    yield f"B: {found['b']}"
    yield f"{found['profiles_changed']:,} change profile, A down and B across"
    yield from _crosstab([f"profile {label}" for label in range(PROFILE_COUNT)], found["profiles"])
    yield f"{found['decisions_changed']:,} change decision"
    yield from _crosstab(SHORT_OUTCOMES, found["decisions"])
    if found["nearest"]:
        yield "nearest to a change, of those who keep their profile"
    for one in found["nearest"]:
        told = next(iter(one.values()))
        sure = f"{one['confidence_a']:.4f} by A, {one['confidence_b']:.4f} by B"
        yield f"  {str(told)[:40]:<41}profile {one['profile_a']}, confidence {sure}"


def _crosstab(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Iterator[str]:
    yield f"  {'':<12}" + "".join(f"{name:>12}" for name in names)
    for name, row in zip(names, counts, strict=True):
        yield f"  {name:<12}" + "".join(f"{count:>12,}" for count in row)
