"""The PostgreSQL server that the tests start for themselves."""

import pytest
from sqlalchemy import create_engine, text


@pytest.mark.postgres
def test_the_test_server_answers_sql(postgres_url: str) -> None:
    engine = create_engine(postgres_url)

    with engine.connect() as connection:
        assert connection.scalar(text("select 1 + 1")) == 2

    engine.dispose()
