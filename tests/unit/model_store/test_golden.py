"""Golden clients pin what a model answers."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from model_store import golden
from model_store.errors import GoldenMismatch


class Permuted:
    """A model whose labels were swapped, as an unguarded retraining would do."""

    def __init__(self, model: Pipeline) -> None:
        self._model = model

    def predict(self, rows: NDArray[np.float64], /) -> NDArray[np.int64]:
        """Answer 1 for 0 and 0 for 1."""
        swapped: NDArray[np.int64] = np.array([1, 0, 2, 3, 4])[self._model.predict(rows)]
        return swapped


class Constant:
    """A model with one answer, without centroids."""

    def predict(self, rows: NDArray[np.float64], /) -> NDArray[np.int64]:
        """Answer 3, whoever is asked about."""
        return np.full(len(rows), 3)


def margins(rows: NDArray[np.float64], model: Pipeline) -> NDArray[np.float64]:
    distances = np.sort(model.transform(rows), axis=1)
    nearest, second = distances[:, 0], distances[:, 1]
    return np.asarray((second - nearest) / (second + nearest))


def test_golden_clients_cover_every_label_and_the_borders(fitted: Pipeline) -> None:
    clients = golden.make(fitted)

    counts = np.bincount(clients.labels, minlength=5)
    near_a_border = margins(clients.rows, fitted) < 0.1
    assert counts.min() >= golden.INSIDE_PER_LABEL
    assert 40 <= len(clients.labels) <= 60
    assert near_a_border.sum() >= 8
    assert len(set(clients.labels[near_a_border].tolist())) == 5


def test_golden_clients_are_made_alike_every_time_in_whole_cents(fitted: Pipeline) -> None:
    first, second = golden.make(fitted), golden.make(fitted)

    assert first.to_json() == second.to_json()
    assert np.round(first.rows, 2).tolist() == first.rows.tolist()
    assert (first.rows >= 0).all()
    assert (first.rows[:, 3] > 0).all()


def test_golden_clients_survive_being_written(fitted: Pipeline) -> None:
    clients = golden.make(fitted)

    read = golden.GoldenClients.from_json(clients.to_json())

    assert read.rows.tolist() == clients.rows.tolist()
    assert read.labels.tolist() == clients.labels.tolist()


@pytest.mark.parametrize("text", ["", "{}", '{"clients": []}', '{"clients": [[1, 2]]}', "[1]"])
def test_what_was_not_written_by_us_is_not_read(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        golden.GoldenClients.from_json(text)


def test_the_model_itself_passes_and_a_permuted_one_does_not(fitted: Pipeline) -> None:
    clients = golden.make(fitted)

    golden.check(fitted, clients)

    with pytest.raises(GoldenMismatch, match=r"\(balance .*\) came out as 1, recorded as 0"):
        golden.check(Permuted(fitted), clients)
    assert golden.agreement(fitted, clients) == 1
    assert golden.agreement(Permuted(fitted), clients) < golden.agreement(fitted, clients)


def test_a_model_without_centroids_or_borders_has_golden_clients_too() -> None:
    clients = golden.make(Constant())

    assert clients.labels.tolist() == [3] * golden.INSIDE_PER_LABEL
