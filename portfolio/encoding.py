"""Clients and their decisions as columns of the record, as record/rows.py has them row by row.

Tests hold both equal. Knows no connection.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evaluation_api.decision.domain import FEATURES, Model, Outcome
from evaluation_api.decision.names import fold
from evaluation_api.record import digests, rows
from evaluation_api.record.rows import Values
from portfolio import frames
from portfolio.frames import Floats

_NOTHING: Final[tuple[()]] = ()
_LINE_FEED: Final = ord("\n")
#: Names that fold as small letters alone do: of ASCII, and single spaces between words.
_PLAIN: Final = r"^[A-Za-z0-9]+( [A-Za-z0-9]+)*$"

#: Returns for n clients (n x 5) the changes of one amount that a policy may approve.
Changes = Callable[[Floats], Sequence[Sequence[Sequence[object]]]]


class Who(NamedTuple):
    """Who n clients are, a text each."""

    ids: pa.Array
    names: pa.Array


class Decided(NamedTuple):
    """How clients were decided. Times as the database takes them; milliseconds: of all.

    made_by: who asked for it, as the record calls them. version: the number of model and policy, if
    rows have that in place of them.
    """

    received_at: str
    evaluated_at: str
    milliseconds: float
    model: Model
    policy_version: str
    made_by: str | None = None
    version: int | None = None


class Clients(NamedTuple):
    """n clients, FEATURES as float64, and how they were decided, as frames.evaluate returns it."""

    who: Who
    amounts: pd.DataFrame
    decisions: pd.DataFrame
    decided: Decided


class Explained(NamedTuple):
    """What a prediction of n clients is made of, but for their changes.

    others: n flags, of who is not approved and may want to know what would change that. runner_up:
    n labels. contributions: n x 5. Both None of a model without geometry.
    """

    amounts: Floats
    others: NDArray[np.bool_]
    runner_up: NDArray[np.int8] | None
    contributions: Floats | None


def explained(clients: pd.DataFrame, decisions: pd.DataFrame) -> Explained:
    """Take from the frames of frames.evaluate what pack needs."""
    amounts = np.column_stack([clients[feature].to_numpy(np.float64) for feature in FEATURES])
    others = (decisions["decisao"] != Outcome.APPROVED).to_numpy()
    if "segundo_perfil" not in decisions:
        return Explained(amounts, others, None, None)
    contributions = np.column_stack([decisions[c].to_numpy() for c in frames.CONTRIBUTIONS])
    return Explained(amounts, others, decisions["segundo_perfil"].to_numpy(), contributions)


def pack(explained: Explained, changes: Changes) -> bytes:
    """Pack what the columns do not hold, a line a client; who is approved needs no change."""
    count = len(explained.amounts)
    if explained.runner_up is None or explained.contributions is None:
        nothing = [None] * count
        return rows.pack_columns(nothing, nothing, [_NOTHING] * count)
    told: list[Sequence[Sequence[object]]] = [_NOTHING] * count
    others = np.flatnonzero(explained.others)
    for place, found in zip(others.tolist(), changes(explained.amounts[others]), strict=True):
        told[place] = found
    return rows.pack_columns(explained.runner_up.tolist(), explained.contributions.tolist(), told)


def lines(packed: bytes) -> pa.BinaryArray:
    """Return lines that each end with a line feed, and hold none, as n values."""
    ends = np.flatnonzero(np.frombuffer(packed, np.uint8) == _LINE_FEED) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(packed)]
    return pc.binary_slice(pa.BinaryArray.from_buffers(pa.binary(), len(ends), buffers), 0, -1)


def encode(some: Clients, changes: Changes) -> pa.RecordBatch:
    """Return n rows, in the order of rows.COLUMNS, each with a salt and a digest of its own."""
    return put_together(some, work_out(some, changes))


def work_out(some: Clients, changes: Changes) -> pa.RecordBatch:
    """Return what takes long of n rows: prediction, salt and digest."""
    predictions = lines(pack(explained(some.amounts, some.decisions), changes)).view(pa.string())
    salts = _salts(len(predictions))
    known_by = pa.array(_digests(salts, _digested(some, predictions)), pa.binary())
    return pa.record_batch([predictions, salts, known_by], ["prediction", "salt", "digest"])


def _salts(count: int) -> pa.BinaryArray:
    drawn, bounds = digests.salts(count), np.arange(count + 1, dtype=np.int32) * digests.SALT_BYTES
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(drawn)]
    return pa.BinaryArray.from_buffers(pa.binary(), count, buffers)


def _digests(salts: pa.BinaryArray, columns: Iterable[pa.Array | bytes]) -> list[bytes]:
    """Return the digests of n rows. columns: in the order of digests.COLUMNS, as JSON."""
    told = pc.binary_join_element_wise(*columns, b",")
    salted = pc.binary_join_element_wise(salts, b"[", told, b"]", b"")
    _, bounds, texts = salted.buffers()
    places = np.frombuffer(bounds or b"", np.int32)[: len(salted) + 1].tolist()
    return digests.of_salted(memoryview(texts or b""), places)


def put_together(some: Clients, worked_out: pa.RecordBatch) -> pa.RecordBatch:
    """Return n rows as encode does, of clients and what was worked out for them."""
    count = len(worked_out)
    no_names = pa.nulls(count, pa.string())
    made: Mapping[str, pa.Array] = {
        **_own(some),
        "name_folded": folded(some.who.names),
        "made_by": pa.repeat(pa.scalar(some.decided.made_by, pa.string()), count),
        "answer": pa.nulls(count, pa.string()),
        "version": pa.repeat(pa.scalar(some.decided.version, pa.int32()), count),
        **{name: pa.repeat(value, count) for name, value in _same(some.decided)},
        **({} if some.decided.version is None else dict.fromkeys(digests.NAMES, no_names)),
        **dict(zip(worked_out.schema.names, worked_out.columns, strict=True)),
    }
    return pa.record_batch({name: made[name] for name in rows.COLUMNS})


def _own(some: Clients) -> dict[str, pa.Array]:
    """Return what is each client's own, by columns."""
    who, clients, decisions, _ = some
    return {
        "id": who.ids,
        "name": who.names,
        **{feature: pa.array(clients[feature].to_numpy()) for feature in FEATURES},
        "cluster": pa.array(decisions["perfil"].to_numpy()),
        "confidence": pa.array(decisions["certeza"].to_numpy(), from_pandas=True),
        "outcome": _texts(decisions["decisao"]),
    }


