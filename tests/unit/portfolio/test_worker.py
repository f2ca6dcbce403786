"""What a worker makes of the files that somebody sends, in one process and on real tables."""

import csv
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, func, select, update

from bench.subjects import postgres
from evaluation_api.client_files.client_file import Answers, ClientFile, Counts, Kind, State, Step
from evaluation_api.client_files.log import ClientFileLog
from evaluation_api.decision.errors import (
    ClientFileStateError,
    ModelRefusalError,
    RecordBusyError,
    RecordUnavailableError,
)
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.operations import audit, retention
from evaluation_api.record import database, schema
from evaluation_api.record.chain import Event
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.rows import in_utc
from evaluation_api.record.sealer import Seals
from evaluation_api.record.tables import client_files, evaluations, file_answerers
from evaluation_api.runtime.identity import new_id
from model_store.version import StoredModel
from portfolio import checking, frames, known, packing, recording
from portfolio.changes import Change
from portfolio.deciding import Deciding
from portfolio.files import messages, sources
from portfolio.files.apart import MOST_HELD_BYTES
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices
from portfolio.frames import Floats, Profiles
from portfolio.leases import MOST_ATTEMPTS, PAUSES, Leases
from portfolio.profiler import StoredProfiler
from portfolio.recorded_files import RecordedFiles
from portfolio.recording import RecordedOtherwiseError, Recording
from portfolio.worker import Worker, committed
from tests.client_files import HEADER, clients, csv_of
from tests.evaluations import POLICY, POLICY_TEXT, decided_entry
from tests.portfolio_files import read_path
from tests.services import eventually

SECONDS = 60
CRASH_AFTER = 2
REFUSED_BALANCE = 666.0
KAGGLE = "CUST_ID,BALANCE,PURCHASES,CASH_ADVANCE,CREDIT_LIMIT,PAYMENTS"


class Choosy(StoredProfiler):
    """A model that refuses whoever owes one amount, and with them all who are asked about."""

    def profiles(self, amounts: Floats) -> Profiles:
        self._require(amounts)
        return super().profiles(amounts)

    def changes(self, amounts: Floats, policy: AnyPolicy) -> list[list[Change]]:
        """Return what n clients might change."""
        self._require(amounts)
        return super().changes(amounts, policy)

    def _require(self, amounts: Floats) -> None:
        if (amounts[:, 0] == REFUSED_BALANCE).any():
            raise ModelRefusalError("balance")


@dataclass
class Files:
    """The work of a worker; it checks files of so many lines."""

    worker: Worker
    deciding: Deciding
    most_lines: int = checking.MOST_LINES

    def check(self, file: ClientFile) -> State:
        leases, between = self.worker.leases, self.worker.between
        return checking.check(leases, file, between, most_lines=self.most_lines)

    def decide(self, file: ClientFile) -> None:
        self.deciding.run(file)


@dataclass
class Office:
    """Where files are sent, looked at and decided."""

    log: ClientFileLog
    worker: Worker

    def send(self, content: bytes, name: str = "clientes.csv") -> str:
        """Send a file; return its id."""
        file_id = new_id()
        self.log.open(file_id, name, Answers())
        for number, start in enumerate(range(0, len(content), 2**20)):
            self.log.store(file_id, number, content[start : start + 2**20])
        self.log.complete(file_id, hashlib.sha256(content).hexdigest(), "")
        return file_id

    def checked(self, content: bytes) -> ClientFile:
        """Send a file and have it looked at."""
        return self.worked(self.send(content))

    def answered(self, file: ClientFile, noted: Event | None = None, **columns: str) -> ClientFile:
        """Choose columns, and have the file looked at again."""
        self.log.answer(file.id, Answers(columns), noted=noted)
        return self.worked(file.id)

    def decided(self, file: ClientFile) -> list[dict[str, str]]:
        """Begin a file, and return the lines of its result."""
        self.log.step(file.id, Step.START)
        assert self.worked(file.id).state is State.DONE
        return self.lines(file, Kind.RESULT)

    def worked(self, file_id: str) -> ClientFile:
        """Do what there is to do."""
        while self.worker.work_once():
            pass
        return self.log.find(file_id)

    def lines(self, file: ClientFile, kind: Kind) -> list[dict[str, str]]:
        """Return the lines of a file that was made of it."""
        text = self.content(file, kind).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text), delimiter=";" if ";" in text else ","))

    def content(self, file: ClientFile, kind: Kind) -> bytes:
        """Return a file that was made of it."""
        pieces, number = [], 0
        while piece := self.log.part(file.id, kind, number):
            pieces.append(piece)
            number += 1
        return b"".join(pieces)


