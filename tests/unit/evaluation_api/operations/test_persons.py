"""What a person may ask for: to be corrected, and to be taken out of the record."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, event, insert, make_url, text

from evaluation_api.client_files.client_file import Answers, Reading, Sample
from evaluation_api.client_files.log import ClientFileLog
from evaluation_api.decision.domain import Applicant, IdempotencyKey, Recorded, Search, own_key
from evaluation_api.decision.errors import EvaluationCorrectedError, EvaluationErasedError
from evaluation_api.decision.names import ERASED
from evaluation_api.operations import audit, retention
from evaluation_api.operations.persons import PersonError, Persons
from evaluation_api.record import database, schema
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.sealer import Seals
from evaluation_api.record.search import name_index
from evaluation_api.record.search.history import History
from evaluation_api.record.tables import reviews
from evaluation_api.web import answers
from tests.evaluations import USAGE, decided_entry, pending_entry
from tests.unit.evaluation_api.record.test_chain import entry_now, exported, review

NAME = "Quitéria Zzyzx"
KEY = IdempotencyKey("cliente-77", "f")


@pytest.fixture
def persons(engine: Engine) -> Persons:
    return Persons(engine)


def test_an_evaluation_is_found_by_id_protocol_or_key(log: EvaluationLog, persons: Persons) -> None:
    entry = entry_now()._replace(idempotency_key=KEY)
    log.append([entry])
    end = entry.id[-8:].upper()

    for named in (entry.id, entry.id.upper(), f"{end[:4]} {end[4:]}", end.lower(), KEY.key):
        assert persons.find(named) == entry.id
    with pytest.raises(PersonError, match="nobody: no evaluation has this"):
        persons.find("nobody")


def test_a_key_names_what_any_caller_sent_with_it(log: EvaluationLog, persons: Persons) -> None:
    for caller, sent in (("chave:a", "ref_1"), ("conta:Ana P#x", "ref-2"), ("chave:b", "ref-2")):
        own = IdempotencyKey(own_key(sent, caller), "f")
        log.append([last := entry_now()._replace(idempotency_key=own)])
    log.append([entry_now()._replace(idempotency_key=IdempotencyKey("xref_1", "f"))])

    assert persons.keys(persons.find("ref_1")) == ["ref_1"]
    assert persons.keys(last.id) == ["ref-2"]
    with pytest.raises(PersonError, match=f"ref-2: is the protocol, or the key, of .*{last.id}"):
        persons.find("ref-2")


def test_who_is_erased_leaves_the_decision_and_a_whole_chain(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    erased, other = entry_now(NAME)._replace(idempotency_key=KEY), entry_now("Bia")
    log.append([erased, other])
    log.review(review(erased.id))
    before = log.find(erased.id)

    persons.erase([erased.id])

    found = log.find(erased.id)
    assert (found.applicant.name, found.applicant.usage.balance) == (ERASED, 0.0)
    assert [one.justification for one in found.reviews] == [ERASED]
    assert found.erased_at is not None
    assert _decided(found) == _decided(before)
    shown = json.loads(answers.recorded(found))
    assert (shown["avaliacao"]["decisao"], shown["pedido"]["name"]) == (before.outcome, ERASED)
    assert log.find_by_keys([KEY.key]) == [None]
    assert History(engine).search(Search(9, name="quiteria")) == []
    assert log.find(other.id).applicant.name == "Bia"
    verified = audit.verify(engine)
    assert (verified.faults, verified.unsealed) == ([], 0)
    assert exported(engine)[-1]["kind"] == "erase"
    assert not any("uit" in json.dumps(one) for one in exported(engine))


def _decided(one: Recorded) -> tuple[object, ...]:
    return one.outcome, one.cluster, one.model_tag, one.policy_version


def test_nothing_is_left_of_who_was_erased_by_which_their_amounts_can_be_told(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    log.append([entry := entry_now(NAME)])
    sure = log.find(entry.id).confidence
    assert sure is not None

    persons.erase([entry.id])

    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM evaluations")).mappings().one()
    assert row["confidence"] is None
    assert repr(sure) not in repr(dict(row))
    assert json.loads(row["answer"])["confianca"] is None


def test_an_erasure_that_is_broken_off_before_it_wiped_is_known_to_the_next_purge(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    log.append([entry := entry_now(NAME)])
    is_erased = False

    @event.listens_for(engine, "before_cursor_execute")
    def notice(_: object, __: object, statement: str, *___: object) -> None:
        nonlocal is_erased
        is_erased |= "erased_at=" in statement

    @event.listens_for(engine, "begin")
    def end(_: object) -> None:
        if is_erased:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        persons.erase([entry.id])
    event.remove(engine, "begin", end)

    assert log.find(entry.id).erased_at is not None
    assert retention.is_unfinished(engine)
    retention.finish(engine)
    assert not retention.is_unfinished(engine)


def test_who_was_erased_is_not_reviewed_any_more(log: EvaluationLog, persons: Persons) -> None:
    log.append([entry := entry_now(NAME)])
    log.review(before := review(entry.id))
    persons.erase([entry.id])

    with pytest.raises(EvaluationErasedError):
        log.review(review(entry.id))

    assert [one.id for one in log.find(entry.id).reviews] == [before.id]


def test_what_is_left_of_an_erased_person_is_sealed_too(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    log.append([entry := entry_now(NAME)])
    persons.erase([entry.id])

    with engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET outcome = 'recusado'"))

    assert audit.verify(engine).faults == [
        f"evaluation {entry.id}: was changed after it was sealed"
    ]


def test_who_is_erased_twice_stays_as_at_first_and_what_was_said_since_goes(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    log.append([entry := entry_now(NAME)])
    persons.erase([entry.id])
    at_first = log.find(entry.id)
    with engine.begin() as connection:  # as a replica of the release before does
        connection.execute(insert(reviews).values(asdict(review(entry.id))))

    persons.erase([entry.id], lambda _row: "as another release writes it")

    found = log.find(entry.id)
    assert replace(found, reviews=()) == at_first
    assert [one.justification for one in found.reviews] == [ERASED]
    Seals(engine).seal_all()
    verified = audit.verify(engine)
    assert (verified.faults, verified.evaluations, verified.erased) == ([], 1, 1)


def test_who_waits_for_the_model_is_erased_later(log: EvaluationLog, persons: Persons) -> None:
    log.append([entry := pending_entry(NAME)])

    with pytest.raises(PersonError, match="waits for the model"):
        persons.erase([entry.id])
    assert log.find(entry.id).applicant.name == NAME


def test_a_correction_stands_in_the_place_of_an_evaluation_and_counts_once(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    log.append([wrong := entry_now("Bia")])
    right = entry_now()._replace(applicant=Applicant("Bia Sá", USAGE))

    persons.correct(wrong.id, right)

    assert log.find(wrong.id).corrected_by == right.id
    with engine.connect() as connection:
        counted = connection.execute(text("SELECT avaliacao FROM decisoes")).scalars().all()
    assert counted == [right.id]
    with pytest.raises(PersonError, match=f"was corrected by {right.id}"):
        persons.correct(wrong.id, right._replace(id=decided_entry().id))
    Seals(engine).seal_all()
    assert audit.verify(engine).faults == []
    assert exported(engine)[-2]["what"] == {"before": wrong.id, "after": right.id}
    retention.purge(engine, datetime.now(UTC))
    assert audit.verify(engine).faults == []


def test_nothing_of_a_person_who_was_erased_is_left_in_the_files(tmp_path: Path) -> None:
    """Neither in the record, nor in its log, nor in the index of names."""
    file = tmp_path / "evaluations.db"
    engine = database.connect(f"sqlite:///{file}")
    schema.migrate(engine)
    indexed = database.connect_again(engine)
    name_index.attach(indexed)
    log = EvaluationLog(engine)
    log.append([entry := entry_now(NAME), *(entry_now() for _ in range(200))])
    log.review(replace(review(entry.id), justification=f"{NAME} não apresentou renda."))
    name_index.index_some(indexed)
    came_in = _file_of(engine, entry.id)
    assert any(_holds(path) for path in file.parent.iterdir())

    assert Persons(engine).erase([entry.id]) == [came_in]

    assert [path.name for path in file.parent.iterdir() if _holds(path)] == []
    indexed.dispose()
    engine.dispose()


def test_who_was_left_out_of_a_later_file_as_decided_before_is_erased_from_it_too(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    entry, later, last = (
        decided_entry(NAME, when=datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 2, 3)
    )
    log.append([entry])
    came_in = _file_of(engine, entry.id)
    left_out = _file_of(engine, later.id, repeated=1)
    _file_of(engine, last.id)  # left nobody out

    assert persons.files(entry.id) == [came_in, left_out]
    assert persons.erase([entry.id]) == [came_in, left_out]


def test_a_correction_and_what_it_corrects_are_of_one_person(
    log: EvaluationLog, persons: Persons
) -> None:
    log.append([first := entry_now(NAME), other := entry_now()])
    second, third = entry_now(NAME), entry_now(NAME)
    persons.correct(first.id, second)
    persons.correct(second.id, third)

    assert persons.same_person(second.id) == [first.id, second.id, third.id]
    assert persons.same_person(other.id) == [other.id]


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_that_is_vacuumed_in_full_keeps_nothing_of_who_was_erased_but_its_log(
    url: str, engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    log.append([entry := entry_now(NAME), *(entry_now() for _ in range(50))])
    log.review(replace(review(entry.id), justification=f"{NAME} não apresentou renda."))
    _file_of(engine, entry.id)
    tables = Path(str(make_url(url).query["host"])) / "cluster" / "base"
    own = engine.execution_options(isolation_level="AUTOCOMMIT")
    with own.connect() as server:
        server.execute(text("CHECKPOINT"))
    assert _held(tables)

    persons.erase([entry.id])
    with own.connect() as server:
        for statement in ("VACUUM FULL", "CHECKPOINT"):
            server.execute(text(statement))

    assert _held(tables) == []


def _held(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and _holds(path)]


def _file_of(
    engine: Engine, evaluation_id: str, state: str = "concluido", repeated: int = 0
) -> str:
    """Leave a file out of which somebody was evaluated; repeated: of how many it says so."""
    file_id = f"{evaluation_id[:13]}-7000-8000-000000000000"
    log = ClientFileLog(engine)
    log.open(file_id, f"{NAME}.csv", Answers(), key=f"zzyzx-{file_id}")
    log.store(file_id, 0, f"nome\n{NAME}\n".encode())
    log.complete(file_id, "sha", "")
    sample = Sample(2, (NAME,), NAME)
    reading = msgspec.json.encode(Reading(sample=(sample,), lines=1, repeated=repeated)).decode()
    with engine.begin() as connection:
        known = {"state": state, "reading": reading, "of": file_id}
        statement = (
            "UPDATE client_files SET state = :state, reading = :reading, header_sha256 = 'columns'"
            " WHERE id = :of"
        )
        connection.execute(text(statement), known)
    return file_id


def test_who_came_in_a_file_that_is_not_done_is_erased_later(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    log.append([entry := entry_now(NAME)])
    _file_of(engine, entry.id, "em_andamento")

    with pytest.raises(PersonError, match="is not done"):
        persons.erase([entry.id])
    assert log.find(entry.id).applicant.name == NAME


def test_the_cells_of_who_was_erased_go_from_a_file_of_the_last_release(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    entry, other = entry_now(NAME), entry_now("Bia")
    log.append([entry, other])
    lines = json.dumps([[2, [NAME, "1"]], [3, ["Bia", "2"]]])
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO batches (id, name, state, changed_at, sample, line_count)"
                " VALUES ('b', 'Zzyzx.csv', 'concluido', '2026-11-26 12:00:00', :lines, 2)"
            ),
            {"lines": lines},
        )
        connection.execute(
            text(
                "INSERT INTO batch_chunks (batch_id, number, line_count, lines, endings)"
                " VALUES ('b', 0, 2, :lines, :endings)"
            ),
            {"lines": lines, "endings": json.dumps([entry.id, other.id])},
        )

    assert persons.erase([entry.id]) == ["b"]

    with engine.connect() as connection:
        kept = connection.execute(text("SELECT lines FROM batch_chunks")).scalar_one()
        left = connection.execute(text("SELECT name, sample FROM batches")).one()
    assert json.loads(kept) == [[2, ["apagado", "apagado"]], [3, ["Bia", "2"]]]
    assert left == ("apagado", "[]")


def _holds(path: Path) -> bool:
    """Tell whether a file holds the name, or the index of names a part of it."""
    content = path.read_bytes().lower()
    return (
        b"zzyzx" in content
        or "quitéria".encode() in content
        or ("-names" in path.name and b"zyz" in content)
    )


def test_what_was_corrected_says_which_one_counts_and_takes_no_review(
    engine: Engine, log: EvaluationLog, persons: Persons
) -> None:
    wrong, right = entry_now(NAME), entry_now(NAME)
    log.append([wrong])
    persons.correct(wrong.id, right)

    with pytest.raises(EvaluationCorrectedError):
        log.review(review(wrong.id))
    log.review(review(right.id))

    before, after = log.find(wrong.id), log.find(right.id)
    assert (before.corrects, before.corrected_by, before.reviews) == (None, right.id, ())
    assert (after.corrects, after.corrected_by, len(after.reviews)) == (wrong.id, None, 1)
    listed = History(engine).search(Search(10))
    assert {one.id: one.corrected_by for one in listed} == {wrong.id: right.id, right.id: None}
