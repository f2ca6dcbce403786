"""What is said to the model service, and what it answers, as JSON: the only module that knows it.

Whatever is no such answer is an errors.ModelAnswerError. Knows nothing of connections.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Literal, NamedTuple

import msgspec

from evaluation_api.decision import errors
from evaluation_api.decision.domain import (
    FEATURES,
    CardUsage,
    Counterfactual,
    Geometry,
    Model,
    ModelCard,
    Prediction,
)
from evaluation_api.decision.facts import Span
from evaluation_api.decision.limits import LARGEST_AMOUNT
from evaluation_api.model.promised import Cluster, Named, Share, ToldPromise, model_of

#: What the model service takes in one call.
MAX_ROWS = 1024

#: From a client to the span of each amount: see policy.FactPolicy.spans.
Spans = Callable[[CardUsage], Mapping[str, Span]]

_FEATURES = frozenset(FEATURES)

_Amount = Annotated[float, msgspec.Meta(ge=0, le=LARGEST_AMOUNT)]
#: On the unit sphere no amount adds more.
_Contribution = Annotated[float, msgspec.Meta(ge=-4, le=4)]
_Coordinate = Annotated[float, msgspec.Meta(ge=-1, le=1)]
_Vector = tuple[_Coordinate, _Coordinate, _Coordinate, _Coordinate, _Coordinate]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class Answer(NamedTuple):
    """A whole answer, as it was sent: nobody asked for it compressed. headers: in lower case."""

    status: int
    headers: Mapping[bytes, bytes]
    content: bytes


class _Change(msgspec.Struct, gc=False):
    feature: Literal["balance", "purchases", "cash_advance", "payments"]
    amount: _Amount
    cluster: Cluster
    confidence: Share
    until: _Amount | None = None


class _Prediction(msgspec.Struct, gc=False):
    cluster: Cluster
    runner_up: Cluster | None = None
    confidence: Share | None = None
    contributions: dict[str, _Contribution] | None = None
    alternatives: Annotated[list[_Change], msgspec.Meta(max_length=len(FEATURES))] = []


class _Description(Named):
    features: tuple[str, ...]
    centroids: tuple[_Vector, _Vector, _Vector, _Vector, _Vector] | None = None
    cluster_sizes: tuple[_Count, _Count, _Count, _Count, _Count] | None = None
    promise: ToldPromise | None = None
    card: ModelCard | None = None


class _Row(msgspec.Struct, gc=False):
    balance: float
    purchases: float
    cash_advance: float
    credit_limit: float
    payments: float
    limits: Mapping[str, Span]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[_Prediction]).decode
_decode_description = msgspec.json.Decoder(_Description).decode


def encode(usages: Sequence[CardUsage], spans: Spans | None = None) -> bytes:
    """Return the question about clients. spans: where counterfactuals are looked for of each."""
    if spans is None:
        return _encode(usages)
    return _encode(
        [
            _Row(u.balance, u.purchases, u.cash_advance, u.credit_limit, u.payments, spans(u))
            for u in usages
        ]
    )


def geometry(answer: Answer) -> Geometry:
    """Return the model in service. Raises ModelAnswerError for anything else."""
    _require_ok(answer)
    return geometry_of(answer.content)


def geometry_of(content: bytes) -> Geometry:
    """Return what the model service says of itself, from its JSON. Raises ModelAnswerError."""
    try:
        described = _decode_description(content)
    except msgspec.MsgspecError as exc:
        raise errors.ModelAnswerError(str(exc)) from exc
    promise = None if described.promise is None else described.promise.read()
    model = Model(described.tag, described.sha256, promise)
    return Geometry(
        model, described.features, described.centroids, described.cluster_sizes, described.card
    )


def _require_ok(answer: Answer) -> None:
    if answer.status == HTTPStatus.OK:
        return
    refused = answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
    kind = errors.ModelRefusalError if refused else errors.ModelAnswerError
    raise kind(f"HTTP {answer.status}: {answer.content[:200].decode('utf-8', 'replace')}")


def predictions(answer: Answer, count: int) -> list[Prediction]:
    """Read as many predictions as were asked for. Raises ModelAnswerError for anything else."""
    _require_ok(answer)
    try:
        answers = _decode(answer.content)
    except msgspec.MsgspecError as exc:
        raise errors.ModelAnswerError(str(exc)) from exc
    if len(answers) != count:
        raise errors.ModelAnswerError(f"{len(answers)} answers to {count} clients")
    model = model_of(
        answer.headers.get(b"x-model-tag", b""),
        answer.headers.get(b"x-model-sha256", b""),
        answer.headers.get(b"x-model-promise"),
    )
    return [_prediction(one, model) for one in answers]


def _prediction(answer: _Prediction, model: Model) -> Prediction:
    contributions = answer.contributions
    if contributions is not None and contributions.keys() != _FEATURES:
        raise errors.ModelAnswerError(f"contributions of {', '.join(contributions)}")
    return Prediction(
        answer.cluster,
        model,
        answer.runner_up,
        answer.confidence,
        contributions,
        tuple(
            Counterfactual(one.feature, one.amount, one.cluster, one.confidence, one.until)
            for one in answer.alternatives
        ),
    )
