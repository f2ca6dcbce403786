"""Reads what /predict is asked: clients in a body, explanation options in a query.

Every amount is checked before there is a batch, since one bad row inside would fail its neighbours.
"""

import json
import operator
from contextvars import ContextVar
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl

import bentoml
import msgspec
import numpy as np
from starlette.requests import Request
from starlette.types import Scope

from model_store.features import FEATURES, LARGEST_AMOUNT
from model_store.geometry import CHANGEABLE, Matrix
from model_store.serving import npy
from model_store.serving.batches import ExplanationOptions, with_options
from model_store.serving.columns import ANY_AMOUNT

MAX_CLIENTS = 1024
#: Four times what 1,024 clients of seven-digit amounts take.
MAX_BODY_BYTES = 1024 * 512

_Amount = Annotated[float, msgspec.Meta(ge=0, le=LARGEST_AMOUNT)]
_Limit = Annotated[float, msgspec.Meta(gt=0, le=LARGEST_AMOUNT)]

_CHANGEABLE = tuple(FEATURES[column] for column in CHANGEABLE)

ChangeLimits = msgspec.defstruct(
    "ChangeLimits",
    [(name, tuple[_Amount, _Amount] | None, None) for name in _CHANGEABLE],
    namespace={"__doc__": "The least and the greatest of each amount that may be changed."},
    forbid_unknown_fields=True,
    frozen=True,
)
Client = msgspec.defstruct(
    "Client",
    [
        *((name, _Limit if name == "credit_limit" else _Amount) for name in FEATURES),
        ("limits", ChangeLimits | None, None),
    ],
    namespace={"__doc__": "One client as /predict takes it: amounts in any one currency."},
    forbid_unknown_fields=True,
    gc=False,
)
_decode = msgspec.json.Decoder(
    Client | Annotated[list[Client], msgspec.Meta(max_length=MAX_CLIENTS)]  # type: ignore[valid-type]
)
_COLUMNS = tuple(operator.attrgetter(feature) for feature in FEATURES)
NO_CLIENTS = np.empty((0, len(FEATURES)))
_NPY = npy.MEDIA_TYPE.encode()
_LIMIT_COLUMN = FEATURES.index("credit_limit")
#: Amounts, and amounts with what each changeable one may become.
_WIDTHS = (len(FEATURES), len(FEATURES) + 2 * len(_CHANGEABLE))
_SPANS = tuple(operator.attrgetter(feature) for feature in _CHANGEABLE)
_NOT_AT_ALL = (float("nan"), float("nan"))


class UnreadableRequestError(Exception):
    """What is asked cannot be read; one sentence names the client and the field."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class PredictRequest(NamedTuple):
    """Clients with their options, n x 15 as `with_options` makes them; single if not in a list.

    by_columns: whether the answer is to be columns, as the clients were.
    """

    matrix: Matrix
    single: bool
    by_columns: bool = False

    @property
    def clients(self) -> Matrix:
        """Return the amounts alone, n x 5."""
        return self.matrix[:, : len(FEATURES)]

    @property
    def has_targets(self) -> bool:
        """Tell whether any client wants to know how to get to another label."""
        return bool(self.matrix[:, len(FEATURES)].any())


#: What this task's request asks, or why it cannot be read: BentoML shows an answer no request.
asked: ContextVar[PredictRequest | UnreadableRequestError] = ContextVar("asked")


class Clients(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML is not typed
    """The body of /predict, read straight into a matrix.

    BentoML's own root types build a JSON schema at each request, 2.6 ms of CPU, and an exception
    here would write a stack trace for each mistyped amount. So a body that cannot be read becomes
    a matrix of no clients, and Predictions answers why.
    """

    __root_input__: ClassVar[bool] = True

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Matrix:  # noqa: ARG003
        """Read n clients and the options in the query: n x 15, n = 0 if they cannot be read."""
        try:
            read_request = await read(request)
        except UnreadableRequestError as exc:
            asked.set(exc)
            return with_options(NO_CLIENTS, ExplanationOptions())
        asked.set(read_request)
        return read_request.matrix

    @classmethod
    def model_json_schema(cls, *_: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """Describe one client, or a list of them, as what a caller's one argument is."""
        return one_or_more(Client, **options) | {"root_input": True}


async def read(request: Request) -> PredictRequest:
    """Read a request for predictions. Raises UnreadableRequestError."""
    try:
        options = _read_options(request.scope["query_string"])
    except msgspec.ValidationError as exc:
        raise UnreadableRequestError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"In the query: {exc}"
        ) from exc
    body, by_columns = await _body(request), media_type_of(request.scope) == _NPY
    clients, limits, single = read_columns(body) if by_columns else read_clients(body)
    return PredictRequest(with_options(clients, options, limits), single, by_columns)


def media_type_of(scope: Scope) -> bytes:
    """Return what a request says that its body is, without parameters."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type: bytes = value.partition(b";")[0].strip().lower()
            return media_type
    return b""


async def _body(request: Request) -> bytes:
    """Count bytes as they arrive: a chunked body names no length, and BentoML has no limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            detail = f"The body is larger than {MAX_BODY_BYTES} bytes"
            raise UnreadableRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return bytes(body)


@lru_cache(maxsize=64)
def _read_options(query: bytes) -> ExplanationOptions:
    """Read ?targets=1,3,4&margin=0.05; the release before this one calls the targets `toward`."""
    fields = dict(parse_qsl(query.decode("latin-1")))
    former = fields.pop("toward", "")
    labels = [label for label in fields.pop("targets", former).split(",") if label]
    return msgspec.convert({**fields, "targets": labels}, ExplanationOptions, strict=False)


