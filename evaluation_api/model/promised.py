"""Which model answered, and what it promises, out of what is said of it. Knows no HTTP."""

from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from evaluation_api.decision import errors
from evaluation_api.decision.domain import CLUSTERS, Model
from evaluation_api.decision.promise import Border, Promise

Cluster = Annotated[int, msgspec.Meta(ge=0, le=4)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Named(msgspec.Struct):
    """Which model it is, no longer than the record keeps it."""

    tag: Annotated[str, msgspec.Meta(pattern=r"\A[ -~]{1,80}\Z")]
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class ToldPromise(msgspec.Struct):
    """A promise as JSON has it."""

    paid_at_most: Share
    use_from: dict[str, Annotated[float, msgspec.Meta(ge=0)]]
    wrong_way: dict[Literal["balance", "cash_advance", "payments"], list[tuple[Cluster, Cluster]]]

    def read(self) -> Promise:
        """Return what it says."""
        borders = (
            Border(source, target, feature)
            for feature, pairs in self.wrong_way.items()
            for source, target in pairs
        )
        bounds = tuple(self.use_from.get(str(cluster)) for cluster in CLUSTERS)
        return Promise(self.paid_at_most, bounds, tuple(borders))


_decode = msgspec.json.Decoder(ToldPromise).decode


@lru_cache(maxsize=16)
def model_of(tag: bytes, sha256: bytes, promise: bytes | None) -> Model:
    """Return the model that headers name, its promise as JSON. Raises ModelAnswerError."""
    headers = {"tag": tag.decode("latin-1"), "sha256": sha256.decode("latin-1")}
    try:
        named = msgspec.convert(headers, Named)
    except msgspec.ValidationError as exc:
        raise errors.ModelAnswerError(f"the model that the answer is from: {exc}") from exc
    try:
        told = None if promise is None else _decode(promise).read()
    except msgspec.MsgspecError as exc:
        raise errors.ModelAnswerError(f"the model's promise: {exc}") from exc
    return Model(named.tag, named.sha256, told)
