"""What callers may send: bodies, queries and keys, checked field by field.

Strict: a number is a JSON number, an unknown field is refused by name. Every wrong field is named,
not the first alone.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Header, Request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, to_json

from evaluation_api.decision import errors, names, sentences
from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    IdempotencyKey,
    Outcome,
    Position,
    Review,
    ReviewReason,
    Search,
    own_key,
)
from evaluation_api.decision.limits import (
    LARGEST_AMOUNT,
    LONGEST_KEY,
    LONGEST_NAME,
    READABLE,
    READABLE_LINES,
)

#: The analysts' days begin and end here.
SAO_PAULO = ZoneInfo("America/Sao_Paulo")

MAX_BODY_BYTES: Final = 64 * 1024
#: A body of unknown fields alone would get an answer of eight times its size.
_MOST_NAMED: Final = 20
#: Of a field's name; longer than any of ours.
_LONGEST_SHOWN: Final = 80
_ID_LENGTH: Final = 36
_KEY: Final = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
#: Of a client whose fields stand once each: around six names and one value.
_FEWEST_QUOTES: Final = 14
#: A quoted string, or one that does not end.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)')


def _day(sent: object) -> date:
    """Read 2026-11-22; pydantic's own dates take a number for seconds since 1970 as well."""
    try:
        return datetime.strptime(str(sent), "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError as exc:
        raise PydanticCustomError("day", "no day") from exc


def _number(sent: object) -> object:
    """Refuse in a body what is read from a query; 3.0 is a whole number in JSON."""
    if isinstance(sent, str | bool):
        raise PydanticCustomError("int_parsing", "no number")
    return sent


_NO_TEXT: Final = BeforeValidator(_number)
_Day = Annotated[date, BeforeValidator(_day)]
#: A position, and the id of the evaluation that stands there.
_PLACE: Final = re.compile(rf"[0-9]{{1,18}}(-[0-9a-f-]{{{_ID_LENGTH}}})?")


def _require_place(text: str) -> str:
    if not _PLACE.fullmatch(text):
        raise PydanticCustomError("place", "no place")
    return text


_Place = Annotated[
    str,
    AfterValidator(_require_place),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^\d{{1,18}}(-[0-9a-f-]{{{_ID_LENGTH}}})?$",
            "maxLength": 55,
        }
    ),
]
_PageSize = Annotated[int, Field(ge=1, le=100, description="Avaliações por página")]
_Profile = Annotated[int | None, Field(ge=0, le=4, description="Só as deste perfil")]
_Amount = Annotated[float, Field(ge=0, le=LARGEST_AMOUNT, allow_inf_nan=False)]


def _name(text: str) -> str:
    """Return a name in one form, which may be longer. Raises PydanticCustomError for no name."""
    name = names.in_one_form(text)
    if len(name) > LONGEST_NAME:
        raise PydanticCustomError("string_too_long", "too long", {"max_length": LONGEST_NAME})
    if fault := names.fault(name):
        raise PydanticCustomError(fault, "no name")
    return name


_Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=LONGEST_NAME, pattern=READABLE
    ),
    AfterValidator(_name),
]


