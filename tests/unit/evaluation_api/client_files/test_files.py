"""Receiving files within their limits, and workers that meet trouble."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import ParamSpec, TypeVar

import httpx
import pytest

from evaluation_api.app import create_fastapi_app
from evaluation_api.client_files import contract
from evaluation_api.client_files.domain import CHUNK_LINES, EvaluatedChunk, Line, State, Step
from evaluation_api.client_files.file_log import FileLog
from evaluation_api.client_files.files import ClientFiles, Limits
from evaluation_api.client_files.worker import FileWorker
from evaluation_api.decision.domain import CardUsage, IdempotencyKey, Prediction
from evaluation_api.decision.errors import (
    FileTooLargeError,
    IdempotencyKeyInFlightError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    ModelUnavailableError,
    RecordUnavailableError,
)
from evaluation_api.record import database, schema
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.rows import Values
from tests.client_files import clients, csv_of
from tests.evaluations import POLICY, POLICY_TEXT, prediction

P = ParamSpec("P")
T = TypeVar("T")


class Here:
    """An executor without threads, and the callers beside it."""

    appended = 0

    async def run_write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write."""
        return call(*args, **kwargs)

    run_read = run_write


class Model:
    """A model that fails as often as told, and keeps what it was asked for at once."""

    def __init__(self, failures: int = 0) -> None:
        """Fail so often."""
        self.failures = failures
        self.calls: list[int] = []

    async def ensure_available(self) -> None:
        """Return once it is back."""
        if self.failures:
            self.failures -= 1
            raise ModelUnavailableError

    async def predict_many(self, usages: Sequence[CardUsage]) -> list[Prediction]:
        """Say the same of everybody."""
        self.calls.append(len(usages))
        return [prediction()] * len(usages)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FileLog]:
    engine = database.connect(f"sqlite:///{tmp_path / 'evaluations.db'}")
    schema.migrate(engine)
    PolicyLog(engine).remember(POLICY.version, POLICY_TEXT)
    yield FileLog(engine)
    engine.dispose()


def client_files_of(log: FileLog, limits: Limits | None = None) -> ClientFiles:
    worker = FileWorker(log, Model(), POLICY, Here(), Here())
    return ClientFiles(log, EvaluationLog(log.engine), Here(), worker, limits or Limits())


async def pieces(content: bytes, pace: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), pace):
        yield content[start : start + pace]


@pytest.mark.parametrize("limits", [Limits(max_lines=99), Limits(max_bytes=2000)])
def test_a_file_beyond_its_limits_is_refused_and_leaves_nothing(
    log: FileLog, limits: Limits
) -> None:
    with pytest.raises(FileTooLargeError):
        asyncio.run(client_files_of(log, limits).receive("a.csv", pieces(clients(100))))

    assert not asyncio.run(_rows(log))


def test_no_browser_keeps_the_names_and_amounts_that_it_reads(log: FileLog) -> None:
    client_files = client_files_of(log)
    client_file = asyncio.run(client_files.receive("a.csv", pieces(clients(3))))
    app = create_fastapi_app()
    app.state.client_files = client_files

    async def read(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.get(path)

    for path in ("/lotes", f"/lotes/{client_file.id}", f"/lotes/{client_file.id}/resultado.csv"):
        answer = asyncio.run(read(path))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store"), path


def test_a_file_at_its_limits_is_received(log: FileLog) -> None:
    content = clients(100)
    limits = Limits(max_bytes=len(content), max_lines=100)

    client_file = asyncio.run(client_files_of(log, limits).receive("a.csv", pieces(content)))

    assert (client_file.state, client_file.line_count) == (State.READY, 100)


def test_a_file_that_turns_out_unreadable_late_leaves_nothing(log: FileLog) -> None:
    content = clients(3 * CHUNK_LINES) + b'"Ana;1;2;3;4;5\n'

    with pytest.raises(InvalidRequestError):
        asyncio.run(client_files_of(log).receive("a.csv", pieces(content)))

    assert not asyncio.run(_rows(log))


def test_lines_longer_than_any_client_are_held_a_few_at_a_time(log: FileLog) -> None:
    content = csv_of(*[f"{'a' * 50_000};1;2;3;4;5"] * 100)

    client_file = asyncio.run(client_files_of(log).receive("a.csv", pieces(content, 65_536)))

    chunks = [[line.number for line in lines] for lines in _chunks(log, client_file.id)]
    assert max(map(len, chunks)) < 25
    assert [number for numbers in chunks for number in numbers] == list(range(2, 102))


def _chunks(log: FileLog, file_id: str) -> Iterator[list[Line]]:
    for number in count():
        kept = log.row_results(file_id, number)
        if kept is None:
            return
        yield kept[0]


async def _rows(log: FileLog) -> int:
    with database.transaction(log.engine) as connection:
        return int(
            connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM batches) + (SELECT count(*) FROM batch_chunks)"
            ).scalar_one()
        )


