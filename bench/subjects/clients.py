"""Made-up clients: thousands of different ones, all valid, in every profile."""

import random
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from bench.subjects.original import PICKLE
from model_store.pickles import safe_pickle

DIFFERENT = 4096
"""So many that no cache and no branch predictor lives on a few of them."""

_SEED = 20261122


@dataclass(frozen=True)
class Client:
    """What POST /avaliar takes."""

    name: str
    balance: float
    purchases: float
    cash_advance: float
    credit_limit: float
    payments: float

    @property
    def usage(self) -> list[float]:
        """The five amounts, in the model's order."""
        return list(astuple(self)[1:])


def make(count: int = DIFFERENT) -> list[Client]:
    """Make clients, the same ones every time: amounts log-normal, a part of them zero."""
    chance = random.Random(_SEED)  # noqa: S311 - no secret

    def amount(median: float, share_of_zeros: float = 0.0) -> float:
        if chance.random() < share_of_zeros:
            return 0.0
        return round(median * chance.lognormvariate(0, 1.1), 2)

    return [
        Client(
            name=f"Cliente {number:05}",
            balance=amount(900),
            purchases=amount(700, 0.25),
            cash_advance=amount(900, 0.5),
            credit_limit=amount(3200) + 50,
            payments=amount(900, 0.05),
        )
        for number in range(count)
    ]


def expected_clusters(clients: Sequence[Client]) -> list[int]:
    """Return what the pickle itself predicts, one label a client."""
    model = safe_pickle.load(PICKLE)
    return [int(label) for label in model.predict([client.usage for client in clients])]
