"""The JSON of the model service: clients in, predictions out.

The only place that knows how /predict spells them. It checks every amount before a batch is
formed, since one bad row inside a batch would fail its neighbours. Knows nothing of HTTP.
"""

import json
import operator
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from model_store.features import FEATURES
from model_store.geometry import LARGEST_AMOUNT, Explanation, Labels, Matrix

CLUSTERS = 5
MAX_ROWS = 1024
#: Four times what 1,024 rows of seven-digit amounts take.
MAX_BODY_BYTES = 1024 * 512
_WIDEST_MARGIN = 0.5

_Amount = Annotated[float, msgspec.Meta(ge=0, le=LARGEST_AMOUNT)]
_Limit = Annotated[float, msgspec.Meta(gt=0, le=LARGEST_AMOUNT)]


class UnreadableRowsError(ValueError):
    """The body is no client and no list of clients; the sentence names the row and the field."""


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One client as /predict takes it: five amounts in one currency, any currency."""

    balance: _Amount
    purchases: _Amount
    cash_advance: _Amount
    credit_limit: _Limit
    payments: _Amount


class Contributions(msgspec.Struct, gc=False):
    """What each amount adds to d2^2 - d1^2; positive speaks for the predicted cluster."""

    balance: float
    purchases: float
    cash_advance: float
    credit_limit: float
    payments: float


class Alternative(msgspec.Struct, gc=False):
    """One changed amount and the cluster that the client would then be in."""

    feature: str
    amount: float
    cluster: int
    confidence: float


class Prediction(msgspec.Struct, omit_defaults=True, gc=False):
    """One client's answer. All but the cluster is absent for a model without centroids."""

    cluster: int
    runner_up: int | None = None
    confidence: float | None = None
    contributions: Contributions | None = None
    alternatives: list[Alternative] | None = None


class Rows(NamedTuple):
    """Clients read: matrix is n x 5 in the order of FEATURES; single if not sent as a list."""

    matrix: Matrix
    single: bool


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Row | Annotated[list[Row], msgspec.Meta(max_length=MAX_ROWS)])
EMPTY = np.empty((0, len(FEATURES)))
_COLUMNS = tuple(operator.attrgetter(feature) for feature in FEATURES)


def read(body: bytes) -> Rows:
    """Read one client or a list of up to 1,024.

    Raises UnreadableRowsError naming the first row and field that cannot be accepted.
    """
    try:
        clients = _decode.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise UnreadableRowsError(_reason(body, exc)) from exc
    if isinstance(clients, Row):
        return Rows(_matrix([clients]), single=True)
    return Rows(_matrix(clients) if clients else EMPTY, single=False)


def _matrix(clients: list[Row]) -> Matrix:
    """Take the amounts column by column, which is faster than row by row."""
    return np.array([list(map(column, clients)) for column in _COLUMNS]).T


def _reason(body: bytes, exc: Exception) -> str:
    """Name the field even where the number itself is no JSON, as in NaN and 1e999."""
    if isinstance(exc, msgspec.ValidationError):
        return str(exc)
    try:
        msgspec.convert(json.loads(body), _decode.type)
    except msgspec.ValidationError as named:
        return str(named)
    except (ValueError, RecursionError):
        pass
    return f"The body is not valid JSON: {exc}"


def write(predictions: list[Prediction], *, single: bool) -> bytes:
    """Spell n predictions as one object, or as a list in the order of the clients."""
    return _encode(predictions[0] if single else predictions)


def read_wish(toward: str, margin: str) -> tuple[tuple[int, ...], float]:
    """Read the labels worth reaching ("1,3,4", or "" for none) and the margin ("0.05").

    Raises UnreadableRowsError naming the one that cannot be read.
    """
    try:
        targets = tuple(int(label) for label in toward.split(",") if label)
    except ValueError:
        targets = (-1,)
    if not all(0 <= target < CLUSTERS for target in targets):
        raise UnreadableRowsError("toward: a list of clusters from 0 to 4, such as 1,3,4")
    try:
        spare = float(margin)
    except ValueError:
        spare = -1.0
    if not 0 <= spare <= _WIDEST_MARGIN:
        raise UnreadableRowsError(f"margin: a number from 0 to {_WIDEST_MARGIN}, such as 0.05")
    return targets, spare


def schema_of_input() -> dict[str, Any]:
    """Describe what read takes, as JSON schema."""
    return _schema(Row)


def schema_of_output() -> dict[str, Any]:
    """Describe what write gives, as JSON schema."""
    return _schema(Prediction)


def _schema(item: type[msgspec.Struct]) -> dict[str, Any]:
    one = msgspec.json.schema(item, ref_template="#/$defs/{name}")
    definitions = one.pop("$defs")
    either = [one, {"type": "array", "maxItems": MAX_ROWS, "items": one}]
    return {"title": item.__name__, "oneOf": either, "$defs": definitions}


def bare(cluster: Labels) -> list[Prediction]:
    """Make predictions of labels alone (n), for a model whose geometry is not known."""
    return [Prediction(label) for label in cluster.tolist()]


def explained(explanation: Explanation) -> list[Prediction]:
    """Make n predictions that say why; by map, which halves what 1,024 of them take."""
    contributions = map(Contributions, *explanation.contributions.T.tolist())
    return list(
        map(
            Prediction,
            explanation.cluster.tolist(),
            explanation.runner_up.tolist(),
            explanation.confidence.tolist(),
            contributions,
        )
    )
