"""Columns as PostgreSQL's COPY takes them in binary, which spares both sides reading and writing.

A row is how many fields it has, and each field its length and its value, the highest byte first
(https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format").
"""

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Boolean, DateTime, Double, Integer, SmallInteger
from sqlalchemy.types import TypeEngine

from evaluation_api.record.tables import evaluations

_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
#: What a value is, where all of a column have one length; else its bytes as they are.
_FIXED: Final[dict[type[TypeEngine[Any]], str]] = {
    Boolean: ">i1",
    SmallInteger: ">i2",
    Integer: ">i4",
    Double: ">f8",
    DateTime: ">i8",
}
#: From when times are counted, in microseconds.
_BEGINNING: Final = 1_000_000 * int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())

#: What stands one after the other in n rows; bytes where it is the same in all.
Parts = list[pa.Array | bytes]


def of_evaluations(clients: pa.RecordBatch) -> bytes:
    """Return n new evaluations. clients: columns of the table, times as text with a zone."""
    if not len(clients):
        return _HEAD + _END
    parts: Parts = [pa.repeat(clients.num_columns.to_bytes(2), len(clients))]
    for name, column in zip(clients.schema.names, clients.columns, strict=True):
        parts += _fields(column, evaluations.c[name].type)
    written = pc.binary_join_element_wise(*parts, b"")
    _, _, values = written.buffers()
    return b"".join((_HEAD, memoryview(values)[: written.total_values_length], _END))


def _fields(column: pa.Array, kind: TypeEngine[Any]) -> Parts:
    is_same = column[0].equals(column[-1]) and len(column.unique()) == 1
    if is_same:
        one = pc.binary_join_element_wise(*_each(column[:1], kind), b"")
        return [one[0].as_py()]
    return _each(column, kind)


def _each(column: pa.Array, kind: TypeEngine[Any]) -> Parts:
    """Return each value behind its length."""
    parts: Parts
    if fixed := _FIXED.get(type(kind)):
        behind = np.empty(len(column), [("length", ">i4"), ("value", fixed)])
        behind["length"], behind["value"] = np.dtype(fixed).itemsize, _numbers(column, kind)
        parts = [_bytes(behind)]
    else:
        lengths = pc.binary_length(column).fill_null(0).to_numpy()
        parts = [_bytes(lengths.astype(">i4")), column.cast(pa.binary())]
    if column.null_count:
        told = pc.binary_join_element_wise(*parts, b"")
        parts = [pc.if_else(column.is_valid(), told, pa.scalar(_NULL, pa.binary()))]
    return parts


def _numbers(column: pa.Array, kind: TypeEngine[Any]) -> NDArray[Any]:
    if isinstance(kind, DateTime):
        moments = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        return np.asarray(pc.subtract(moments, _BEGINNING).fill_null(0).to_numpy())
    zero = pa.scalar(0).cast(column.type)
    return np.asarray(column.fill_null(zero).to_numpy(zero_copy_only=False))


def _bytes(rows: NDArray[Any]) -> pa.BinaryArray:
    """Return the bytes of each row."""
    offsets = (np.arange(len(rows) + 1) * rows.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows.tobytes())]
    return pa.BinaryArray.from_buffers(pa.binary(), len(rows), buffers)
