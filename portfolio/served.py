"""The model for many clients at once, as the model service serves it: needs no BentoML here.

Says what profiler.StoredProfiler says, to the last bit; a test holds both to it.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import httpx
import numpy as np

from evaluation_api.decision.domain import Geometry
from evaluation_api.decision.errors import (
    ModelAnswerError,
    ModelRefusalError,
    ModelUnavailableError,
    ModelVersionGoneError,
)
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.model.messages import MAX_ROWS, geometry_of
from model_store.features import PROFILE_COUNT
from model_store.serving import columns, npy
from portfolio import changes, limits
from portfolio.frames import Floats, Profiles

#: Finding changes takes ten times as long, and whoever asks for one client waits meanwhile.
_ROWS_WITH_CHANGES: Final = 256
_REASONS: Final = columns.CHANGES.start
#: For up to 1,024 rows, behind whoever asks for one client.
_ANSWER_SECONDS: Final = 10.0


def connect(url: str, token: str | None = None) -> httpx.Client:
    """Return what asks the model service at url; token: by which it knows who asks."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False)


class ServedProfiler:
    """Places clients by the model service, by columns; one version from its making on.

    Whatever is promoted meanwhile, a file is decided by one model: the version that serves when the
    file begins, which is asked for by name once another one answers.
    """

    is_in_memory = False

    def __init__(self, http: httpx.Client) -> None:
        """Meet the model that serves. http: base_url is the model service. Raises ModelError."""
        self._http = http
        self._described = geometry_of(self._answered("GET", "/model").content)
        self.model = self._described.model
        self._path = "/predict"

    def profiles(self, amounts: Floats) -> Profiles:
        """Place n clients (n x 5, in the order of FEATURES). Raises ModelError."""
        told = self._ask(amounts, MAX_ROWS, _REASONS, {})
        cluster, confidence = told[:, 0].astype(np.int64), told[:, 2]
        if np.isnan(told[:, 1]).any():
            return Profiles(cluster, confidence)
        return Profiles(cluster, confidence, told[:, 3:], told[:, 1].astype(np.int64))

    def changes(self, amounts: Floats, policy: AnyPolicy) -> list[list[changes.Change]]:
        """Return what StoredProfiler.changes does. Raises ModelError."""
        if self._described.centroids is None:
            return [[] for _ in amounts]
        within = limits.of(policy, self.model, amounts)
        bounded = np.broadcast_to(within, (len(amounts), within.shape[1]))
        options = {"targets": ",".join(map(str, policy.targets)), "margin": repr(policy.margin)}
        rows = np.hstack([amounts, bounded])
        told = self._ask(rows, _ROWS_WITH_CHANGES, len(columns.COLUMNS), options)
        return changes.read(told, amounts)

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