def office_with(
    engine: Engine,
    stored: StoredModel,
    told: Callable[[Counts, float], None] = committed,
    **limits: int,
) -> Office:
    """Open an office whose worker has a choosy model. told: of each slice."""
    PolicyLog(engine).remember(POLICY.version, POLICY_TEXT)
    leases, profiler = Leases(engine), Choosy(stored)

    def load(worker: Worker) -> Files:
        between, wanted = worker.between, worker.require_wanted
        deciding = Deciding(leases, POLICY, lambda: profiler, between, wanted, told)
        return Files(worker, deciding, **limits)

    return Office(ClientFileLog(engine), Worker(leases, load))


@pytest.fixture
def office(engine: Engine, stored: StoredModel) -> Office:
    return office_with(engine, stored)


def test_whom_the_model_refuses_is_named_and_all_others_are_decided(
    office: Office, engine: Engine
) -> None:
    balances = [f"{balance},00" for balance in range(1, 301)]
    for line in (0, 150, 299):
        balances[line] = "666,00"
    lines = (f"Cliente {at};{b};10;0;1000,00;100" for at, b in enumerate(balances))
    file = office.checked(csv_of(*lines))

    rows = office.decided(file)

    refused = [int(row["linha"]) for row in rows if row["erro_motivo"] == messages.REFUSED_BY_MODEL]
    assert refused == [2, 152, 301]
    assert [bool(row["decisao"]) for row in rows] == [
        row["saldo_devedor"] != "666,00" for row in rows
    ]
    told = office.log.find(file.id)
    assert (told.done, told.decided, told.counts.faults) == (300, 297, 3)
    for row in rows[1:150:50]:
        assert EvaluationLog(engine).find(row["id"]).applicant.name == row["nome"]