def _digested(some: Clients, predictions: pa.Array) -> Iterator[pa.Array | bytes]:
    """Yield what digests are made of, by columns, as JSON; bytes where it is the same of all."""
    decided, own = some.decided, {**_own(some), "prediction": predictions}
    same = {**dict(_same(decided)), "degraded": 0, "made_by": decided.made_by, "answer": None}
    same |= {time: _told(same[time]) for time in ("received_at", "evaluated_at")}
    for name in digests.COLUMNS:
        if name in same:
            yield digests.encode(same[name])
        elif name in FEATURES:
            yield _json(pc.add(own[name], 0.0))  # SQLite keeps no minus before a zero
        else:
            yield _json(own[name])


def _json(column: pa.Array) -> pa.BinaryArray:
    """Return n texts or numbers as JSON."""
    if pa.types.is_string(column.type):
        return lines(digests.encode_lines(column.to_pylist()))
    return lines(digests.encode_lines(column.to_numpy(zero_copy_only=False).tolist()))


def _told(bound: str) -> object:
    """Return a time as digests have it. bound: as a database takes it."""
    return digests.told(rows.in_utc(datetime.fromisoformat(bound)))


def _same(decided: Decided) -> Iterator[tuple[str, Any]]:
    """Yield what is the same of all."""
    yield "pending", False
    yield "received_at", decided.received_at
    yield "degraded", False
    yield "evaluated_at", decided.evaluated_at
    yield "milliseconds", decided.milliseconds
    yield "model_tag", decided.model.tag
    yield "model_sha256", decided.model.sha256
    yield "policy_version", decided.policy_version


def _texts(category: pd.Series) -> pa.Array:
    return pa.array(list(category.cat.categories)).take(pa.array(category.cat.codes.to_numpy()))


def folded(names: pa.Array) -> pa.Array:
    """Return n names as they are searched for."""
    small = pc.ascii_lower(names)
    plain = pc.match_substring_regex(names, _PLAIN).to_numpy(zero_copy_only=False)
    if plain.all():
        return small
    others = pa.array([fold(name) for name in names.filter(pa.array(~plain)).to_pylist()])
    return pc.replace_with_mask(small, pa.array(~plain), others)


def values(batch: pa.RecordBatch) -> list[Values]:
    """Return n rows as rows.encode does, for a driver that takes no columns."""
    return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