class Body(BaseModel):
    """What a body has in common with others: no field is unknown, and none of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ApplicantBody(Body):
    """Quem pede o cartão, e cinco valores do uso do cartão, em reais."""

    name: _Name = Field(description="Nome do cliente", examples=["Maria"])
    balance: _Amount = Field(description="Saldo devedor: o que o cliente deve", examples=[1055.0])
    purchases: _Amount = Field(description="Compras", examples=[3345.0])
    cash_advance: _Amount = Field(description="Saques", examples=[147.0])
    credit_limit: Annotated[float, Field(gt=0, le=LARGEST_AMOUNT, allow_inf_nan=False)] = Field(
        description="Limite de crédito", examples=[3854.0]
    )
    payments: _Amount = Field(description="Pagamentos", examples=[3233.0])


class ReviewBody(Body):
    """O que uma pessoa decidiu sobre uma avaliação, e por quê."""

    decisao: Annotated[Outcome, Field(strict=False)] = Field(
        description="Decisão de quem revisou", examples=["aprovado"]
    )
    justificativa: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, min_length=10, max_length=2000, pattern=READABLE_LINES
        ),
    ] = Field(description="Por quê", examples=["Renda comprovada por holerite."])
    revisor: _Name = Field(
        description="Nome de quem revisou; quem se identificou revisa com o próprio",
        examples=["Ana"],
    )
    motivo: Annotated[ReviewReason, Field(strict=False)] = Field(
        ReviewReason.OTHER, description="Por quê, em um código que se conta"
    )
    revisoes_vistas: int | None = Field(
        None, ge=0, description="Quantas revisões quem revisa viu; com outras, é recusada (409)"
    )


class SearchQuery(BaseModel):
    """A consulta de GET /avaliacoes; em texto, como são as consultas."""

    model_config = ConfigDict(frozen=True)

    limite: _PageSize = 20
    cursor: UUID | None = Field(None, description="O proximo da página anterior")
    depois_de: _Place | None = Field(
        None, description="Em ordem de registro, depois deste proximo; 0: desde a primeira"
    )
    decisao: Outcome | None = Field(None, description="Só as que terminaram nesta decisão")
    perfil: _Profile = None
    de: _Day | None = Field(None, description="Desde este dia, em São Paulo")
    # The day after the last one must have a date.
    ate: Annotated[_Day, Field(lt=date.max)] | None = Field(
        None, description="Até este dia, inclusive"
    )
    nome: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NAME, pattern=READABLE)
    ] = Field("", description="Parte do nome do cliente, ou o protocolo da avaliação")


class SearchBody(SearchQuery):
    """A mesma consulta em um corpo, de onde o nome não chega a registros de intermediários."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limite: Annotated[_PageSize, _NO_TEXT] = 20
    perfil: Annotated[_Profile, _NO_TEXT] = None


#: Checked by read_key, here and on the fast path; described only.
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A mesma chave com o mesmo corpo recebe sempre a mesma resposta",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
    ),
]


async def _keys(request: Request, _described: KeyHeader = None) -> list[str]:
    return request.headers.getlist("idempotency-key")


#: Every such header of a request, for read_key: two are one too many.
Keys = Annotated[list[str], Depends(_keys)]
PreferHeader = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="respond-async: com o modelo fora do ar, aceita o pedido e avalia depois",
        examples=["respond-async"],
    ),
]


def read_applicant_body(body: bytes) -> ApplicantBody:
    """Read the body of POST /avaliar. Raises InvalidRequestError naming every wrong field."""
    try:
        sent = ApplicantBody.model_validate_json(body)
    except ValidationError as exc:
        raise refusal(exc.errors(include_url=False)) from exc
    if body.count(b'"') > _FEWEST_QUOTES:
        refuse_repeated(body)
    return sent


def refuse_repeated(body: bytes) -> None:
    """Raise InvalidRequestError if a JSON object has a field twice: which one is meant is unknown.

    At any depth; pydantic takes the last. What is no JSON, or deeper than any body of ours, is for
    whoever reads it to refuse.
    """
    try:
        sent = json.loads(body, object_pairs_hook=tuple, parse_int=str)
        repeated = [{"type": "repeated", "loc": path} for path in _repeated(sent, ())]
    except (ValueError, RecursionError):
        return
    if repeated:
        raise refusal(repeated)