def test_a_file_that_ends_its_worker_five_times_is_refused_and_others_go_on(
    office: Office, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    file_id = office.send(csv_of("Ana;10;1;1;100;5"))
    for _ in range(MOST_ATTEMPTS):
        assert Leases(engine).take(State.CHECKING)
        with engine.begin() as connection:  # the worker is killed, and its lease ends
            connection.execute(update(client_files).values(leased_until=datetime.now(UTC)))
    other = office.send(csv_of("Bia;10;1;1;100;5"), "outro.csv")

    refused = office.worked(file_id)

    assert (refused.state, refused.refusal) == (State.REFUSED, messages.NEVER_READ)
    assert "client_file_tried_often" in caplog.text
    assert office.log.find(other).state is State.READY


def test_a_file_whose_worker_died_before_the_clock_was_set_back_is_taken_by_another(
    office: Office, engine: Engine
) -> None:
    file_id = office.send(csv_of("Ana;10;1;1;100;5"))
    assert Leases(engine).take(State.CHECKING)
    assert not office.worker.work_once()
    with engine.begin() as connection:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        connection.execute(update(client_files).values(leased_until=tomorrow))

    assert office.worked(file_id).state is State.READY


class Broken:
    """The work of a worker that has a fault of its own."""

    def check(self, file: ClientFile) -> State:
        raise ZeroDivisionError(file.id)

    def decide(self, file: ClientFile) -> None:
        self.check(file)


def test_a_file_that_a_worker_fails_at_is_tried_again_later_each_time_and_others_go_on(
    office: Office, engine: Engine
) -> None:
    worker, paused = Worker(Leases(engine), lambda _: Broken()), client_files.c.leased_until
    file_id = office.send(csv_of("Ana;10;1;1;100;5"))
    of_it = client_files.c.id == file_id
    for pause in PAUSES[:-1]:
        before = datetime.now(UTC)
        assert worker.work_once()
        assert not worker.work_once()
        with engine.begin() as connection:
            until = in_utc(connection.execute(select(paused).where(of_it)).scalar_one())
            connection.execute(update(client_files).where(of_it).values(leased_until=before))
        assert until - datetime.now(UTC) <= pause <= until - before
    assert worker.work_once()
    other = office.send(csv_of("Bia;10;1;1;100;5"), "outro.csv")

    refused = office.worked(file_id)

    assert (refused.state, refused.refusal) == (State.REFUSED, messages.NEVER_READ)
    assert office.log.find(other).state is State.READY


def test_a_workbook_is_decided_and_its_amounts_are_those_of_the_same_file_in_csv(
    office: Office,
) -> None:
    book, content = openpyxl.Workbook(), io.BytesIO()
    assert book.active
    for cells in (
        [*HEADER.split(";")],
        ["Ana", 1035.5, 5788, 0, 2700, 5651],
        ["Zé", "x", 1, 1, 1, 1],
    ):
        book.active.append(cells)
    book.save(content)

    file = office.checked(content.getvalue())
    rows = office.decided(file)

    assert file.reading
    assert (file.reading.encoding, file.reading.faulty) == ("planilha", 1)
    assert [row["erro_campo"] for row in rows] == ["", "saldo_devedor"]
    assert [row["decisao"] for row in rows] == ["aprovado", ""]
    assert is_known_from_csv(office)


def test_a_parquet_file_is_decided_and_its_amounts_are_those_of_the_same_file_in_csv(
    office: Office,
) -> None:
    content = io.BytesIO()
    cells = ["Ana", 1035.5, 5788.0, 0.0, 2700.0, 5651.0]
    frame = pd.DataFrame([cells, ["Zé", float("nan"), *cells[2:]]], columns=HEADER.split(";"))
    frame.to_parquet(content)

    file = office.checked(content.getvalue())
    rows = office.decided(file)

    assert file.reading
    assert (file.reading.encoding, file.reading.faulty) == ("parquet", 1)
    assert [row["erro_campo"] for row in rows] == ["", "saldo_devedor"]
    assert [row["decisao"] for row in rows] == ["aprovado", ""]
    assert is_known_from_csv(office)


def is_known_from_csv(office: Office) -> bool:
    """Tell whether the same client in CSV was decided before, so that all amounts are the same."""
    reading = office.checked(csv_of("Ana;1035,50;5788;0;2700;5651")).reading
    return reading is not None and reading.repeated == 1


@pytest.mark.parametrize(("lines", "state"), [(20, State.READY), (21, State.REFUSED)])
def test_a_file_has_so_many_lines_and_no_more(
    engine: Engine, stored: StoredModel, lines: int, state: State
) -> None:
    office = office_with(engine, stored, most_lines=20)

    file = office.checked(csv_of(*(f"Ana {at};10;1;1;100;5" for at in range(lines))))

    assert (file.state, file.refusal) == (state, messages.TOO_MANY if lines > 20 else None)


@pytest.mark.parametrize(("beyond", "refusal"), [(0, messages.NOT_TEXT), (1, messages.TOO_LARGE)])
def test_what_is_read_as_a_whole_is_as_large_as_it_may_be(
    beyond: int, refusal: str, tmp_path: Path
) -> None:
    with (tmp_path / "sent").open("wb+") as sent:
        sent.write(b"PAR1")
        sent.truncate(MOST_HELD_BYTES + beyond)
        sent.seek(0)
        pieces = iter(lambda: sent.read(2**20), b"")
        with pytest.raises(UnreadableFileError, match=refusal[:20]):
            sources.open_sent(pieces, MOST_HELD_BYTES + beyond, Choices({}))


def test_faulty_lines_that_are_mended_are_a_file_like_the_one_they_come_from(
    office: Office,
) -> None:
    header = f"{KAGGLE.replace(',', ';')};AGENCIA"
    first = office.checked(csv_of("C1;1,50;1;1;100;5;01", "C2;abc;1;1;100;5;02", header=header))
    ready = office.answered(first, name="CUST_ID")
    office.decided(ready)
    faulty = office.content(ready, Kind.FAULTS)
    assert faulty.decode("utf-8-sig").splitlines()[0].endswith('"linha";"erro_campo";"erro_motivo"')

    mended = office.checked(faulty.replace(b"abc", b"2,50"))
    assert mended.reading
    assert ready.reading
    assert (mended.state, mended.reading.header) == (State.READY, ready.reading.header)
    assert mended.answers.columns == {"name": "CUST_ID"}
    (row,) = office.decided(mended)
    again = office.checked(faulty.replace(b"abc", b"2,50") + b"\r\n")

    assert row["decisao"]
    assert [name for name in row if name.endswith("_") or name.startswith("erro")] == [
        "erro_campo",
        "erro_motivo",
    ]
    assert again.reading
    assert again.reading.repeated == 1


def test_a_file_that_a_worker_decided_is_recorded_from_a_terminal_only_if_it_is_asked_for_again(
    office: Office, engine: Engine, tmp_path: Path
) -> None:
    source, log = tmp_path / "clients.csv", RecordedFiles(engine)
    source.write_bytes(clients(3))
    office.decided(office.checked(source.read_bytes()))

    with pytest.raises(RecordedOtherwiseError, match=r"3 of its clients .* page; --again"):
        recording.begin(log, source, {"policy": "one"})

    assert log.find(hashlib.sha256(source.read_bytes()).hexdigest()) is None
    assert recording.begin(log, source, {"policy": "one"}, again=True).number == 1


@dataclass
class Terminal:
    """Records one file, as score --record does."""

    engine: Engine
    stored: StoredModel
    source: Path

    def begin(self) -> Recording:
        """Begin, or go on."""
        log = RecordedFiles(self.engine)
        file = recording.begin(log, self.source, {})
        refusal = recording.sent_meanwhile(log, self.source, file)
        return Recording(log, file, POLICY, StoredProfiler(self.stored), refusal=refusal)

    def record(self, one: Recording, first: int, last: int) -> None:
        """Record some clients."""
        some = read_path(self.source)
        names, amounts = pa.array(some.names[first:last]), some.amounts[first:last]
        decisions = frames.evaluate(amounts, POLICY, StoredProfiler(self.stored))
        one.append(one.prepare(names, amounts, decisions, 0.0))


@pytest.fixture
def terminal(engine: Engine, stored: StoredModel, tmp_path: Path) -> Terminal:
    """Have a file of five clients recorded at a terminal."""
    source = tmp_path / "clients.csv"
    source.write_bytes(clients(5))
    return Terminal(engine, stored, source)


def recorded(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(evaluations)) or 0)


