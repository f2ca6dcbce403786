"""The clients whom a model was made from, as bins that other clients are counted in."""

import json
from typing import Any

import numpy as np
import pytest

from model_store import reference
from tests.unit.model_store.amounts import spread

CLIENTS = spread(2000)
LABELS = np.arange(2000) % 5


def test_every_client_is_counted_once_in_each() -> None:
    found = reference.of(CLIENTS, LABELS)

    assert tuple(found) == reference.COUNTED
    assert {sum(one["counts"]) for one in found.values()} == {2000}
    assert found["profile"]["counts"] == [400] * 5 + [0]
    assert max(found["payments"]["counts"]) < 400


def test_a_value_that_many_share_is_a_bin_of_its_own() -> None:
    clients = CLIENTS.copy()
    clients[:1200, 2] = 0
    clients[1200:, 2] = np.maximum(clients[1200:, 2], 1)

    withdrawn = reference.of(clients, LABELS)["cash_advance"]

    assert withdrawn["edges"][0] == 0
    assert withdrawn["counts"][0] == 1200


def test_who_owes_nothing_has_paid_no_share_of_it() -> None:
    clients = CLIENTS.copy()
    clients[:, 0] = np.where(np.arange(2000) < 300, 0, clients[:, 0] + 1)

    assert reference.of(clients, LABELS)["paid"]["counts"][-1] == 300


def test_the_same_clients_are_counted_the_same_and_others_otherwise() -> None:
    found = reference.of(CLIENTS, LABELS)
    again = reference.values_of(CLIENTS, LABELS)
    less = reference.values_of(CLIENTS * [1, 1, 1, 1, 0.7], LABELS)

    for name, one in found.items():
        assert reference.counts(again[name], one["edges"]) == one["counts"]
    payments = found["payments"]
    assert reference.counts(less["payments"], payments["edges"]) != payments["counts"]


def test_it_travels_as_json_and_is_known_again() -> None:
    found = reference.of(CLIENTS, LABELS)

    assert json.loads(json.dumps(found)) == found
    assert reference.is_one(json.loads(json.dumps(found)))
    assert len(json.dumps(found)) < 4096
    assert reference.is_one(reference.of(CLIENTS[:0], LABELS[:0]))


def altered(name: str, part: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    found = reference.of(CLIENTS, LABELS)
    return {**found, name: {**found[name], part: value}}


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        [],
        "balance",
        altered("balance", "edges", [1, 2]),
        altered("balance", "edges", [2.0, 1.0] * 4),
        altered("balance", "edges", [float("nan")] * 9),
        altered("balance", "edges", None),
        altered("balance", "counts", [1.5] * 11),
        altered("balance", "counts", [-1] * 11),
        altered("balance", "counts", [True] * 11),
        {"balance": {}},
    ],
)
def test_what_is_no_such_thing_is_told_apart(told: object) -> None:
    assert not reference.is_one(told)
