"""The made-up clients: valid for every system, different, and of every profile."""

import json
from collections import Counter
from pathlib import Path

from bench.subjects import clients, languages
from evaluation_api.web import requests
from model_store.serving import npy


def test_each_client_passes_the_real_validation() -> None:
    for client in clients.make(500):
        sent = requests.read_applicant_body(languages.EXPLAINED.encode([client]))
        assert sent.name == client.name


def test_the_clients_are_different_and_the_same_every_time() -> None:
    made = clients.make()

    assert len(set(made)) == len({client.name for client in made}) == clients.DIFFERENT
    assert made == clients.make()


def test_every_profile_has_a_fair_share_of_the_clients() -> None:
    profiles = Counter(clients.expected_clusters(clients.make()))

    assert set(profiles) == {0, 1, 2, 3, 4}
    assert min(profiles.values()) > 0.05 * clients.DIFFERENT


def test_a_body_of_many_rows_is_always_full(tmp_path: Path) -> None:
    made = clients.make(10)

    written = languages.PREDICT.write_bodies(tmp_path / "bodies", made, rows=4)

    bodies = written.read_bytes()
    for start in (0, 4):
        length, _, rest = bodies.partition(b"\n")
        body, bodies = rest[: int(length)], rest[int(length) :]
        assert [row["balance"] for row in json.loads(body)] == [
            client.balance for client in made[start : start + 4]
        ]
    assert not bodies


def test_columns_hold_the_amounts_in_the_order_of_the_model() -> None:
    made = clients.make(3)

    read = npy.read(languages.COLUMNS.encode(made), {5})

    assert read.tolist() == [client.usage for client in made]


def test_a_tensor_holds_the_amounts_in_the_order_of_the_model() -> None:
    first, second = clients.make(2)

    (tensor,) = json.loads(languages.TENSORS.encode([first, second]))["inputs"]

    assert tensor["shape"] == [2, 5]
    assert tensor["data"] == [*first.usage, *second.usage]
