"""Golden clients: made-up clients whose answers pin what a model does, wherever it is loaded.

Works for any estimator that predicts; needs no centroids and no data set, so nobody's real
amounts travel with a model. Half of what can go wrong shows only near a border, so some are there.
"""

import json
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from model_store.errors import GoldenMismatch
from model_store.features import FEATURES, LARGEST_AMOUNT, PROFILE_COUNT

INSIDE_PER_LABEL: Final = 8
MOST_CLIENTS: Final = 1000
"""In one version; about 60 are made."""
PROBE_SIZE: Final = 4096

_SEED: Final = 20_000_229
_BISECTIONS: Final = 4
"""A border client lies within 1/16 of the way to a client on the other side: near enough to turn
red when centroids are swapped or lost, too far for a retrained model's jitter."""
_JITTERS: Final = 12
_LEAST_LIMIT: Final = 50.0

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]


class Predictor(Protocol):
    """Whatever places clients in clusters, scikit-learn's way."""

    def predict(self, rows: Any, /) -> Any:  # noqa: ANN401 - scikit-learn is not typed
        """Return n labels for n x 5 rows, in the order of FEATURES."""


@dataclass(frozen=True)
class GoldenClients:
    """Clients and their answers (rows: n x 5, amounts of money; labels: n)."""

    rows: Rows
    labels: Labels

    def to_json(self) -> str:
        """Return the clients, a line each, for the model's folder."""
        clients = ",\n".join(
            f"  {json.dumps([*map(float, row), int(label)])}"
            for row, label in zip(self.rows, self.labels, strict=True)
        )
        return f'{{"columns": {json.dumps([*FEATURES, "label"])}, "clients": [\n{clients}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        table = np.array(json.loads(text)["clients"], dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != len(FEATURES) + 1:  # noqa: PLR2004 - a table
            raise ValueError("golden clients are rows of five amounts and a label")
        rows, labels = table[:, :-1].copy(), table[:, -1]
        if len(table) > MOST_CLIENTS or not ((rows >= 0) & (rows <= LARGEST_AMOUNT)).all():
            raise ValueError("golden clients are few, and their amounts are amounts")
        if not np.isin(labels, range(PROFILE_COUNT)).all():
            raise ValueError("golden clients have labels from 0 to 4")
        return cls(rows=rows, labels=labels.astype(np.int64))


def make(model: Predictor) -> GoldenClients:
    """Return about 60 seeded clients, amounts in whole cents, with this model's answers.

    For every label it answers: some whose label survives changes of 20 %; for every pair of
    labels: two clients close to each other with the border between them.
    """
    probe = probe_rows()
    labels = predict(model, probe)
    firm_first = np.argsort(~_is_firm(model, probe, labels), kind="stable")
    inside = _first_of_each_label(probe[firm_first], labels[firm_first])
    rows = np.vstack([*inside, *_near_borders(model, [rows[0] for rows in inside])])
    return GoldenClients(rows, predict(model, rows))


def check(model: Predictor, golden: GoldenClients) -> None:
    """Raise GoldenMismatch, naming the first client whose label is not the recorded one."""
    answers = predict(model, golden.rows)
    for row, answer, label in zip(golden.rows, answers, golden.labels, strict=True):
        if answer != label:
            client = ", ".join(f"{name} {v:g}" for name, v in zip(FEATURES, row, strict=True))
            raise GoldenMismatch(
                f"The golden client ({client}) came out as {answer}, recorded as {label}."
            )


def agreement(model: Predictor, golden: GoldenClients) -> float:
    """Return the share, 0 to 1, of golden clients that keep their recorded label."""
    return float(np.mean(predict(model, golden.rows) == golden.labels))


def predict(model: Predictor, rows: Rows) -> Labels:
    """Return the model's labels as n integers (rows: n x 5, copied: some models change theirs)."""
    return np.asarray(model.predict(rows.copy())).astype(np.int64)


def probe_rows() -> Rows:
    """Return 4,096 x 5 seeded clients of every kind: mixed and one-sided use, small and large."""
    rng = np.random.default_rng(_SEED)
    directions = rng.dirichlet(np.full(len(FEATURES), 0.6), PROBE_SIZE)
    rows = _in_cents(directions * 10 ** rng.uniform(2, 5, (PROBE_SIZE, 1)))
    limit = FEATURES.index("credit_limit")
    rows[:, limit] = np.maximum(rows[:, limit], _LEAST_LIMIT)
    return rows


def every_probe_row() -> Rows:
    """Return probe_rows() and clients of every size, from a cent to the largest amount: n x 5.

    They find a model out that does something odd where no client is like to be.
    """
    rng = np.random.default_rng(_SEED)
    far = 10 ** rng.uniform(-2, 7, (PROBE_SIZE, len(FEATURES)))
    corners = np.array([[*corner] for corner in product((0.01, LARGEST_AMOUNT), repeat=5)])
    return np.vstack([probe_rows(), _in_cents(far), corners])


def _is_firm(model: Predictor, rows: Rows, labels: Labels) -> NDArray[np.bool_]:
    rng = np.random.default_rng(_SEED)
    firm = np.ones(len(rows), dtype=np.bool_)
    for _ in range(_JITTERS):
        firm &= predict(model, rows * rng.uniform(0.8, 1.2, rows.shape)) == labels
    return firm


def _first_of_each_label(rows: Rows, labels: Labels) -> list[Rows]:
    return [rows[labels == label][:INSIDE_PER_LABEL] for label in np.unique(labels)]


def _near_borders(model: Predictor, clients: list[Rows]) -> list[Rows]:
    return [
        _across_a_border(model, one, other)
        for place, one in enumerate(clients)
        for other in clients[place + 1 :]
    ]


def _across_a_border(model: Predictor, one: Rows, other: Rows) -> Rows:
    """Bisect between two clients (5 amounts each); return the last ones on either side."""
    home = predict(model, one[None])[0]
    for _ in range(_BISECTIONS):
        middle = _in_cents((one + other) / 2)
        if predict(model, middle[None])[0] == home:
            one = middle
        else:
            other = middle
    return np.vstack([one, other])


def _in_cents(amounts: Rows) -> Rows:
    return np.round(amounts, 2)
