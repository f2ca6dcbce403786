"""Publishes a version, and takes it back: its labels must go on meaning the same."""

import os
from pathlib import Path
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from model_store import golden, profiles
from model_store.errors import GoldenMismatch, PromotionRefused
from model_store.registry import PRODUCTION_FILE, load, published_tag
from model_store.version import StoredModel

FARTHEST_MOVE: Final = 0.15
"""A centroid that moved farther from the published one may have changed its meaning."""
LEAST_AGREEMENT: Final = 0.95
"""Share of the published model's golden clients that must keep their label."""


def promote(tag: str, production_file: Path = PRODUCTION_FILE) -> None:
    """Publish a version: write its tag where the services look, keeping the one before.

    Raises PromotionRefused when a label's meaning does not hold or has moved.
    """
    candidate = load(tag)
    published = published_tag(production_file)
    if published == tag:
        return
    reason = objection(candidate, load(published) if published else None)
    if reason:
        raise PromotionRefused(f"{tag} is not published: {reason}.")
    if published:
        _write(_history(production_file), [*_earlier(production_file), published])
    _write(production_file, [tag])


def rollback(production_file: Path = PRODUCTION_FILE) -> str:
    """Publish again what was published before; return its tag. Raises PromotionRefused."""
    earlier = _earlier(production_file)
    if not earlier:
        raise PromotionRefused("No version was published before this one.")
    load(earlier[-1])
    _write(production_file, earlier[-1:])
    _write(_history(production_file), earlier[:-1])
    return earlier[-1]


def objection(candidate: StoredModel, published: StoredModel | None) -> str | None:
    """Say why the candidate must not be published, without a full stop, or None when it may."""
    return (
        _own_objection(candidate)
        or (published and _moved_centroids(candidate, published))
        or (published and _moved_clients(candidate, published))
        or None
    )


def _own_objection(candidate: StoredModel) -> str | None:
    try:
        golden.check(candidate.open_estimator(), candidate.golden)
    except GoldenMismatch as mismatch:
        return str(mismatch).rstrip(".")
    if candidate.centroids is None:
        return None
    return profiles.publishing_objection(
        candidate.centroids, candidate.metadata.get("cluster_sizes")
    )


def _moved_centroids(candidate: StoredModel, published: StoredModel) -> str | None:
    """Match centroids pairwise, nearest in sum (Kuhn 1955, doi:10.1002/nav.3800020109)."""
    if candidate.centroids is None or published.centroids is None:
        return None
    gaps = candidate.centroids[:, None] - published.centroids[None]
    distances = np.linalg.norm(gaps, axis=2)
    matched = linear_sum_assignment(distances)[1].tolist()
    if matched != [*range(len(matched))]:
        return f"its labels match the published model's in the order {matched}, not 0 to 4"
    farthest = int(np.argmax(np.diag(distances)))
    if distances[farthest, farthest] > FARTHEST_MOVE:
        move = distances[farthest, farthest]
        return f"the centroid of label {farthest} moved by {move:.3f}, over {FARTHEST_MOVE}"
    return None


def _moved_clients(candidate: StoredModel, published: StoredModel) -> str | None:
    kept = golden.agreement(candidate.open_estimator(), published.golden)
    if kept < LEAST_AGREEMENT:
        return f"{kept:.0%} of the golden clients keep their label, under {LEAST_AGREEMENT:.0%}"
    return None


def _history(production_file: Path) -> Path:
    return production_file.with_name(f"{production_file.name}.previous")


def _earlier(production_file: Path) -> list[str]:
    history = _history(production_file)
    return history.read_text(encoding="utf-8").split() if history.exists() else []


def _write(file: Path, tags: list[str]) -> None:
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_text("".join(f"{tag}\n" for tag in tags), encoding="utf-8")
    unfinished.replace(file)
