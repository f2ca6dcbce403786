"""What COPY takes in binary is in the table as rows are that a driver wrote one by one."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Engine, delete

from evaluation_api.record import tables
from evaluation_api.record.rows import COLUMNS
from evaluation_api.record.writer import writer_for
from portfolio import copying

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("url", ["postgresql"], indirect=True)]

AT = datetime(2026, 11, 26, 23, 59, 59, 123456, UTC)
WHOLE = {
    **dict.fromkeys(COLUMNS),
    "pending": False,
    "received_at": AT,
    "name": 'Zoë\\N, "Nina"\t陳',
    "name_folded": "",
    "balance": -0.0,
    "purchases": 1e7,
    "cash_advance": 0.1 + 0.2,
    "credit_limit": 5e-324,
    "payments": 123456.78,
    "degraded": True,
    "made_by": "chave:x",
    "evaluated_at": datetime(1969, 7, 20, tzinfo=timezone(timedelta(hours=-3))),
    "milliseconds": 0.5,
    "cluster": 4,
    "confidence": 1.0,
    "outcome": "aprovado",
    "model_tag": "m",
    "model_sha256": "a" * 64,
    "policy_version": "p",
    "prediction": "[]" * 9_000,
    "salt": bytes(range(16)),
    "digest": b"\xff" * 32,
    "version": 2**31 - 1,
}
BARE = {
    **dict.fromkeys(COLUMNS),
    **{name: WHOLE[name] for name in ("name", "name_folded", "balance", "purchases")},
    "cash_advance": 0.0,
    "credit_limit": 1.0,
    "payments": 0.0,
    "pending": True,
    "received_at": AT.replace(microsecond=0),
    "degraded": False,
}


def columns(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Return rows as encoding.encode does: times are text."""
    told = [{k: str(v) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]
    types = {"cluster": pa.int8(), "confidence": pa.float64(), "milliseconds": pa.float64()}
    types |= {"salt": pa.binary(), "digest": pa.binary(), "version": pa.int32()}
    texts = {"made_by", "evaluated_at", "outcome", "model_tag", "model_sha256"}
    texts |= {"policy_version", "answer", "prediction"}
    kinds = types | dict.fromkeys(texts, pa.string())
    return pa.record_batch(
        {name: pa.array([row[name] for row in told], kinds.get(name)) for name in COLUMNS}
    )


def read(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            f"SELECT {', '.join(COLUMNS)} FROM evaluations ORDER BY id"  # noqa: S608 - names only
        )
        return [tuple(map(repr, row)) for row in found]


@pytest.mark.parametrize(
    "rows",
    [[], [WHOLE], [BARE], [WHOLE] * 3, [BARE] * 3, [WHOLE, BARE, WHOLE], [BARE, WHOLE]],
    ids=["none", "one", "nulls", "the same", "the same nulls", "some nulls", "first a null"],
)
def test_columns_come_out_as_rows_do(engine: Engine, rows: list[dict[str, Any]]) -> None:
    made = [row | {"id": f"{number:036}"} for number, row in enumerate(rows)]
    writer = writer_for(engine)
    with engine.begin() as connection:
        writer.insert(connection, [tuple(row[name] for name in COLUMNS) for row in made])
    as_rows = read(engine)

    with engine.begin() as connection:
        connection.execute(delete(tables.evaluations))
        writer.insert_copy(connection, copying.of_evaluations(columns(made)))

    assert read(engine) == as_rows
    assert len(as_rows) == len(rows)
