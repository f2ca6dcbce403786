"""The keeper of the model service: predictions over HTTP, shared, bounded, and never nonsense.

Speaks to an httpx transport, whichever it is, rather than to a client around it: between two
services of one system the client's cookies, redirects and hooks are never used, and cost a
twentieth of a lone request. Translates everything that can go wrong into errors.ModelError.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import Self, cast
from urllib.parse import quote

import httpx
from prometheus_client import Counter

from evaluation_api.decision import errors
from evaluation_api.decision.domain import CardUsage, Geometry, Model, Prediction
from evaluation_api.model import messages
from evaluation_api.model.circuit import Circuit
from evaluation_api.model.messages import MAX_ROWS, Answer, Spans
from evaluation_api.runtime.coalescing import Coalescer

logger = logging.getLogger(__name__)

_FAILED = Counter(
    "evaluation_model_failed_calls",
    "Calls of the model service that brought no answer of use, by what went wrong",
    ["error"],
)

#: One that runs, and one that overtakes it when it is stuck or when enough wait (docs/adr/0002).
_MAX_CONCURRENT_CALLS = 2
#: Enough to find one client whom the model refuses among MAX_ROWS, or three among 40.
_MOST_CALLS = 24
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_WARNINGS = 1.0
#: Both services start at once, and the model's takes longer: until then nobody need be told.
_STARTING_SECONDS = 10.0
#: Anybody; asked for to find out whether predictions can be had again.
_PROBE = CardUsage(1000.0, 1000.0, 0.0, 1000.0, 1000.0)

Predicted = Prediction | errors.ModelRefusalError

_JSON = (b"content-type", b"application/json")


class ModelClient:
    """Predicts one client at a time for the caller, and many at a time on the wire."""

    def __init__(  # noqa: PLR0913 - each is one limit, given by name
        self,
        transport: httpx.AsyncBaseTransport,
        url: str,
        *,
        targets: Iterable[int],
        margin: float,
        spans: Spans | None = None,
        deadline_seconds: float,
        circuit: Circuit,
        max_waiting: int,
        token: str | None = None,
    ) -> None:
        """Talk through transport to the model service at url.

        targets, margin: the approved clusters and the confidence to reach them with, for which the
        model service looks for counterfactuals, anywhere or where spans says of a client.
        deadline_seconds: for one call, its retry included. token: by which the model service knows
        its callers; one of the last release takes no notice.
        """
        self._known_by = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        # The last release's model service knows the targets by this name alone.
        self._options = {"toward": ",".join(map(str, targets)), "margin": str(margin)}
        self._spans = spans
        #: As of the last answer; None until the first.
        self.model: Model | None = None
        #: As of the last look; None until the first.
        self.geometry: Geometry | None = None
        self._look: asyncio.Task[Geometry] | None = None
        self._look_again_at = 0.0
        self._has_looked_in_vain = False
        self._warn_again_at = 0.0
        self._started_at = time.monotonic() + _STARTING_SECONDS
        self._transport = transport
        self._base = url.rstrip("/")
        self._url = httpx.URL(f"{self._base}/predict", params=self._options)
        self._host = (b"host", self._url.netloc)
        self._deadline_seconds = deadline_seconds
        self._circuit = circuit
        self._coalesced = Coalescer(
            self.predict_each,
            max_items=MAX_ROWS,
            max_waiting=max_waiting,
            max_age_seconds=deadline_seconds,
            overloaded=errors.OverloadedError,
            max_concurrent_calls=_MAX_CONCURRENT_CALLS,
        )

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)
        await self._transport.aclose()

    @property
    def is_away(self) -> bool:
        """Whether the last predictions or the last look failed."""
        return self._circuit.is_open or self._has_looked_in_vain

    async def ensure_available(self) -> None:
        """Find out whether a model that was away is back. Raises ModelError if not."""
        if self._circuit.is_open:
            await self.predict_each([_PROBE])

    async def predict(self, usage: CardUsage) -> Prediction:
        """Predict one client.

        Raises ModelUnavailableError, ModelAnswerError, or OverloadedError when too many wait.
        """
        predicted = await self._coalesced(usage)
        if isinstance(predicted, Prediction):
            return predicted
        raise predicted

    async def predict_each(self, usages: Sequence[CardUsage]) -> list[Predicted]:
        """Predict up to MAX_ROWS clients; one whom the model refuses harms no neighbour.

        It does not say whom: what is refused is asked again by halves. Raises ModelError.
        """
        predicted: list[Predicted] = []
        groups, calls = [usages], 0
        while groups:
            group, calls = groups.pop(), calls + 1
            try:
                predicted += await self._predict(group)
            except errors.ModelRefusalError as exc:
                half = len(group) // 2
                if half and calls < _MOST_CALLS:
                    groups += [group[half:], group[:half]]
                else:
                    predicted += [exc] * len(group)
        return predicted

    async def _predict(self, usages: Sequence[CardUsage]) -> list[Prediction]:
        """Predict in one call with the circuit's leave, and keep the circuit informed."""
        if not self._circuit.admits():
            raise errors.ModelUnavailableError("the circuit is open")
        try:
            answer = await self._post(self._url, usages)
            predictions = messages.predictions(answer, len(usages))
        except errors.ModelError as exc:
            self._tell(exc)
            # A refusal is of one client, and says nothing of others.
            if not isinstance(exc, errors.ModelRefusalError):
                self._circuit.failed()
            raise
        self._circuit.succeeded()
        if predictions:
            self.model = predictions[0].model
        return predictions

    async def _post(
        self, url: httpx.URL, usages: Sequence[CardUsage], seconds: float | None = None
    ) -> Answer:
        """Ask about clients with their limits, unless the model service takes none.

        One that makes promises takes them. Among replicas, or where none was met yet, one of the
        last release refuses them. seconds: also for a single replica; else the deadline.
        """
        if self._spans is not None and (self.model is None or self.model.promise is not None):
            body = messages.encode(usages, self._spans)
            answer = await self._send(self._question(url, body, seconds), seconds)
            if answer.status != httpx.codes.UNPROCESSABLE_ENTITY:
                return answer
        return await self._send(self._question(url, messages.encode(usages), seconds), seconds)

    def _question(
        self, url: httpx.URL, content: bytes, read_seconds: float | None
    ) -> httpx.Request:
        """Ask with a body that httpx need not look into, as it does for a client's users."""
        length = (b"content-length", b"%d" % len(content))
        headers = [self._host, _JSON, length, *self._known_by]
        extensions = None if read_seconds is None else {"timeout": {"read": read_seconds}}
        stream = httpx.ByteStream(content)
        return httpx.Request("POST", url, headers=headers, stream=stream, extensions=extensions)

    async def predict_as(self, tag: str, usages: Sequence[CardUsage]) -> list[Prediction]:
        """Predict up to MAX_ROWS clients with an earlier version of the model.

        Raises ModelVersionGoneError when the model service's store no longer has it, and
        ModelUnavailableError or ModelAnswerError.
        """
        url = httpx.URL(f"{self._base}/models/{quote(tag, safe=':')}/predict", params=self._options)
        # It may have to load the version first.
        answer = await self._post(url, usages, 4 * self._deadline_seconds)
        if answer.status == httpx.codes.NOT_FOUND:
            raise errors.ModelVersionGoneError(tag)
        return messages.predictions(answer, len(usages))

    async def look(self) -> Geometry:
        """Return what the model service says of itself, asked once a second however many look.

        It has no vote in the circuit, which is theirs who wait for predictions. Raises ModelError.
        """
        now = time.monotonic()
        if self._look is None or (self._look.done() and now >= self._look_again_at):
            self._look_again_at = now + _SECONDS_BETWEEN_LOOKS
            self._look = asyncio.create_task(self.describe())
            # Nobody may be left to be told: all who asked may have gone meanwhile.
            self._look.add_done_callback(lambda look: look.cancelled() or look.exception())
        return await asyncio.shield(self._look)

    async def describe(self) -> Geometry:
        """Return the model in service and its centroids, where it has any. Raises ModelError."""
        try:
            asking = httpx.Request("GET", f"{self._base}/model", headers=self._known_by)
            self.geometry = messages.geometry(await self._send(asking))
        except errors.ModelError as exc:
            self._has_looked_in_vain = True
            if self.model is not None or time.monotonic() >= self._started_at:
                self._tell(exc)
            raise
        self._has_looked_in_vain = False
        self.model = self.geometry.model
        return self.geometry

    def _tell(self, exc: errors.ModelError) -> None:
        """Count a call that failed, and warn of it unless that was done a moment ago."""
        _FAILED.labels(type(exc).__name__).inc()
        now = time.monotonic()
        if now >= self._warn_again_at:
            self._warn_again_at = now + _SECONDS_BETWEEN_WARNINGS
            logger.warning("model_call_failed", extra={"reason": str(exc)})

    async def _send(self, request: httpx.Request, seconds: float | None = None) -> Answer:
        """Send, once more if the connection failed: predicting twice changes nothing."""
        seconds = seconds or self._deadline_seconds
        try:
            async with asyncio.timeout(seconds):
                try:
                    answer = await self._exchange(request)
                except httpx.TransportError:
                    answer = await self._exchange(request)
        except TimeoutError as exc:
            raise errors.ModelUnavailableError(f"no answer within {seconds:g} s") from exc
        except (httpx.HTTPError, httpx.StreamError) as exc:
            raise errors.ModelUnavailableError(f"{type(exc).__name__}: {exc}") from exc
        if answer.status == httpx.codes.TOO_MANY_REQUESTS or httpx.codes.is_server_error(
            answer.status
        ):
            raise errors.ModelUnavailableError(f"HTTP {answer.status}")
        return answer

    async def _exchange(self, request: httpx.Request) -> Answer:
        async with aclosing(await self._transport.handle_async_request(request)) as response:
            stream = cast("httpx.AsyncByteStream", response.stream)
            content = b"".join([part async for part in stream])
            headers = {name.lower(): value for name, value in response.headers.raw}
            return Answer(response.status_code, headers, content)