def read_clients(body: bytes) -> tuple[Matrix, Matrix, bool]:
    """Read one client or a list of up to 1,024, and whether it was one.

    Clients are n x 5 in the order of FEATURES, their limits n x 8 as `with_options` takes them.

    Raises UnreadableRequestError naming the first client and field that cannot be accepted.
    """
    try:
        clients = _decode.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise UnreadableRequestError(HTTPStatus.UNPROCESSABLE_ENTITY, _reason(body, exc)) from exc
    if isinstance(clients, Client):
        return _matrix([clients]), _limits([clients]), True
    if not clients:
        return NO_CLIENTS, ANY_AMOUNT, False
    return _matrix(clients), _limits(clients), False


def read_columns(body: bytes) -> tuple[Matrix, Matrix, bool]:
    """Read up to 1,024 clients from a matrix of float64 in NumPy's format, as read_clients does.

    n x 5, the amounts in the order of FEATURES; or n x 13, where the least and then the greatest of
    each changeable amount follow, both NaN where it is not to be changed.

    Raises UnreadableRequestError naming the first client and field that cannot be accepted.
    """
    try:
        sent = npy.read(body, _WIDTHS)
    except npy.NotNpyError as exc:
        raise _unreadable(str(exc)) from exc
    if len(sent) > MAX_CLIENTS:
        raise _unreadable(f"Expected `array` of length <= {MAX_CLIENTS}")
    clients, limits = sent[:, : len(FEATURES)], sent[:, len(FEATURES) :]
    _require_amounts(clients)
    if not limits.size:
        return clients, ANY_AMOUNT, False
    _require_limits(limits)
    return clients, limits, False


def _require_amounts(clients: Matrix) -> None:
    """Find what the JSON's types would refuse, in the same words; NaN compares as neither."""
    good = (clients >= 0) & (clients <= LARGEST_AMOUNT)
    good[:, _LIMIT_COLUMN] &= clients[:, _LIMIT_COLUMN] > 0
    if not good.all():
        row, column = np.argwhere(~good)[0].tolist()
        above = ">" if column == _LIMIT_COLUMN else ">="
        place = f"$[{row}].{FEATURES[column]}"
        raise _unreadable(f"{_bound(clients[row, column], above)} - at `{place}`")


def _require_limits(limits: Matrix) -> None:
    """Find a least or greatest amount that is none; only both of them may be NaN."""
    spans = limits.reshape(len(limits), 2, len(_CHANGEABLE))
    good = (spans >= 0) & (spans <= LARGEST_AMOUNT) | np.isnan(spans).all(axis=1, keepdims=True)
    if not good.all():
        row, end, column = np.argwhere(~good)[0].tolist()
        place = f"$[{row}].limits.{_CHANGEABLE[column]}[{end}]"
        raise _unreadable(f"{_bound(spans[row, end, column], '>=')} - at `{place}`")


def _bound(amount: float, above: str) -> str:
    is_large = amount > LARGEST_AMOUNT
    return f"Expected `float` {f'<= {LARGEST_AMOUNT}' if is_large else f'{above} 0.0'}"


def _unreadable(detail: str) -> UnreadableRequestError:
    return UnreadableRequestError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _matrix(clients: list[msgspec.Struct]) -> Matrix:
    """Take the amounts column by column, which is faster than client by client."""
    return np.array([list(map(column, clients)) for column in _COLUMNS]).T


def _limits(clients: list[Any]) -> Matrix:
    """Return the limits of clients, n x 8, or a single row where none has any."""
    if all(client.limits is None for client in clients):
        return ANY_AMOUNT
    spans = [
        [((client.limits and span(client.limits)) or _NOT_AT_ALL) for client in clients]
        for span in _SPANS
    ]
    lows_and_highs = np.array(spans).transpose(1, 2, 0).reshape(len(clients), -1)
    without = [client.limits is None for client in clients]
    return np.where(np.array(without)[:, None], ANY_AMOUNT, lows_and_highs)


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


def one_or_more(
    item: type[msgspec.Struct], ref_template: str = "#/$defs/{model}", **_: object
) -> dict[str, Any]:
    """Describe an item or a list of them as JSON schema, its references as pydantic writes them."""
    one = msgspec.json.schema(item, ref_template=ref_template.replace("{model}", "{name}"))
    definitions = _in_openapi_3_0(one.pop("$defs"))
    either = [one, {"type": "array", "maxItems": MAX_CLIENTS, "items": one}]
    return {"title": item.__name__, "oneOf": either, "$defs": definitions}


def _in_openapi_3_0(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Say what msgspec says in the words of OpenAPI 3.0, which BentoML writes.

    There, nothing is "null", an exclusive minimum is no number, and all items have one schema.
    """
    if isinstance(schema, list):
        return [_in_openapi_3_0(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    said = {key: _in_openapi_3_0(part) for key, part in schema.items()}
    if "exclusiveMinimum" in said:
        said |= {"minimum": said["exclusiveMinimum"], "exclusiveMinimum": True}
    if "prefixItems" in said:
        said["items"] = said.pop("prefixItems")[0]
    if {"type": "null"} in said.get("anyOf", ()):
        others = [one for one in said.pop("anyOf") if one != {"type": "null"}]
        said |= {"nullable": True} | ({"allOf": others} if "$ref" in others[0] else others[0])
    return said
