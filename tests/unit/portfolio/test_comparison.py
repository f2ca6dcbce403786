"""Two models on the same clients: what changes, and who is nearest to it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation_api.decision.domain import FEATURES
from model_store.numbers import on_sphere
from model_store.version import StoredModel
from portfolio import comparison, frames
from portfolio.profiler import StoredProfiler
from tests.evaluations import POLICY
from tests.unit.model_store.amounts import spread

CLIENTS = pd.DataFrame(spread(3000), columns=list(FEATURES))
WHO = pd.DataFrame({"line": np.arange(2, 3002), "name": "Ana"})


@pytest.fixture
def moved(stored: StoredModel) -> StoredProfiler:
    """Return a model whose centroids are a little elsewhere."""
    assert stored.centroids is not None
    noise = np.random.default_rng(1).normal(0, 0.03, stored.centroids.shape)
    numbers = on_sphere((stored.centroids + noise).clip(0))
    return StoredProfiler(replace(stored, numbers=numbers, tag=f"{stored.tag[:-1]}0"))


def test_a_model_beside_itself_changes_nobody(stored: StoredModel) -> None:
    same = StoredProfiler(stored)

    found, changes = comparison.run(WHO, CLIENTS, POLICY, same, same)

    assert found["profiles_changed"] == found["decisions_changed"] == len(changes) == 0
    assert np.array(found["profiles"]).trace() == np.array(found["decisions"]).trace() == 3000


def test_who_changes_is_counted_and_named(stored: StoredModel, moved: StoredProfiler) -> None:
    before = StoredProfiler(stored)

    found, changes = comparison.run(WHO, CLIENTS, POLICY, before, moved)

    one, other = (frames.evaluate(CLIENTS, POLICY, model) for model in (before, moved))
    is_moved = (one["perfil"] != other["perfil"]).to_numpy()
    is_decided = (one["decisao"] != other["decisao"]).to_numpy()
    assert found["profiles_changed"] == is_moved.sum() > 0
    assert found["decisions_changed"] == is_decided.sum() > 0
    assert changes["line"].tolist() == WHO["line"][is_moved | is_decided].tolist()
    profiles = np.array(found["profiles"])
    assert profiles.sum() == 3000
    assert profiles.sum(axis=1).tolist() == one["perfil"].value_counts().sort_index().tolist()
    assert profiles[0, 1] == ((one["perfil"] == 0) & (other["perfil"] == 1)).sum()


def test_the_nearest_are_those_who_keep_their_profile_by_least(
    stored: StoredModel, moved: StoredProfiler
) -> None:
    found, changes = comparison.run(WHO, CLIENTS, POLICY, StoredProfiler(stored), moved)

    least = [min(one["confidence_a"], one["confidence_b"]) for one in found["nearest"]]
    assert least == sorted(least)
    assert least[-1] < 0.01
    assert not {one["line"] for one in found["nearest"]} & set(changes["line"])
    assert all(one["profile_a"] == one["profile_b"] for one in found["nearest"])


def test_models_without_geometry_are_compared_without_the_nearest(stored: StoredModel) -> None:
    bare = StoredProfiler(replace(stored, numbers=None))

    found, _ = comparison.run(WHO, CLIENTS, POLICY, StoredProfiler(stored), bare)

    assert found["profiles_changed"] == 0
    assert found["nearest"] == []


def test_the_findings_are_json_and_text(stored: StoredModel, moved: StoredProfiler) -> None:
    found, _ = comparison.run(WHO, CLIENTS, POLICY, StoredProfiler(stored), moved)

    assert json.loads(json.dumps(found)) == found
    told = comparison.text(found)
    assert max(map(len, told.splitlines())) <= 100
    assert f"B: {moved.model.tag}" in told
    assert f"{found['decisions_changed']:,} change decision" in told
