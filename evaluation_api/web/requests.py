"""What callers may send: bodies, queries and keys, checked field by field.

Strict: a number is a JSON number, an unknown field is refused by name. Every wrong field is named,
not the first alone.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from fastapi import Request
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from evaluation_api.decision import sentences
from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    IdempotencyKey,
    Outcome,
    Review,
    Search,
)
from evaluation_api.decision.errors import (
    BodyTooLargeError,
    FieldError,
    InvalidRequestError,
    MalformedJsonError,
)
from evaluation_api.decision.limits import LARGEST_AMOUNT, LONGEST_NAME, READABLE, READABLE_LINES

#: The analysts' days begin and end here.
SAO_PAULO = ZoneInfo("America/Sao_Paulo")

MAX_BODY_BYTES: Final = 64 * 1024
_LONGEST_KEY = 255


def _day(text: str) -> date:
    """Read 2026-11-22; pydantic's own dates take a number for seconds since 1970 as well."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError as exc:
        raise PydanticCustomError("day", "no day") from exc


_Day = Annotated[date, BeforeValidator(_day)]
_Amount = Annotated[float, Field(ge=0, le=LARGEST_AMOUNT, allow_inf_nan=False)]
_Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=LONGEST_NAME, pattern=READABLE
    ),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ApplicantBody(_Body):
    """Who asks, and five amounts about their card use, in reais."""

    name: _Name = Field(examples=["Maria"])
    balance: _Amount = Field(description="Saldo devedor: o que o cliente deve", examples=[1055.0])
    purchases: _Amount = Field(description="Compras", examples=[3345.0])
    cash_advance: _Amount = Field(description="Saques", examples=[147.0])
    credit_limit: Annotated[float, Field(gt=0, le=LARGEST_AMOUNT, allow_inf_nan=False)] = Field(
        description="Limite de crédito", examples=[3854.0]
    )
    payments: _Amount = Field(description="Pagamentos", examples=[3233.0])


class ReviewBody(_Body):
    """What a person decided about an evaluation, and why."""

    decisao: Annotated[Outcome, Field(strict=False)]
    justificativa: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, min_length=10, max_length=2000, pattern=READABLE_LINES
        ),
    ]
    revisor: _Name


class SearchQuery(BaseModel):
    """The query of GET /avaliacoes; strings, as queries are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limite: int = Field(20, ge=1, le=100)
    cursor: UUID | None = None
    decisao: Outcome | None = None
    perfil: int | None = Field(None, ge=0, le=4)
    de: _Day | None = None
    ate: Annotated[_Day, Field(lt=date.max)] | None = None  # its day after must have a date
    nome: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NAME, pattern=READABLE)
    ] = ""


_B = TypeVar("_B", bound=_Body)


async def read_body(request: Request) -> bytes:
    """Read a body of up to 64 KB, counting as it comes. Raises BodyTooLargeError."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLargeError
    return bytes(body)


def read_applicant_body(body: bytes) -> ApplicantBody:
    """Read the body of POST /avaliar. Raises InvalidRequestError naming every wrong field."""
    return _read(ApplicantBody, body)


def applicant_of(sent: ApplicantBody) -> Applicant:
    """Return who asks, as the domain has it."""
    usage = CardUsage(
        sent.balance, sent.purchases, sent.cash_advance, sent.credit_limit, sent.payments
    )
    return Applicant(sent.name, usage)


def read_review(body: bytes, review_id: str, evaluation_id: str) -> Review:
    """Read the body of POST /avaliacoes/{id}/revisao. Raises InvalidRequestError."""
    sent = _read(ReviewBody, body)
    return Review(
        review_id,
        evaluation_id,
        sent.decisao,
        sent.justificativa,
        sent.revisor,
        datetime.now(UTC),
    )


def _read(kind: type[_B], body: bytes) -> _B:
    try:
        return kind.model_validate_json(body)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        if errors[0]["type"] == "json_invalid":
            raise MalformedJsonError(errors[0]["msg"]) from exc
        raise InvalidRequestError([_field_error(error) for error in errors]) from exc


def _field_error(error: Any) -> FieldError:  # noqa: ANN401 - pydantic's own dict
    path = [str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"]]
    field = str(error["loc"][-1]) if error["loc"] else ""
    detail = sentences.field_error(error["type"], field, error.get("ctx", {}))
    return FieldError("#" + "".join(f"/{part}" for part in path), detail)


def read_key(key: str | None, applicant: Applicant) -> IdempotencyKey | None:
    """Read the Idempotency-Key header. Raises InvalidRequestError unless 1-255 visible ASCII."""
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY or not all("!" <= c <= "~" for c in key):
        raise InvalidRequestError([FieldError("Idempotency-Key", sentences.BAD_KEY)])
    return IdempotencyKey(key, hashlib.sha256(msgspec.json.encode(applicant)).hexdigest())


def read_search(query: Mapping[str, str]) -> Search:
    """Read the query of GET /avaliacoes. Raises InvalidRequestError naming every wrong field."""
    try:
        sent = SearchQuery.model_validate(dict(query))
    except ValidationError as exc:
        raise InvalidRequestError([_field_error(error) for error in exc.errors()]) from exc
    return Search(
        limit=sent.limite,
        before_id=None if sent.cursor is None else str(sent.cursor),
        outcome=sent.decisao,
        cluster=sent.perfil,
        since=None if sent.de is None else _midnight(sent.de),
        until=None if sent.ate is None else _midnight(sent.ate + timedelta(days=1)),
        name=sent.nome or None,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, SAO_PAULO)
