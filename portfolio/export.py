"""What the record holds, by columns: pages of a view in, tables out. Knows no SQL and no file."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import Row
from sqlalchemy.types import DateTime, Double, Integer, String, TypeEngine

from portfolio.views import View

#: What a column of a view is in Arrow.
_TYPES: Final[dict[type[TypeEngine[Any]], pa.DataType]] = {
    String: pa.string(),
    DateTime: pa.timestamp("us", "UTC"),
    Double: pa.float64(),
    Integer: pa.int64(),
}


def tables(view: View, pages: Iterable[Sequence[Row[Any]]]) -> Iterator[pa.Table]:
    """Yield each page as a table; an empty one where there is none, so that columns are told."""
    schema = pa.schema([(c.name, _TYPES[type(c.type)]) for c in view.columns.columns])
    is_empty = True
    for page in pages:
        is_empty = False
        columns = zip(*page, strict=True)
        yield pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)
    if is_empty:
        yield schema.empty_table()
