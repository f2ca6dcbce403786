"""Made-up clients: thousands of different ones, all valid, in every profile."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

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
        return [
            self.balance,
            self.purchases,
            self.cash_advance,
            self.credit_limit,
            self.payments,
        ]


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
    """Say what the pickle itself predicts, one label a client."""
    model = safe_pickle.load(PICKLE)
    return [int(label) for label in model.predict([client.usage for client in clients])]


def shares(clusters: Sequence[int]) -> dict[int, float]:
    """Say what part of the clients each profile has."""
    return {label: n / len(clusters) for label, n in sorted(Counter(clusters).items())}


def avaliar_body(client: Client) -> str:
    """Encode a client as /avaliar takes it."""
    return json.dumps(asdict(client))


def predict_body(clients: Sequence[Client]) -> str:
    """Encode clients as our model service takes them: one as an object, several as a list."""
    rows = [_without_name(client) for client in clients]
    return json.dumps(rows[0] if len(rows) == 1 else rows)


def listed_body(clients: Sequence[Client]) -> str:
    """Encode clients as a BentoML service with a parameter `clients` takes them."""
    return json.dumps({"clients": [_without_name(client) for client in clients]})


def tensor_body(clients: Sequence[Client]) -> str:
    """Encode clients in the V2 inference protocol, which MLServer speaks."""
    amounts = [amount for client in clients for amount in client.usage]
    shape = [len(clients), 5]
    tensor = {"name": "predict", "shape": shape, "datatype": "FP64", "data": amounts}
    return json.dumps({"inputs": [tensor]})


def write_bodies(
    path: Path,
    clients: Sequence[Client],
    encode: Callable[[Sequence[Client]], str],
    rows: int = 1,
) -> Path:
    """Write one body a line, each of so many different clients."""
    groups = [clients[start : start + rows] for start in range(0, len(clients), rows)]
    whole = (group for group in groups if len(group) == rows)
    path.write_text("\n".join(encode(group) for group in whole) + "\n")
    return path


def _without_name(client: Client) -> dict[str, float]:
    return {field: value for field, value in asdict(client).items() if field != "name"}