def test_who_a_worker_decided_of_a_file_that_was_broken_off_at_a_terminal_is_not_recorded_again(
    office: Office, terminal: Terminal, engine: Engine
) -> None:
    terminal.record(terminal.begin(), 0, 2)
    office.decided(office.checked(terminal.source.read_bytes()))

    terminal.record(terminal.begin(), 0, 2)
    with pytest.raises(RecordedOtherwiseError, match=r"3 of its clients .* page; --again"):
        terminal.record(terminal.begin(), 0, 5)
    assert recorded(engine) == 5


def test_a_file_that_a_terminal_records_meanwhile_is_decided_by_that_alone(
    office: Office, terminal: Terminal, engine: Engine
) -> None:
    one = terminal.begin()
    terminal.record(one, 0, 2)
    goes_on = threading.Timer(0.5, terminal.record, (one, 2, 5))
    goes_on.start()

    rows = office.decided(office.checked(terminal.source.read_bytes()))

    goes_on.join()
    assert [row["erro_motivo"] for row in rows] == [messages.decided_before(None)] * 5
    assert recorded(engine) == 5


def test_no_terminal_records_a_file_while_a_worker_decides_it(
    office: Office, terminal: Terminal, engine: Engine
) -> None:
    file = office.checked(terminal.source.read_bytes())
    office.log.step(file.id, Step.START)

    with pytest.raises(RecordBusyError):
        terminal.begin()

    office.log.step(file.id, Step.CANCEL)
    terminal.record(terminal.begin(), 0, 5)
    assert recorded(engine) == 5


