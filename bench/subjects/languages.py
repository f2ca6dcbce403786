"""How one talks to each system: bodies for clients, and the labels in what it answers.

Answers are read strictly, so that rubbish is no speed.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.subjects.clients import Client
from model_store.serving import npy

_ORIGINAL = ("nome", "cluster", "resposta")
_REASONS = ("id", "decisao", "motivos", "modelo", "politica", "avaliado_em")


@dataclass(frozen=True)
class Language:
    """A path, the body to post there for clients, and how the answer is read.

    read: one label a client; None where nothing was predicted. Raises KeyError, TypeError or
    ValueError for anything else than the answer.
    """

    path: str
    encode: Callable[[Sequence[Client]], bytes]
    read: Callable[[bytes], list[int] | None]
    media_type: str = "application/json"

    def write_bodies(self, path: Path, clients: Sequence[Client], rows: int = 1) -> Path:
        """Write bodies, each of so many different clients, after a line with its length."""
        starts = range(0, len(clients) - rows + 1, rows)
        bodies = [self.encode(clients[start : start + rows]) for start in starts]
        path.write_bytes(b"".join(b"%d\n%s" % (len(body), body) for body in bodies))
        return path


def _avaliar_body(clients: Sequence[Client]) -> bytes:
    (client,) = clients
    return json.dumps(asdict(client)).encode()


def _rows(clients: Sequence[Client]) -> list[dict[str, float]]:
    without_name = (asdict(client) for client in clients)
    return [{field: row[field] for field in row if field != "name"} for row in without_name]


def _predict_body(clients: Sequence[Client]) -> bytes:
    rows = _rows(clients)
    return json.dumps(rows[0] if len(rows) == 1 else rows).encode()


def _columns_body(clients: Sequence[Client]) -> bytes:
    return npy.write(np.array([client.usage for client in clients]))


def _listed_body(clients: Sequence[Client]) -> bytes:
    return json.dumps({"clients": _rows(clients)}).encode()


def _tensor_body(clients: Sequence[Client]) -> bytes:
    amounts = [amount for client in clients for amount in client.usage]
    shape = [len(clients), 5]
    tensor = {"name": "predict", "shape": shape, "datatype": "FP64", "data": amounts}
    return json.dumps({"inputs": [tensor]}).encode()


def _evaluation(body: bytes, fields: Sequence[str] = _ORIGINAL) -> list[int]:
    answer = json.loads(body)
    if missing := [field for field in fields if field not in answer]:
        raise KeyError(f"without {', '.join(missing)}")
    return [int(answer["cluster"])]


def _explained(body: bytes) -> list[int]:
    return _evaluation(body, (*_ORIGINAL, *_REASONS))


def _canned(body: bytes) -> None:
    _explained(body)


def _predictions(body: bytes) -> list[int]:
    answer = json.loads(body)
    return [int(row["cluster"]) for row in ([answer] if isinstance(answer, dict) else answer)]


def _columns(body: bytes) -> list[int]:
    cluster, _, confidence, *_ = npy.read(body, {8}).T.tolist()
    if not all(0 <= sure <= 1 for sure in confidence):
        raise ValueError("a confidence beyond 0 to 1")
    return list(map(int, cluster))


def _labels(body: bytes) -> list[int]:
    return [int(label) for label in json.loads(body)]


def _tensor(body: bytes) -> list[int]:
    (output,) = json.loads(body)["outputs"]
    return [int(label) for label in output["data"]]


#: What the monolith speaks: name, label and sentence.
ORIGINAL = Language("/avaliar", _avaliar_body, _evaluation)
#: What this system speaks: reasons and record included; and the same where nobody predicted.
EXPLAINED = Language("/avaliar", _avaliar_body, _explained)
CANNED = Language("/avaliar", _avaliar_body, _canned)
#: This model service: one client as an object, or several as a list.
PREDICT = Language("/predict", _predict_body, _predictions)
#: The same by columns, as what reads files asks.
COLUMNS = Language("/predict", _columns_body, _columns, npy.MEDIA_TYPE)
#: A BentoML service whose method takes a list and returns a list of labels.
DOCUMENTED = Language("/predict", _listed_body, _labels)
#: The V2 inference protocol, which MLServer speaks.
TENSORS = Language("/v2/models/clusters/infer", _tensor_body, _tensor)
