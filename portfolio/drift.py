"""Whether today's clients are still those whom the model was made from.

The population stability index (PSI) of each amount, each fact and the profiles, against what a
version's metadata keep of its training (model_store/reference.py). Frames in, figures out.
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_store import reference
from model_store.geometry import Labels
from model_store.reference import Spread
from portfolio.frames import Floats

#: Of fewer clients, nothing is said.
LEAST_CLIENTS: Final = 200
#: How often clients of the very same kind are called drifted, by one of the nine or another.
_FALSE_ALARMS: Final = 0.01
#: What is smaller hardly changes a decision, however many clients show it.
_LEAST_PSI: Final = 0.02


def measure(spread: Mapping[str, Spread], amounts: Floats, labels: Labels) -> dict[str, Any]:
    """Compare n clients (n x 5, n labels) with those of reference.of; return the findings.

    Whatever has a PSI over its threshold is in `drifted`; of fewer than LEAST_CLIENTS, on either
    side, nothing is.
    """
    values = reference.values_of(amounts, labels)
    found = {
        name: _compared(one, reference.counts(values[name], one["edges"]))
        for name, one in spread.items()
    }
    reference_clients = sum(spread[reference.PROFILE]["counts"])
    is_enough = min(len(amounts), reference_clients) >= LEAST_CLIENTS
    return {
        "clients": len(amounts),
        "reference_clients": reference_clients,
        "is_enough": is_enough,
        "columns": found,
        "drifted": [
            name for name, one in found.items() if is_enough and one["psi"] > one["threshold"]
        ],
    }


def _compared(one: Spread, now: Sequence[int]) -> dict[str, Any]:
    before, after = np.array(one["counts"]), np.array(now)
    is_used = before + after > 0
    return {
        "psi": psi(before[is_used], after[is_used]),
        "threshold": threshold(int(is_used.sum()), int(before.sum()), int(after.sum())),
        "up_to": [*one["edges"], None, "none"],
        "before": _shares(before),
        "after": _shares(after),
    }


def _shares(counts: NDArray[np.int64]) -> list[float]:
    return [float(share) for share in counts / max(int(counts.sum()), 1)]


def psi(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """Return the sum of (q - p) ln(q / p) over bins, from counts; half a client more in each."""
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (before, after))
    return float(((q - p) * np.log(q / p)).sum())


def threshold(bins: int, before: int, after: int) -> float:
    """Return the PSI that clients of one kind exceed once in 900 times.

    Then n times the PSI is distributed as chi-square with bins - 1 degrees of freedom, where 1/n is
    1/before + 1/after (Yurdakul, Statistical Properties of Population Stability Index, 2018).
    """
    if bins < 2 or not before or not after:  # noqa: PLR2004 - one bin cannot differ
        return float("inf")
    chance = 1 - _FALSE_ALARMS / len(reference.COUNTED)
    return max(_LEAST_PSI, chi_square(bins - 1, chance) * (1 / before + 1 / after))


def chi_square(degrees: int, chance: float) -> float:
    """Return the quantile of chi-square, within 3 % (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(chance) * spread**0.5) ** 3)


def text(found: Mapping[str, Any]) -> str:
    """Return the findings as lines of at most 100 characters."""
    lines = [f"{found['clients']:,} clients against {found['reference_clients']:,} of the model's"]
    lines += [f"  {'':<14}{'PSI':>8}{'at most':>9}"]
    for name, one in found["columns"].items():
        drifted = f"  {_most_moved(name, one)}" if name in found["drifted"] else ""
        lines.append(f"  {name:<14}{one['psi']:>8.3f}{one['threshold']:>9.3f}{drifted}")
    if not found["is_enough"]:
        lines.append(f"Of fewer than {LEAST_CLIENTS} clients nothing is said.")
    elif found["drifted"]:
        lines.append(f"Drifted: {', '.join(found['drifted'])}.")
    else:
        lines.append("No drift.")
    return "\n".join(lines) + "\n"


def _most_moved(name: str, one: Mapping[str, Any]) -> str:
    """Say which bin gained or lost most."""
    moved = np.abs(np.array(one["after"]) - np.array(one["before"]))
    place = int(moved.argmax())
    where = f"profile {place}" if name == reference.PROFILE else _bin(one["up_to"], place)
    return f"DRIFTED: {where} {one['before'][place]:.1%} -> {one['after'][place]:.1%}"


def _bin(up_to: Sequence[Any], place: int) -> str:
    edge = up_to[place]
    if edge == "none":
        return "has none"
    if place == 0:
        return f"up to {edge:,.6g}"
    below = f"{up_to[place - 1]:,.6g}"
    return f"over {below}" if edge is None else f"{below} to {edge:,.6g}"