def test_nobody_decides_out_of_a_file_that_a_purge_has_come_to(
    office: Office, engine: Engine
) -> None:
    EvaluationLog(engine).append([decided_entry()])
    file = office.checked(clients(3))
    begun: list[int] = []

    def begin(deleted: int) -> None:
        with pytest.raises(ClientFileStateError):
            office.log.step(file.id, Step.START)
        begun.append(deleted)

    retention.purge(engine, datetime.now(UTC) + timedelta(seconds=1), begin)

    assert begun == [1]


def test_a_long_file_is_worked_out_in_a_process_beside_its_worker(
    engine: Engine, stored: StoredModel
) -> None:
    beside: list[int] = []
    office = office_with(engine, stored, lambda *_: beside.append(len(active_children())))
    lines = [f"Cliente {at};{at}0,00;10;0;1000,00;100" for at in range(1, 4_200)]

    rows = office.decided(office.checked(csv_of(*lines)))

    assert [row["nome"] for row in rows] == [line.partition(";")[0] for line in lines]
    assert all(row["decisao"] for row in rows)
    assert set(beside) == {packing.count()}
    assert not active_children()
    Seals(engine).seal_all()
    assert audit.verify(engine).faults == []


def test_a_long_file_that_is_paused_stops_behind_its_slice_and_goes_on_from_there(
    engine: Engine, stored: StoredModel
) -> None:
    slices: list[int] = []

    def pause_once(counts: Counts, _: float) -> None:
        slices.append(sum(counts.outcomes.values()))
        if len(slices) == 1:
            office.log.step(file.id, Step.PAUSE)

    office = office_with(engine, stored, pause_once)
    lines = [f"Cliente {at};{at}0,00;10;0;1000,00;100" for at in range(1, 8_300)]
    file = office.checked(csv_of(*lines))
    office.log.step(file.id, Step.START)

    paused = office.worked(file.id)
    office.log.step(file.id, Step.RESUME)
    done = office.worked(file.id)

    assert (paused.state, paused.done) == (State.PAUSED, slices[0])
    assert (done.state, done.decided) == (State.DONE, len(lines))
    sent = [line.partition(";")[0] for line in lines]
    assert [row["nome"] for row in office.lines(file, Kind.RESULT)] == sent


