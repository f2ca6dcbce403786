"""Writes what /predict answers: predictions, or why there are none."""

from http import HTTPStatus
from typing import Any, ClassVar

import bentoml
import msgspec
from starlette.responses import Response

from model_store.features import FEATURES
from model_store.geometry import Explanation, Labels
from model_store.serving import requests
from model_store.serving.requests import UnreadableRequestError
from model_store.version import StoredModel

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

    #: Which model answers, by tag and sha256; the service sets it once it has opened one.
    headers: ClassVar[dict[str, str]] = {}

    @classmethod
    async def to_http_response(cls, obj: list[Prediction], serde: object) -> Response:  # noqa: ARG003
        """Answer n predictions as they were asked for, or why the request could not be read."""
        asked = requests.asked.get()
        if isinstance(asked, UnreadableRequestError):
            return problem(asked.status, str(asked))
        return written(obj, cls.headers, single=asked.single)

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


def written(predictions: list[Prediction], headers: dict[str, str], *, single: bool) -> Response:
    """Write n predictions as one object, or as a list in the order of the clients."""
    body = _encode(predictions[0] if single else predictions)
    return Response(body, headers=headers, media_type="application/json")


def problem(status: HTTPStatus, detail: str) -> Response:
    """Write why there are no predictions, as RFC 9457 problem+json."""
    body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    return Response(_encode(body), status, media_type="application/problem+json")


def labels_only(cluster: Labels) -> list[Prediction]:
    """Make predictions of labels (n), for a model whose geometry is not known."""
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
