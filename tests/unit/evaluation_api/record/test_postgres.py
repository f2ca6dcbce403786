"""Connections to PostgreSQL: through a network that fails, after a failover, through a pooler."""

import asyncio
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, event, text

from bench.subjects import disk, pgbouncer, postgres
from bench.subjects.proxy import Proxy
from evaluation_api.decision.domain import IdempotencyKey, Search
from evaluation_api.decision.errors import RecordUnavailableError, RecordUncertainError
from evaluation_api.record import database, deadline, schema
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import DECISION_SECONDS, RecordExecutor
from evaluation_api.record.sealer import Sealer
from evaluation_api.record.search.searches import Searches
from tests.evaluations import decided_entry
from tests.unit.evaluation_api.record.search.searching import answered

pytestmark = pytest.mark.postgres


@pytest.fixture
def direct(fresh_database: str) -> Iterator[Engine]:
    """Connect to a database of the test's own, its tables up to date."""
    engine = database.connect(fresh_database)
    schema.migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def proxy(direct: Engine, fresh_database: str) -> Iterator[Proxy]:
    assert direct
    with Proxy(fresh_database) as proxy:
        yield proxy


@contextmanager
def connected(url: str) -> Iterator[EvaluationLog]:
    engine = database.connect(url)
    yield EvaluationLog(engine)
    engine.dispose()


def seconds_of_an_append(log: EvaluationLog) -> float:
    """Append as for a caller; return how long it took to be refused."""

    async def scenario() -> float:
        async with RecordExecutor() as executor:
            started = time.monotonic()
            with pytest.raises(RecordUnavailableError):
                await executor.run_append(log.append, [decided_entry()])
            return time.monotonic() - started

    return asyncio.run(scenario())


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM evaluations")).scalar_one())


def begin_hole(proxy: Proxy) -> None:
    proxy.is_hole = True


def slow_down(proxy: Proxy) -> None:
    proxy.delay_seconds = 0.4


@pytest.mark.parametrize("fail", [begin_hole, slow_down])
@pytest.mark.parametrize("is_connected", [True, False])
def test_a_silent_network_refuses_within_a_second_and_leaves_nothing_behind(
    proxy: Proxy, direct: Engine, fail: Callable[[Proxy], None], *, is_connected: bool
) -> None:
    with connected(proxy.url) as log:
        if is_connected:
            log.append([decided_entry()])
        before = count(direct)

        fail(proxy)
        seconds = seconds_of_an_append(log)
        proxy.is_hole, proxy.delay_seconds = False, 0.0
        log.append([decided_entry()])

        assert seconds < 5 * DECISION_SECONDS
        assert count(direct) == before + 1