@pytest.mark.parametrize("most", [7, 4])
def test_who_was_decided_is_known_however_many_were_decided_since(
    office: Office, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(known, "MOST_KEYS", most)
    for people in ("ABC", "DE", "FG"):
        office.decided(office.checked(csv_of(*(f"Ana {who};10;1;1;100;5" for who in people))))

    file = office.checked(csv_of(*(f"Ana {who};10;1;1;100;5" for who in "HAGA")))
    rows = office.decided(file)

    assert file.reading
    assert (file.reading.repeated, file.reading.faulty) == (3, 0)
    assert [bool(row["decisao"]) for row in rows] == [True, False, False, False]


def test_a_column_that_is_chosen_wrong_is_asked_about_again_and_chosen_for_no_other_file(
    office: Office,
) -> None:
    header = KAGGLE.replace("PAYMENTS", "PAYMENTS,VALOR,VALOR")
    content = csv_of("C1,40.90,95.40,0,1000,201.80,1,2", header=header)
    first = office.checked(content)

    wrong = office.answered(first, name="CUST_ID", payments="VALOR")
    other = office.checked(content.replace(b"C1", b"C2"))
    right = office.answered(wrong, name="CUST_ID")
    later = office.checked(content.replace(b"C1", b"C3"))

    assert wrong.reading
    assert (wrong.state, wrong.reading.questions[0].fields) == (State.ASKING, ("payments",))
    assert "VALOR" in wrong.reading.questions[0].sentence
    assert other.reading
    assert (other.answers, other.reading.questions[0].fields) == (Answers(), ("name",))
    assert right.state is State.READY
    assert (later.state, later.answers.columns) == (State.READY, {"name": "CUST_ID"})


@pytest.mark.parametrize("columns", [{"name": "quem"}, {"name": "CUST_ID", "balance": "PAYMENTS"}])
def test_what_was_chosen_for_a_file_that_is_cancelled_before_its_start_is_chosen_for_no_other(
    office: Office, columns: dict[str, str]
) -> None:
    content = csv_of("C1,40.90,95.40,0,1000,201.80", header=KAGGLE)
    wrong = office.answered(office.checked(content), None, **columns)
    office.log.step(wrong.id, Step.CANCEL)

    other = office.checked(content.replace(b"C1", b"C2"))

    assert (other.state, other.answers) == (State.ASKING, Answers())
    right = office.answered(other, name="CUST_ID")
    office.decided(right)
    assert office.checked(content.replace(b"C1", b"C3")).state is State.READY


def test_a_column_that_is_chosen_and_is_not_there_is_said_not_to_be(office: Office) -> None:
    file = office.answered(office.checked(clients(2)), name="Cliente desde")

    assert file.reading
    (question,) = file.reading.questions
    assert question.sentence.startswith("O arquivo não tem a coluna “Cliente desde”. Que coluna")


def test_nobody_is_asked_what_no_column_of_the_file_could_answer(office: Office) -> None:
    nameless = office.checked(csv_of("1035,50;5788;0;2700;5651", header=HEADER.partition(";")[2]))
    doubled = office.checked(csv_of("Ana;1;2;3;4;5;6", header=HEADER + ";compras"))

    assert nameless.state is State.REFUSED
    assert doubled.reading
    assert doubled.reading.questions[0].options == tuple(
        name for name in HEADER.split(";") if name != "compras"
    )


def test_who_chose_columns_has_chosen_them_for_the_files_that_they_hold_for_and_for_no_other(
    engine: Engine, office: Office
) -> None:
    content = csv_of("C1,40.90,95.40,0,1000,201.80", header=KAGGLE)
    ana, bia = (Event("file_answer", who, "", {}) for who in ("chave:ana", "chave:bia"))

    first = office.answered(office.checked(content), ana, name="CUST_ID")
    second, third = (office.checked(content.replace(b"C1", name)) for name in (b"C2", b"C3"))
    own = office.answered(office.checked(content.replace(b"C1", b"C4")), bia, name="CUST_ID")
    other = office.checked(clients(2))

    with engine.connect() as connection:
        rows = connection.execute(select(file_answerers)).all()
    found = {
        file.id: {row.label for row in rows if row.file_id == file.id}
        for file in (first, second, third, own, other)
    }
    assert [found[file.id] for file in (first, second, third)] == [{"chave:ana"}] * 3
    assert "chave:bia" in found[own.id]
    assert found[other.id] == set()


@contextmanager
def office_cut_off(
    stored: StoredModel, cut_off: Callable[[postgres.Server], None], slices: Iterator[int]
) -> Iterator[tuple[postgres.Server, Office]]:
    """Have an office on a server of its own, which it is cut off from once, in the middle."""
    with postgres.primary("-c fsync=off") as server:
        engine = database.connect(server.url)
        schema.migrate(engine)

        def cut_off_once(_counts: Counts, _seconds: float) -> None:
            if next(slices) == CRASH_AFTER:
                cut_off(server)

        yield server, office_with(engine, stored, cut_off_once)
        engine.dispose()


@pytest.mark.postgres
def test_a_file_is_decided_once_though_its_database_crashes_midway(
    stored: StoredModel, caplog: pytest.LogCaptureFixture
) -> None:
    lines, slices = 30_000, count(1)
    with office_cut_off(stored, postgres.Server.stop, slices) as (server, office):
        file = office.checked(clients(lines, bad_every=100))
        office.log.step(file.id, Step.START)
        with at_work(office.worker):
            eventually(lambda: "record_away" in caplog.text, SECONDS)
            server.start()
            eventually(lambda: office.log.find(file.id).state is State.DONE, SECONDS)
        told, rows = office.log.find(file.id), office.lines(file, Kind.RESULT)
        with office.log.engine.connect() as connection:
            recorded = connection.execute(select(evaluations.c.id)).scalars().all()

    assert next(slices) > CRASH_AFTER + 1
    reasons = [line.__dict__["reason"] for line in caplog.records if line.message == "record_away"]
    assert all(reason.startswith("(psycopg.") for reason in reasons)
    assert (told.done, told.decided, told.counts.faults) == (lines, lines * 99 // 100, lines // 100)
    assert [int(row["linha"]) for row in rows] == list(range(2, lines + 2))
    assert sorted(recorded) == sorted(row["id"] for row in rows if row["id"])


@pytest.mark.postgres
def test_a_record_that_says_nothing_is_told_of_and_its_file_goes_on_afterwards(
    stored: StoredModel, caplog: pytest.LogCaptureFixture
) -> None:
    with office_cut_off(stored, postgres.Server.suspend, count(1)) as (server, office):
        file = office.checked(clients(30_000))
        office.log.step(file.id, Step.START)
        appearing = threading.Thread(target=office.worker.keep_appearing)
        with at_work(office.worker):
            appearing.start()
            try:
                eventually(lambda: REGISTRY.get_sample_value("portfolio_record_away") == 1, SECONDS)
            finally:
                server.resume()
            eventually(lambda: office.log.find(file.id).state is State.DONE, SECONDS)
            eventually(lambda: REGISTRY.get_sample_value("portfolio_record_away") == 0, SECONDS)
        appearing.join()

    assert [line.message for line in caplog.records].count("record_away") == 1


def test_no_line_is_passed_over_where_a_slice_could_not_be_recorded(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, is_locked, commit = 60_000, iter([True]), office.worker.leases.commit

    def commit_later(*arguments: Any) -> tuple[ClientFile, float]:  # noqa: ANN401 - as commit takes
        if next(is_locked, False):
            raise RecordBusyError("database is locked")
        return commit(*arguments)

    monkeypatch.setattr(office.worker.leases, "commit", commit_later)
    file = office.checked(clients(lines))
    office.log.step(file.id, Step.START)

    with pytest.raises(RecordBusyError):
        office.worker.work_once()

    assert office.log.find(file.id).done == 0
    assert office.worked(file.id).decided == lines
    assert [int(row["linha"]) for row in office.lines(file, Kind.RESULT)] == [*range(2, lines + 2)]


def test_a_file_outlasts_a_record_that_takes_no_slice_however_often_it_is_tried(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = office.checked(clients(10))
    office.log.step(file.id, Step.START)
    with monkeypatch.context() as full:
        full.setattr(office.worker.leases, "commit", refusing)
        for _ in range(MOST_ATTEMPTS + 2):
            with pytest.raises(RecordUnavailableError, match="full"):
                office.worker.work_once()

    assert office.worked(file.id).state is State.DONE


def refusing(*_: object) -> None:
    raise RecordUnavailableError("database or disk is full")


def test_a_file_whose_rows_the_record_refuses_is_put_off_and_others_go_on(
    office: Office, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    file = office.checked(clients(10))
    office.decided(file)
    begun_again = {"state": State.RUNNING.value, "done": 0, "decided": 0, "last_line": 0}
    with engine.begin() as connection:  # its clients are recorded, and it does not know
        connection.execute(update(client_files).values(**begun_again, counts=None))
    other = office.send(csv_of("Bia;10;1;1;100;5"), "outro.csv")

    assert office.worked(file.id).state is State.RUNNING
    assert office.log.find(other).state is State.READY
    assert "client_file_failed" in caplog.text


@contextmanager
def at_work(worker: Worker) -> Iterator[None]:
    """Have a worker work beside what looks at it."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()