def test_a_chunk_is_one_call_of_the_model(log: FileLog) -> None:
    model = Model()

    async def evaluated() -> None:
        client_file = await client_files_of(log).receive(
            "a.csv", pieces(clients(2 * CHUNK_LINES + 10))
        )
        log.step(client_file.id, Step.START)
        await FileWorker(log, model, POLICY, Here(), Here()).work()

    asyncio.run(evaluated())

    assert model.calls == [CHUNK_LINES, CHUNK_LINES, 10]


def test_a_worker_that_meets_trouble_goes_on_by_itself(log: FileLog) -> None:
    model = Model(failures=2)

    async def survived() -> State:
        client_file = await client_files_of(log).receive("a.csv", pieces(clients(10)))
        log.step(client_file.id, Step.START)
        worker = FileWorker(log, model, POLICY, Here(), Here())
        task = asyncio.create_task(worker.run())
        while (state := log.find(client_file.id).state) is State.RUNNING:
            worker.call()
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return state

    assert asyncio.run(asyncio.wait_for(survived(), 20)) is State.DONE


class FullLog(FileLog):
    """A log whose disk is full for a while."""

    is_full = True

    def commit(self, evaluated: EvaluatedChunk, rows: Sequence[Values]) -> bool:
        """Fail, as long as it is full."""
        if self.is_full:
            raise RecordUnavailableError("database or disk is full")
        return super().commit(evaluated, rows)


def test_a_file_that_stands_still_says_what_it_waits_for(log: FileLog) -> None:
    full = FullLog(log.engine)

    async def followed() -> list[str | None]:
        worker = FileWorker(full, Model(), POLICY, Here(), Here())
        client_files = ClientFiles(full, EvaluationLog(log.engine), Here(), worker)
        client_file = await client_files.receive("a.csv", pieces(clients(10)))
        await client_files.step(client_file.id, Step.START)
        told = [await waits(client_files, client_file.id)]
        working = asyncio.create_task(worker.run())
        await until(lambda: worker.awaits is not None)
        told.append(await waits(client_files, client_file.id))
        full.is_full = False
        await until(lambda: worker.awaits is None)
        told.append(await waits(client_files, client_file.id))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return told

    assert asyncio.run(followed()) == [None, "registro", None]


async def waits(client_files: ClientFiles, file_id: str) -> str | None:
    return contract.client_file(await client_files.find(file_id), client_files.awaits).espera


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the worker tells nobody
            await asyncio.sleep(0.01)


class Busy(Here):
    """A service that somebody asks for one evaluation after the other."""

    async def run_write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, while others come."""
        self.appended += 1
        return await super().run_write(call, *args, **kwargs)


class SlowModel(Model):
    """A model that takes its time."""

    async def predict_many(self, usages: Sequence[CardUsage]) -> list[Prediction]:
        """Take a tenth of a second."""
        await asyncio.sleep(0.1)
        return await super().predict_many(usages)


def test_a_file_gives_way_to_those_who_ask_one_by_one(log: FileLog) -> None:
    async def seconds(service: Here) -> float:
        client_file = await client_files_of(log).receive("a.csv", pieces(clients(10)))
        log.step(client_file.id, Step.START)
        begun = time.perf_counter()
        await FileWorker(log, SlowModel(), POLICY, service, service).work()
        return time.perf_counter() - begun

    alone, among_others = asyncio.run(seconds(Here())), asyncio.run(seconds(Busy()))

    assert alone >= 0.1
    assert among_others >= 0.2


def test_a_repeated_file_is_the_one_that_is_there(log: FileLog) -> None:
    client_files = client_files_of(log)

    def receive(content: bytes, name: str = "a.csv") -> str:
        return asyncio.run(client_files.receive(name, pieces(content), "k")).id

    first = receive(clients(3))

    assert receive(clients(3)) == first
    for content, name in ((clients(4), "a.csv"), (clients(3), "b.csv")):
        with pytest.raises(IdempotencyKeyReusedError):
            receive(content, name)
    assert [one.id for one in log.latest(9)] == [first]


def test_the_key_of_a_file_that_broke_off_may_be_used_again(log: FileLog) -> None:
    client_files = client_files_of(log)

    async def breaks_off() -> AsyncIterator[bytes]:
        yield clients(3)
        with pytest.raises(IdempotencyKeyInFlightError):
            await client_files.receive("a.csv", pieces(clients(3)), "k")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(client_files.receive("a.csv", breaks_off(), "k"))

    assert asyncio.run(client_files.receive("a.csv", pieces(clients(3)), "k")).line_count == 3


def test_a_repeated_step_is_taken_once(log: FileLog) -> None:
    client_files = client_files_of(log)
    file_id = asyncio.run(client_files.receive("a.csv", pieces(clients(3)))).id
    begin, pause = IdempotencyKey("k", "begin"), IdempotencyKey("p", "pause")

    log.step(file_id, Step.START, begin)
    log.step(file_id, Step.PAUSE, pause)
    log.step(file_id, Step.START, begin)

    assert log.find(file_id).state is State.PAUSED
    with pytest.raises(IdempotencyKeyReusedError):
        log.step(file_id, Step.RESUME, IdempotencyKey("k", "other"))
