"""Writes what /predict answers: predictions, or why there are none.

A model's answers are a matrix, n x 25: those of columns.COLUMNS, and last which model it was. They
go out as they are, or as JSON for people, and which model it was as headers.
"""

import math
from collections.abc import Sequence
from http import HTTPStatus
from operator import itemgetter
from typing import Any, ClassVar

import bentoml
import msgspec
import numpy as np
from starlette.responses import Response

from model_store.features import FEATURES, PROFILE_COUNT
from model_store.geometry import Matrix
from model_store.serving import columns, npy, requests
from model_store.serving.batches import MODEL
from model_store.serving.requests import PredictRequest, UnreadableRequestError
from model_store.version import StoredModel

_MOST_INTRODUCED = 16

Contributions = msgspec.defstruct(
    "Contributions",
    [(name, float) for name in FEATURES],
    namespace={"__doc__": "What each amount adds to d2^2 - d1^2; positive is for the cluster."},
    gc=False,
)


class Counterfactual(msgspec.Struct, omit_defaults=True, gc=False):
    """One changed amount and the cluster that the client would then be in.

    until: the farthest amount, the same way, up to which every other one leads to a target too;
    absent where that is as far as the limits go.
    """

    feature: str
    amount: float
    cluster: int
    confidence: float
    until: float | None = None


class Prediction(msgspec.Struct, omit_defaults=True, gc=False):
    """One client's answer. All but the cluster is absent for a model without centroids."""

    cluster: int
    runner_up: int | None = None
    confidence: float | None = None
    contributions: Contributions | None = None  # type: ignore[valid-type]  # made from FEATURES
    counterfactuals: list[Counterfactual] | None = msgspec.field(default=None, name="alternatives")


class Predictions(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML is not typed
    """The answer of /predict, written without a pydantic model for each client."""

    #: What the models of this process tell of themselves, by their numbers.
    _headers: ClassVar[dict[int, dict[str, str]]] = {}

    @classmethod
    def introduce(cls, number: int, headers: dict[str, str]) -> None:
        """Keep the headers of a model that answers from now on; those of long ago are forgotten."""
        cls._headers[number] = headers
        cls._headers.pop(number - _MOST_INTRODUCED, None)

    @classmethod
    def headers_for(cls, told: Matrix) -> dict[str, str]:
        """Return the headers of the model that answered, of the newest where nobody was asked."""
        return cls._headers[int(told[0, MODEL]) if len(told) else max(cls._headers)]

    @classmethod
    async def to_http_response(cls, obj: Matrix, serde: object) -> Response:  # noqa: ARG003
        """Answer n clients as they were asked for, or why the request could not be read."""
        asked = requests.asked.get()
        if isinstance(asked, UnreadableRequestError):
            return problem(asked.status, str(asked))
        return written(obj, asked, cls.headers_for(obj))

    @classmethod
    def model_json_schema(cls, *_: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """Describe one prediction, or a list of them."""
        return requests.one_or_more(Prediction, **options)


_encode = msgspec.json.Encoder().encode


def headers_of(model: StoredModel, tag: str) -> dict[str, str]:
    """Return the headers that say which model made a prediction, and what it lets one promise.

    tag: as it is told, and recorded: of one that is only tried it says so.

    The promise travels with every answer, so that whoever decides by it needs to ask for nothing,
    whichever of several models answered.
    """
    told = {"X-Model-Tag": tag, "X-Model-Sha256": model.sha256}
    if model.promise is not None:
        told["X-Model-Promise"] = _encode(model.promise).decode()
    return told


def written(told: Matrix, asked: PredictRequest, headers: dict[str, str]) -> Response:
    """Write answers (n x 25) as columns, as one object, or as a list in the clients' order.

    A client whom the model gives no label is refused (422), as any that cannot be answered: whoever
    asked about several asks again by halves.
    """
    if asked.by_columns:
        if np.isnan(told[:, 0]).any():
            return _unanswered(told)
        wanted = told[:, : MODEL if asked.has_targets else columns.CHANGES.start]
        return Response(npy.write(wanted), headers=headers, media_type=npy.MEDIA_TYPE)
    try:
        predictions = as_predictions(told, asked.clients)
    except ValueError:  # no label: NaN is no whole number, which costs the others no look
        return _unanswered(told)
    body = _encode(predictions[0] if asked.single else predictions)
    return Response(body, headers=headers, media_type="application/json")


def problem(status: HTTPStatus, detail: str) -> Response:
    """Write why there are no predictions, as RFC 9457 problem+json."""
    body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    return Response(_encode(body), status, media_type="application/problem+json")


def _unanswered(told: Matrix) -> Response:
    place = int(np.isnan(told[:, 0]).argmax())
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"The model has no label from 0 to {PROFILE_COUNT - 1} for this client - at `$[{place}]`",
    )


def as_predictions(told: Matrix, clients: Matrix) -> list[Prediction]:
    """Return answers (n x 25, or n x 8) about clients (n x 5) as they are in JSON.

    By map over columns, which halves what 1,024 of them take.
    """
    cluster, runner_up, confidence, *contributions = told[:, : columns.CHANGES.start].T.tolist()
    labels = map(int, cluster)
    if runner_up and math.isnan(runner_up[0]):
        return list(map(Prediction, labels))
    reasons = map(Contributions, *contributions)
    predictions = list(map(Prediction, labels, map(int, runner_up), confidence, reasons))
    changes = told[:, columns.CHANGES]
    if changes.size:
        (places,) = (changes[:, columns.CLUSTER] >= columns.NO_CLUSTER).nonzero()
        told_of = zip(changes[places].tolist(), clients[places].tolist(), strict=True)
        for place, (change, own) in zip(places.tolist(), told_of, strict=True):
            predictions[place].counterfactuals = _counterfactuals(change, own)
    return predictions


def _counterfactuals(changes: Sequence[float], own: list[float]) -> list[Counterfactual]:
    """Return what changes (16 numbers) of one client's amounts (5) reach a target, least first."""
    found = []
    for feature, column, start in columns.CHANGED:
        amount, cluster, confidence, until = changes[start : start + columns.CHANGE_WIDTH]
        if cluster >= 0:
            told = None if math.isnan(until) else until
            one = Counterfactual(feature, amount, int(cluster), confidence, told)
            found.append((abs(amount - own[column]), one))
    if len(found) > 1:
        found.sort(key=itemgetter(0))
    return [one for _, one in found]
