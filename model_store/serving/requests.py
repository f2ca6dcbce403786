"""Reads a request of the model service and spells its answer, or why it is refused.

Sits between HTTP and answers.py; shared by BentoML's route and the plain ones beside it.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from model_store.geometry import Matrix
from model_store.serving import answers, predictor


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is answered with its reason, as RFC 9457 problem+json."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        """Take the status and one sentence."""
        super().__init__(detail)
        self.status = status

    def response(self) -> Response:
        """Spell the answer."""
        problem = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status,
            "detail": str(self),
        }
        return Response(
            msgspec.json.encode(problem), self.status, media_type="application/problem+json"
        )


class Batch(NamedTuple):
    """Clients and their wish, n x 7 as predictor.Predict takes them; single if not in a list."""

    matrix: Matrix
    single: bool

    def response(self, predictions: list[answers.Prediction], tag: str, sha256: str) -> Response:
        """Spell predictions as the clients were sent, and which model they are from."""
        headers = {"X-Model-Tag": tag, "X-Model-Sha256": sha256}
        body = answers.write(predictions, single=self.single)
        return Response(body, headers=headers, media_type="application/json")


async def read(request: Request) -> Batch:
    """Read the clients in a body and the wish in a query. Raises Refused."""
    try:
        wish = _wish(request.scope["query_string"])
        clients = answers.read(await _body(request))
    except answers.UnreadableRowsError as exc:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)) from exc
    return Batch(predictor.with_wish(clients.matrix, *wish), clients.single)


async def _body(request: Request) -> bytes:
    """Count bytes as they arrive: a chunked body names no length, and BentoML has no limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > answers.MAX_BODY_BYTES:
            detail = f"The body is larger than {answers.MAX_BODY_BYTES} bytes"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return bytes(body)


@lru_cache(maxsize=64)
def _wish(query: bytes) -> tuple[tuple[int, ...], float]:
    """Read ?toward=1,3,4&margin=0.05; nothing is wished for by default."""
    fields = parse_qs(query.decode("latin-1"))
    return answers.read_wish(fields.get("toward", [""])[-1], fields.get("margin", ["0"])[-1])