def test_a_machine_that_is_gone_is_noticed_within_half_a_minute_also_by_who_has_no_deadline(
    proxy: Proxy,
) -> None:
    """Nothing on one machine can be gone for its own kernel, which is asked what it would do."""
    engine = database.connect(proxy.url)
    with engine.connect() as connection:
        descriptor = os.dup(connection.connection.driver_connection.fileno())  # type: ignore[union-attr]
    engine.dispose()
    with socket.socket(fileno=descriptor) as way:
        idle, interval, probes = (
            way.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        unheard = way.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    assert idle + interval * probes <= 30
    assert 0 < unheard <= 30_000


def test_a_connection_that_breaks_at_a_commit_leaves_it_in_doubt(proxy: Proxy) -> None:
    """Nobody can say whether the server heard of it, and a caller without a key must not repeat."""
    with connected(proxy.url) as log:
        log.append([decided_entry()])
        event.listen(log.engine, "commit", lambda _: proxy.reset())

        with pytest.raises(RecordUncertainError):
            log.append([decided_entry()])


@pytest.mark.parametrize("is_asked", [True, False])
def test_searches_in_a_silent_network_hold_up_nobody_and_give_their_threads_back(
    proxy: Proxy, direct: Engine, *, is_asked: bool
) -> None:
    """Whether their statement is under way by then, and their asker leaves, or they begin later."""
    EvaluationLog(direct).append([decided_entry()])
    engine = database.connect(proxy.url)

    async def scenario() -> None:
        async with Searches(engine, seconds=0.5) as searches:
            await answered(searches)
            if is_asked:
                event.listen(engine, "before_cursor_execute", sleep)
            proxy.is_hole = not is_asked
            asked = [asyncio.create_task(searches.search(Search(1))) for _ in range(6)]
            await asyncio.sleep(0.3)
            proxy.is_hole = True
            asked[0].cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def timed() -> tuple[float, float]:
        pulse, started = asyncio.create_task(longest_pause()), time.monotonic()
        await scenario()
        seconds = time.monotonic() - started
        await asyncio.sleep(0.02)
        pulse.cancel()
        return seconds, await pulse

    healing = threading.Timer(20, stop_hole, [proxy])
    healing.start()
    seconds, pause = asyncio.run(timed())
    stop_hole(proxy)
    healing.cancel()
    engine.dispose()

    assert seconds < 10
    assert pause < 8  # until its threads have ended


def sleep(_connection: object, cursor: Any, *_: object) -> None:  # noqa: ANN401 - the driver's own
    cursor.execute("SELECT pg_sleep(60)")


def stop_hole(proxy: Proxy) -> None:
    proxy.is_hole = False


async def longest_pause() -> float:
    """Return the longest time the event loop was held up, once cancelled."""
    longest, last = 0.0, time.monotonic()
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
    return longest


@pytest.mark.parametrize("is_sealing", [True, False])
def test_what_nobody_waits_for_ends_in_a_silent_network_too_so_that_a_service_can_stop(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, *, is_sealing: bool
) -> None:
    monkeypatch.setattr(deadline, "STEP_SECONDS", 0.5)
    engine = database.connect(proxy.url)

    async def scenario() -> None:
        async with Sealer(engine) if is_sealing else Searches(engine) as service:
            work = service.run() if isinstance(service, Sealer) else service.run_index()
            working = asyncio.create_task(work)
            await asyncio.sleep(0.5)
            proxy.is_hole = True
            await asyncio.sleep(1.5)
            working.cancel()

    healing = threading.Timer(20, stop_hole, [proxy])
    healing.start()
    started = time.monotonic()
    asyncio.run(scenario())
    seconds = time.monotonic() - started
    stop_hole(proxy)
    healing.cancel()
    engine.dispose()

    assert seconds < 10


def test_a_connection_that_was_reset_is_made_again(proxy: Proxy, direct: Engine) -> None:
    with connected(proxy.url) as log:
        log.append([decided_entry()])
        proxy.reset()
        log.append([decided_entry()])

    assert count(direct) == 2


def test_a_statement_that_takes_too_long_is_ended_by_the_server(direct: Engine) -> None:
    engine = database.connect(str(direct.url), statement_seconds=0.1)
    started = time.monotonic()
    with (
        pytest.raises(RecordUnavailableError, match="timeout"),
        database.transaction(engine) as connection,
    ):
        connection.execute(text("SELECT pg_sleep(20)"))
    engine.dispose()

    assert time.monotonic() - started < 15


def test_after_a_failover_no_connection_stays_with_the_read_only_server(
    direct: Engine, postgres_url: str
) -> None:
    log = EvaluationLog(direct)
    log.append([decided_entry()])
    make_read_only(postgres_url, direct, "on")
    direct.dispose()  # what connects from now on meets a server that only reads

    for write in (
        lambda: database.require_writable(log.engine),
        lambda: log.append([decided_entry()]),
    ):
        with pytest.raises(RecordUnavailableError, match="read-only"):
            write()
    make_read_only(postgres_url, direct, "off")

    log.append([decided_entry()])
    assert count(direct) == 2


def make_read_only(server_url: str, engine: Engine, setting: str) -> None:
    server = create_engine(server_url, poolclass=NullPool)
    with server.begin() as connection:
        connection.execute(
            text(
                f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only={setting}"
            )
        )


@contextmanager
def small_server_disk(server_url: str) -> Iterator[tuple[Path, str]]:
    """Make a database on a small disk; yield the disk's folder and the database's URL."""
    server = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with ExitStack() as stack:
        shared = Path(stack.enter_context(TemporaryDirectory()))
        shared.chmod(0o755)
        folder = stack.enter_context(disk.mounted(shared / "disk", megabytes=24))
        if owner := postgres.owner():
            shutil.chown(folder, owner)
        connection = stack.enter_context(server.connect())
        for made in (f"TABLESPACE small LOCATION '{folder}'", "DATABASE small TABLESPACE small"):
            connection.execute(text(f"CREATE {made}"))
            thrown_away = " ".join(made.split()[:2])
            stack.callback(connection.execute, text(f"DROP {thrown_away}"))
        yield folder, server_url.replace("/postgres?", "/small?")


@pytest.mark.disk
def test_a_server_whose_disk_is_full_cannot_be_written_until_it_has_room(postgres_url: str) -> None:
    with small_server_disk(postgres_url) as (folder, url), connected(url) as log:
        engine = database.connect(url)
        schema.migrate(engine)
        engine.dispose()
        database.require_writable(log.engine, thoroughly=True)
        disk.fill(folder / "ballast")

        with pytest.raises(RecordUnavailableError):
            log.append([decided_entry() for _ in range(2000)])
        with pytest.raises(RecordUnavailableError):
            database.require_writable(log.engine, thoroughly=True)
        (folder / "ballast").unlink()

        database.require_writable(log.engine, thoroughly=True)
        log.append([decided_entry() for _ in range(2000)])


def test_the_look_that_ends_an_outage_costs_a_busy_server_little(
    direct: Engine, fresh_database: str
) -> None:
    def written_by_a_look() -> int:
        before = wal_position(direct)
        database.require_writable(log.engine, thoroughly=True)
        return wal_position(direct) - before

    with connected(fresh_database) as log:
        # The least of some: the server also tidies up by itself.
        assert 32 * 1024 < min(written_by_a_look() for _ in range(5)) < 256 * 1024


def wal_position(engine: Engine) -> int:
    """Return how many bytes the server has written to its log since it was made."""
    with engine.connect() as connection:
        return int(
            connection.execute(
                text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
            ).scalar_one()
        )


@pytest.mark.pgbouncer
def test_a_pooler_is_noticed_and_nothing_is_prepared_by_name_or_set_for_a_session(
    fresh_database: str,
) -> None:
    def asked(url: str) -> tuple[int | None, str]:
        engine = database.connect(url, statement_seconds=7)
        with engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            limit = connection.execute(text("SHOW statement_timeout")).scalar_one()
        engine.dispose()
        return driver.prepare_threshold, limit

    with pgbouncer.in_front_of(fresh_database) as pooled:
        assert asked(pooled) == (None, "0")
    assert asked(fresh_database) == (5, "7s")


@pytest.mark.pgbouncer
def test_behind_a_pooler_every_statement_is_the_one_that_was_asked(
    direct: Engine, fresh_database: str
) -> None:
    threads, rounds = 8, 40

    def use(thread: int) -> None:
        for number in range(rounds):
            key = IdempotencyKey(f"{thread}-{number}", "f")
            entry = decided_entry(key=key)
            assert log.append([entry]) == [None]
            (first,) = log.find_by_keys([key.key])
            assert first is not None
            assert (first.id, log.find(entry.id).id) == (entry.id, entry.id)

    with (
        pgbouncer.in_front_of(fresh_database) as url,
        connected(url) as log,
        ThreadPoolExecutor(threads) as pool,
    ):
        list(pool.map(use, range(threads)))

    assert count(direct) == threads * rounds
