"""The model for many clients at once: as BentoML's store has it, or as the model service serves it.

Both say the same, to the last bit; a test holds them to it.
"""

import json
import math
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Final, Self
from urllib.parse import quote

import httpx
import numpy as np

from evaluation_api.decision.domain import FEATURES, Geometry
from evaluation_api.decision.errors import (
    ModelAnswerError,
    ModelRefusalError,
    ModelUnavailableError,
    ModelVersionGoneError,
)
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.model.client import MAX_ROWS, geometry_of, model_of
from model_store import golden
from model_store.features import PROFILE_COUNT
from model_store.geometry import CHANGEABLE
from model_store.serving import answers, npy, predictor
from model_store.serving.requests import ExplanationOptions, with_options
from model_store.version import StoredModel
from portfolio import limits
from portfolio.frames import Floats, Profiles

#: Finding changes takes ten times as long, and whoever asks for one client waits meanwhile.
_ROWS_WITH_CHANGES: Final = 256
_REASONS: Final = answers.CHANGES.start
_CHANGEABLE: Final = np.array(CHANGEABLE)
_NAMES: Final = np.array(FEATURES, object)[_CHANGEABLE]

#: (feature, amount, cluster, confidence), and until where that is told.
Change = tuple[object, ...]


class StoredProfiler:
    """Places clients as the model service does, by the geometry where the model has one."""

    def __init__(self, stored: StoredModel) -> None:
        """Open the model. Raises GoldenMismatch or PickleRefused where it is not what it was."""
        promise = None if stored.promise is None else json.dumps(stored.promise).encode()
        self.model = model_of(stored.tag.encode(), stored.sha256.encode(), promise)
        self._stored = stored
        #: What the version's import kept of it.
        self.metadata = stored.metadata
        self._numbers, self._centroids = stored.numbers, stored.centroids
        self._estimator = None if stored.numbers is not None else stored.open_estimator()
        if self._estimator is not None:
            golden.check(self._estimator, stored.golden)

    def profiles(self, amounts: Floats) -> Profiles:
        """Place n clients (n x 5, in the order of FEATURES)."""
        if self._numbers is None:
            assert self._estimator is not None  # noqa: S101 - one of the two is there
            labels = golden.predict(self._estimator, amounts)
            return Profiles(labels, np.full(len(amounts), np.nan))
        found = self._numbers.explain(amounts)
        return Profiles(found.cluster, found.confidence, found.contributions, found.runner_up)

    def changes(self, amounts: Floats, policy: AnyPolicy) -> list[list[Change]]:
        """Return for n clients the changes of one amount that the policy may approve.

        They are found as the model service finds them for the evaluation service: least first.
        """
        if self._centroids is None:
            return [[] for _ in amounts]
        options = ExplanationOptions(policy.targets, policy.margin)
        asked = with_options(amounts, options, limits.of(policy, self.model, amounts))
        return _changes(self._served.predict(asked), amounts)

    @cached_property
    def _served(self) -> predictor.ServedModel:
        return predictor.serve(self._stored)

    def describe(self) -> Geometry:
        """Return what the model service would say of this model."""
        centroids, sizes = self._centroids, self._stored.metadata.get("cluster_sizes")
        return Geometry(
            self.model,
            FEATURES,
            None if centroids is None else tuple(map(tuple, centroids.tolist())),
            None if sizes is None else tuple(sizes),
        )


