"""What the record tells of files of clients, and of who works on them."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, insert

from evaluation_api.client_files.log import ClientFileLog
from evaluation_api.record import clock, database
from evaluation_api.record.tables import workers
from evaluation_api.runtime.identity import new_id


@pytest.mark.parametrize(("seconds", "count"), [(50, 1), (-1.5, 0), (-3_600, 0), (3_600, 0)])
def test_a_worker_that_said_nothing_for_a_second_and_a_half_is_none(
    engine: Engine, seconds: float, count: int
) -> None:
    """So that a page, which asks twice a second (batch-words.js), says it within two.

    By the database's clock, which the test only lets go on: no bound that a load could break. Who
    was seen an hour later than now was seen before that clock was set back.
    """
    with database.transaction(engine) as connection:
        seen_at = clock.now(engine.dialect) + timedelta(seconds=seconds)
        connection.execute(insert(workers).values(id=new_id(), seen_at=seen_at))

    assert ClientFileLog(engine).latest(1) == ([], count)
