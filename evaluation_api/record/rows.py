"""Evaluations as rows of their table, and rows as evaluations again. Knows no connection."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, String, literal_column

from evaluation_api.decision.domain import (
    FEATURES,
    Applicant,
    CardUsage,
    Counterfactual,
    Entry,
    Model,
    Outcome,
    Prediction,
    Recorded,
    Review,
    StoredDecision,
    Summary,
)
from evaluation_api.decision.names import fold
from evaluation_api.record import digests
from evaluation_api.record.tables import evaluations

#: Letters of an id that are its time; a file's evaluations have those of the file.
MOMENT: Final = 13
_ID_LENGTH: Final = 36

#: What an append writes, in the table's order, which is that of encode.
COLUMNS: Final = tuple(
    c.name for c in evaluations.columns if c.name not in {"claimed_until", "erased_at"}
)
#: All of it but the salt, the digest and the number.
_UNSALTED: Final = COLUMNS[:-3]
_NAMES_FROM: Final = COLUMNS.index(digests.NAMES[0])
_NAMES_TO: Final = _NAMES_FROM + len(digests.NAMES)
#: What a decision fills in, in the order of encode_decision.
DECISION_COLUMNS: Final = _UNSALTED[_UNSALTED.index("evaluated_at") :]
#: What decode reads.
RECORDED: Final[tuple[ColumnElement[Any], ...]] = tuple(
    literal_column(digests.by_number(c.name), String).label(c.name)
    if c.name in digests.NAMES
    else c
    for c in evaluations.columns
)
#: What decode_summary reads.
LISTED: Final = tuple(
    evaluations.c[name]
    for name in ("id", "received_at", "name", "cluster", "confidence", "outcome", "erased_at")
)

#: One evaluation, as a driver takes it.
Values = tuple[object, ...]
#: Makes of a time what a driver takes.
BindTime = Callable[[datetime], object]

_UNDECIDED: Final[Values] = (None,) * len(DECISION_COLUMNS)
_NO_NAMES: Final[Values] = (None,) * len(digests.NAMES)

_encoder: Final = msgspec.json.Encoder()
_encode = _encoder.encode
#: runner_up, contributions in the order of FEATURES, counterfactuals.
_decode_prediction = msgspec.json.Decoder(
    tuple[
        int | None,
        tuple[float, float, float, float, float] | None,
        list[tuple[Any, ...]],  # until stands last where it is known; the last release had none
    ]
).decode


def encode(entry: Entry, bind_time: BindTime, version: int | None = None) -> Values:
    """Return an entry in the order of COLUMNS; SQLAlchemy's way takes twice as long over it.

    version: the number of what decided it, if the row is to have that in place of names.
    """
    name, usage = entry.applicant.name, entry.applicant.usage
    bound = (
        entry.id,
        entry.evaluation is None,
        bind_time(entry.received_at),
        name,
        fold(name),
        usage.balance,
        usage.purchases,
        usage.cash_advance,
        usage.credit_limit,
        usage.payments,
        entry.degraded,
        entry.made_by,
        *encode_decision(entry, bind_time),
    )
    return _salted(bound, version)


def _salted(bound: Values, version: int | None) -> Values:
    """Return a row with a salt of its own, and the digest that the chain will know it by."""
    salt = digests.salts(1)
    digest = digests.of_bound(salt, bound)
    if version is not None:
        bound = (*bound[:_NAMES_FROM], *_NO_NAMES, *bound[_NAMES_TO:])
    return (*bound, salt, digest, version)


def numbered(version: int | None) -> dict[str, int | None]:
    """Return what a row that is there already has in place of names, if it has a number."""
    return {} if version is None else {**dict.fromkeys(digests.NAMES), "version": version}


def encode_decision(entry: Entry, bind_time: BindTime = lambda time: time) -> Values:
    """Return the part of an entry in the order of DECISION_COLUMNS; None for each while it waits.

    Where there is no answer yet, for a client out of a file, the prediction stands in its place:
    a tenth of its size.
    """
    evaluation = entry.evaluation
    if evaluation is None:
        return _UNDECIDED
    prediction, decision = evaluation.prediction, evaluation.decision
    return (
        bind_time(evaluation.evaluated_at),
        evaluation.milliseconds,
        prediction.cluster,
        prediction.confidence,
        decision.outcome.value,
        prediction.model.tag,
        prediction.model.sha256,
        decision.policy_version,
        entry.answer,
        _pack(prediction) if entry.answer is None else None,
    )


def _pack(prediction: Prediction) -> str:
    """Serialize what the columns do not hold."""
    told = prediction.contributions
    contributions = None if told is None else [told[feature] for feature in FEATURES]
    counterfactuals = list(map(_values, prediction.counterfactuals))
    return _encode((prediction.runner_up, contributions, counterfactuals)).decode()


def pack_columns(
    runners_up: Iterable[int | None],
    contributions: Iterable[Sequence[float] | None],
    counterfactuals: Iterable[Sequence[Sequence[object]]],
) -> bytes:
    """Return n predictions as encode packs them, a line each.

    contributions: in the order of FEATURES. counterfactuals: (feature, amount, cluster, confidence)
    each, and until where that is told.
    """
    packed = zip(runners_up, contributions, counterfactuals, strict=True)
    return _encoder.encode_lines(list(packed))


def _values(change: Counterfactual) -> tuple[object, ...]:
    """Return a change as the last release reads it, and until only where it is told."""
    known = (change.feature, change.amount, change.cluster, change.confidence)
    return known if change.until is None else (*known, change.until)


def decode(
    row: Row[Any],
    reviews: tuple[Review, ...] = (),
    policy_texts: Mapping[str, str] = MappingProxyType({}),
) -> Recorded:
    """Return an evaluation. policy_texts: by version, for rows whose answer was not stored."""
    usage = CardUsage(*(getattr(row, feature) for feature in FEATURES))
    return Recorded(
        id=row.id,
        received_at=in_utc(row.received_at),
        applicant=Applicant(row.name, usage),
        degraded=row.degraded,
        made_by=row.made_by,
        answer=row.answer,
        evaluated_at=None if row.evaluated_at is None else in_utc(row.evaluated_at),
        cluster=row.cluster,
        confidence=row.confidence,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        model_tag=row.model_tag,
        model_sha256=row.model_sha256,
        policy_version=row.policy_version,
        reviews=reviews,
        erased_at=None if row.erased_at is None else in_utc(row.erased_at),
        stored_decision=(
            None
            if row.prediction is None
            else StoredDecision(_unpack(row), policy_texts[row.policy_version], row.milliseconds)
        ),
    )


def _unpack(row: Row[Any]) -> Prediction:
    runner_up, told, counterfactuals = _decode_prediction(row.prediction)
    contributions = None if told is None else dict(zip(FEATURES, told, strict=True))
    return Prediction(
        row.cluster,
        Model(row.model_tag, row.model_sha256),
        runner_up,
        row.confidence,
        contributions,
        tuple(Counterfactual(*change) for change in counterfactuals),
    )


def decode_summary(row: Row[Any], position: int) -> Summary:
    """Return a line of the history.

    row: LISTED, the last review's outcome, how many there are, and what stands in its place.
    """
    final = row.reviewed or row.outcome
    return Summary(
        id=row.id,
        position=position,
        received_at=in_utc(row.received_at),
        name=row.name,
        cluster=row.cluster,
        confidence=row.confidence,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        final_outcome=None if final is None else Outcome(final),
        reviews=row.reviews,
        erased_at=None if row.erased_at is None else in_utc(row.erased_at),
        corrected_by=row.corrected_by,
    )


def in_utc(when: datetime) -> datetime:
    """Return a time that was read: SQLite's have no zone, PostgreSQL's are in its session's."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def is_id(text: str) -> bool:
    """Tell what may be an id from what can't: PostgreSQL takes a NUL for a faulty statement."""
    return len(text) == _ID_LENGTH and text.isprintable()


def first_id(when: datetime) -> str:
    """Return the smallest UUIDv7 of a time: ids sort by the millisecond they begin with."""
    return str(uuid.UUID(int=max(0, int(when.timestamp() * 1000)) << 80))