def _repeated(sent: object, at: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each field that stands twice; objects are tuples of names and values."""
    names = Counter(name for name, _ in sent) if isinstance(sent, tuple) else Counter()
    yield from ((*at, name) for name in names if names[name] > 1)
    inside = sent if isinstance(sent, tuple) else enumerate(sent if isinstance(sent, list) else ())
    for name, value in inside:
        yield from _repeated(value, (*at, name))


def applicant_of(sent: ApplicantBody) -> Applicant:
    """Return who asks, as the domain has it; a zero below zero is zero."""
    usage = CardUsage(
        sent.balance + 0.0,
        sent.purchases + 0.0,
        sent.cash_advance + 0.0,
        sent.credit_limit,
        sent.payments + 0.0,
    )
    return Applicant(sent.name, usage)


def review_of(sent: ReviewBody, review_id: str, evaluation_id: str, signed_in: str) -> Review:
    """Return a review, made now, as the domain has it.

    signed_in: who, empty where nobody had to say.
    """
    return Review(
        review_id,
        evaluation_id,
        sent.decisao,
        sent.justificativa,
        signed_in or sent.revisor,
        datetime.now(UTC),
        sent.motivo,
    )


def refusal(found: Sequence[Any]) -> errors.InvalidRequestError | errors.MalformedJsonError:
    """Return what to raise for pydantic's errors. Their loc: the path within what was sent."""
    if found[0]["type"] == "json_invalid":
        return errors.MalformedJsonError(found[0]["msg"])
    return errors.InvalidRequestError(
        [_field_error(error) for error in found[:_MOST_NAMED]], len(found)
    )


def _field_error(error: Any) -> errors.FieldError:  # noqa: ANN401 - pydantic's own dict
    shown = [str(part)[:_LONGEST_SHOWN] for part in error["loc"]]
    path = [part.replace("~", "~0").replace("/", "~1") for part in shown]
    field = shown[-1] if shown else ""
    detail = sentences.field_error(error["type"], field, error.get("ctx", {}))
    return errors.FieldError("#" + "".join(f"/{part}" for part in path), detail)


def only_key(sent: Sequence[str]) -> str | None:
    """Read the Idempotency-Key headers. Raises InvalidRequestError unless one of 1-255 ASCII."""
    if not sent:
        return None
    if len(sent) > 1 or not _KEY.fullmatch(sent[0]):
        raise errors.InvalidRequestError([errors.FieldError("Idempotency-Key", sentences.BAD_KEY)])
    return sent[0]


def read_key(
    sent: Sequence[str], asked: object, caller: str | None = None
) -> IdempotencyKey | None:
    """Return what was asked for under which key, if any, by whom. Raises as only_key does."""
    key = only_key(sent)
    if key is None:
        return None
    return IdempotencyKey(own_key(key, caller), hashlib.sha256(to_json(asked)).hexdigest())


def prefers_async(sent: Sequence[str]) -> bool:
    """Tell whether the Prefer headers hold respond-async (RFC 7240): a token, without a value."""
    preferences = _QUOTED.sub('""', ",".join(sent)).lower().split(",")
    return any(one.partition(";")[0].strip() == "respond-async" for one in preferences)


def search_of(sent: SearchQuery) -> Search:
    """Return what part of the history to look at, as the domain has it.

    Raises InvalidRequestError where two places say from where to go on, or days are reversed.
    """
    if sent.cursor is not None and sent.depois_de is not None:
        refused = errors.FieldError("#/depois_de", sentences.TWO_PLACES)
        raise errors.InvalidRequestError([refused])
    if sent.de is not None and sent.ate is not None and sent.ate < sent.de:
        raise errors.InvalidRequestError([errors.FieldError("#/ate", sentences.DAYS_REVERSED)])
    return Search(
        limit=sent.limite,
        before_id=None if sent.cursor is None else str(sent.cursor),
        after=None if sent.depois_de is None else _place(sent.depois_de),
        outcome=sent.decisao,
        cluster=sent.perfil,
        since=None if sent.de is None else _midnight(sent.de),
        until=None if sent.ate is None else _midnight(sent.ate + timedelta(days=1)),
        name=sent.nome or None,
    )


def _place(text: str) -> Position:
    number, _, identity = text.partition("-")
    return Position(int(number), identity)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, SAO_PAULO)