class ServedProfiler:
    """Places clients by the model service, by columns; one version from its making on.

    Whatever is promoted meanwhile, a file is decided by one model: the version that serves when the
    file begins, which is asked for by name once another one answers.
    """

    def __init__(self, http: httpx.Client) -> None:
        """Meet the model that serves. http: base_url is the model service. Raises ModelError."""
        self._http = http
        self._described = geometry_of(self._answered("GET", "/model").content)
        self.model = self._described.model
        self._path = "/predict"

    @classmethod
    def at(cls, url: str, timeout_seconds: float) -> Self:
        """Meet the model that serves at url. timeout_seconds: for an answer of up to 1,024 rows."""
        return cls(httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=False))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def profiles(self, amounts: Floats) -> Profiles:
        """Place n clients (n x 5, in the order of FEATURES). Raises ModelError."""
        told = self._ask(amounts, MAX_ROWS, _REASONS, {})
        cluster, confidence = told[:, 0].astype(np.int64), told[:, 2]
        if np.isnan(told[:, 1]).any():
            return Profiles(cluster, confidence)
        return Profiles(cluster, confidence, told[:, 3:], told[:, 1].astype(np.int64))

    def changes(self, amounts: Floats, policy: AnyPolicy) -> list[list[Change]]:
        """Return what StoredProfiler.changes does. Raises ModelError."""
        if self._described.centroids is None:
            return [[] for _ in amounts]
        within = limits.of(policy, self.model, amounts)
        bounded = np.broadcast_to(within, (len(amounts), within.shape[1]))
        options = {"targets": ",".join(map(str, policy.targets)), "margin": repr(policy.margin)}
        rows = np.hstack([amounts, bounded])
        told = self._ask(rows, _ROWS_WITH_CHANGES, len(answers.COLUMNS), options)
        return _changes(told, amounts)

    def describe(self) -> Geometry:
        """Return what the model service said of this model."""
        return self._described

    def _ask(self, rows: Floats, at_once: int, width: int, options: Mapping[str, str]) -> Floats:
        """Ask about rows, so many at once; return n x width. Raises ModelError."""
        starts = range(0, len(rows), at_once)
        told = [self._ask_once(rows[at : at + at_once], width, options) for at in starts]
        return np.vstack([np.empty((0, width)), *told])

    def _ask_once(self, rows: Floats, width: int, options: Mapping[str, str]) -> Floats:
        answer = self._answered("POST", self._path, npy.write(rows), options)
        try:
            told = npy.read(answer.content, {width})
        except npy.NotNpyError as exc:
            raise ModelAnswerError(str(exc)) from exc
        if len(told) != len(rows):
            raise ModelAnswerError(f"{len(told)} answers to {len(rows)} clients")
        if answer.headers.get("x-model-sha256") != self.model.sha256:
            return self._ask_by_name(rows, width, options)
        if not ((told[:, 0] >= 0) & (told[:, 0] < PROFILE_COUNT)).all():
            raise ModelAnswerError("an answer has a label that is no profile")
        return told

    def _ask_by_name(self, rows: Floats, width: int, options: Mapping[str, str]) -> Floats:
        path = f"/models/{quote(self.model.tag, safe=':')}/predict"
        if self._path == path:
            raise ModelAnswerError(f"another model than {self.model.tag} answered")
        self._path = path
        return self._ask_once(rows, width, options)

    def _answered(
        self, method: str, path: str, content: bytes = b"", options: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Ask, once more where the connection failed: predicting twice changes nothing."""
        headers = {"Content-Type": npy.MEDIA_TYPE}
        request = self._http.build_request(
            method, path, content=content, params=options, headers=headers
        )
        try:
            try:
                answer = self._http.send(request)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                answer = self._http.send(request)
        except httpx.HTTPError as exc:
            raise ModelUnavailableError(f"{type(exc).__name__}: {exc}") from exc
        _require_ok(answer)
        return answer


def _require_ok(answer: httpx.Response) -> None:
    told = f"HTTP {answer.status_code}: {answer.text[:200]}"
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise ModelVersionGoneError(told)
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        raise ModelRefusalError(told)
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise ModelUnavailableError(told)
    if answer.status_code != httpx.codes.OK:
        raise ModelAnswerError(told)


def _changes(told: Floats, amounts: Floats) -> list[list[Change]]:
    """Return what answers (n x 24) about amounts (n x 5) say of changes, as as_predictions does.

    By columns, which takes a sixth of the time.
    """
    each = told[:, answers.CHANGES].reshape(len(told), len(CHANGEABLE), answers.CHANGE_WIDTH)
    who, which = (each[:, :, answers.CLUSTER] >= 0).nonzero()
    least_first = np.lexsort((np.abs(each[who, which, 0] - amounts[who, _CHANGEABLE[which]]), who))
    who, which = who[least_first], which[least_first]
    amount, cluster, confidence, until = each[who, which].T.tolist()
    features = _NAMES[which].tolist()
    limitless = list(zip(features, amount, map(int, cluster), confidence, strict=True))
    changes: list[Change] = [
        change if math.isnan(end) else (*change, end)
        for change, end in zip(limitless, until, strict=True)
    ]
    ends = np.bincount(who, minlength=len(told)).cumsum().tolist()
    return [changes[start:stop] for start, stop in pairwise([0, *ends])]
