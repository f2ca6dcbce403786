"""What the record holds of one person: found, corrected and taken out of it.

Synchronous, as evaluations.py. A person is known by evaluations; who they are is for people to
find out.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, Select, delete, false, insert, null, or_, select, update

from evaluation_api.client_files.client_file import Reading, State
from evaluation_api.decision import errors
from evaluation_api.decision.domain import FEATURES, Entry, Recorded, sent_key
from evaluation_api.decision.names import ERASED, fold
from evaluation_api.operations import remains, retention
from evaluation_api.record import chain, database, digests, rows
from evaluation_api.record.evaluations import corrected, correction
from evaluation_api.record.rows import MOMENT
from evaluation_api.record.sealer import Seals, keep_out
from evaluation_api.record.search.history import by_protocol
from evaluation_api.record.search.searched import searched
from evaluation_api.record.tables import (
    batch_chunks,
    batches,
    client_file_parts,
    client_files,
    corrections,
    evaluations,
    idempotency_keys,
    posts,
    reviews,
)
from evaluation_api.record.writer import writer_for

#: Where nobody reads a file any more.
_OVER: Final = frozenset({State.DONE, State.CANCELLED, State.REFUSED})

#: Makes what is left of an answer.
MakeRemains = Callable[[Recorded], str]


class _LeftOut(msgspec.Struct):
    """Of a reading, and of counts: how many lines were decided before."""

    repeated: int = 0


class PersonError(errors.EvaluationError):
    """What cannot be done for a person, in one sentence."""


class Persons(database.Keeper):
    """The persons in one database. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._writer = writer_for(engine)
        # PostgreSQL knows by an index of the narrow table how ids end; the newest are not in it.
        is_file = engine.dialect.name == "sqlite"
        self._named = (evaluations,) if is_file else (searched, evaluations)

    def find(self, named: str) -> str:
        """Return the id of the evaluation that has an id, a protocol or an Idempotency-Key.

        Raises PersonError where that is none, or several.
        """
        with self._transaction() as connection:
            # Each by itself: of any of them PostgreSQL would look for all by reading all.
            by_id, key = select(evaluations.c.id), idempotency_keys.c.key
            ended = (
                select(t.c.id).where(or_(false(), *by_protocol(named, t))) for t in self._named
            )
            is_sent = or_(key == named, key.endswith(f" {named}", autoescape=True))
            queries = (
                by_id.where(evaluations.c.id == named),
                *ended,
                select(idempotency_keys.c.evaluation_id).where(is_sent),
            )
            each = (connection.execute(query).scalars().all() for query in queries)
            found = next(filter(None, each), [])
        if not found:
            raise PersonError(f"{named}: no evaluation has this id, protocol or key")
        if len(found) > 1:
            raise PersonError(f"{named}: is the protocol, or the key, of {', '.join(found)}")
        return str(found[0])

    def note_export(self, ids: Sequence[str]) -> None:
        """Note that what is held was handed out."""
        with self._transaction() as connection:
            told = chain.by_terminal("person_export", evaluations=list(ids))
            chain.note(connection, told)

    def keys(self, evaluation_id: str) -> list[str]:
        """Return the Idempotency-Key of an evaluation as it was sent, if it has one."""
        query = select(idempotency_keys.c.key).where(
            idempotency_keys.c.evaluation_id == evaluation_id
        )
        with self._transaction() as connection:
            return [sent_key(key)[0] for key in connection.execute(query).scalars()]

    def same_person(self, evaluation_id: str) -> list[str]:
        """Return an evaluation, those that it corrects and those that correct it, oldest first."""
        found = [evaluation_id]
        with self._transaction() as connection:
            while older := corrected(connection, found[0]):
                found.insert(0, older)
            while newer := correction(connection, found[-1]):
                found.append(newer)
        return found

    def files(self, evaluation_id: str) -> list[str]:
        """Return the files of clients that hold what was sent of a person, or may."""
        with self._transaction() as connection:
            return [file.id for file in _files_of(connection, [evaluation_id])]

    def correct(self, evaluation_id: str, entry: Entry) -> None:
        """Record what a person was evaluated as anew, in the place of an evaluation.

        Raises PersonError where another stands there already.
        """
        encoded = [self._writer.encode(entry)]
        link = {"evaluation_id": evaluation_id, "by_id": entry.id}
        with self._writing() as connection:
            if newer := correction(connection, evaluation_id):
                raise PersonError(f"{evaluation_id}: was corrected by {newer}; correct that one")
            self._writer.insert(connection, encoded)
            connection.execute(insert(corrections).values(link))
            told = chain.by_terminal(chain.CORRECT, before=evaluation_id, after=entry.id)
            chain.note(connection, told)

    def erase(self, ids: Sequence[str], make_remains: MakeRemains = remains.of) -> list[str]:
        """Take persons out of evaluations: names, amounts, answers, keys, words of reviews, lines.

        What was decided, when and by what is left, and the chain with its digests, without salts.
        Returns the files of clients that they came in: gone as they were sent and answered.
        make_remains: of an evaluation, what is left of its answer. Raises PersonError for what
        waits for the model, or whose file is not done; nothing is erased then.
        """
        Seals(self.engine).seal_all()
        with self._writing() as connection:
            keep_out(connection)
            found = _to_be_erased(connection, ids)
            left = dict(_erased(connection, found, make_remains))
            left |= _erased_words(connection, ids)
            files = sorted({*_forget_lines(connection, ids), *_forget_files(connection, ids)})
            _forget_what_leads_to(connection, [*ids, *files])
            chain.note(connection, chain.by_terminal(chain.ERASE, left=left))
            retention.note_begun(connection)
        retention.finish(self.engine)
        return files


def _to_be_erased(connection: Connection, ids: Sequence[str]) -> list[Recorded]:
    """Return evaluations without what they are explained by, but those that were erased before.

    Raises PersonError.
    """
    columns = [column for column in rows.RECORDED if column.name != "prediction"]
    these: Select[Any] = select(*columns, null().label("prediction")).where(
        evaluations.c.id.in_(ids), evaluations.c.erased_at.is_(None)
    )
    found = [rows.decode(row) for row in connection.execute(these.with_for_update())]
    for one in found:
        if one.pending:
            raise PersonError(f"{one.id}: waits for the model; erase it once it is decided")
    return found


def _erased(
    connection: Connection, found: Sequence[Recorded], make_remains: MakeRemains
) -> Iterator[tuple[str, str]]:
    """Take persons out of rows; yield ids, and digests of what is left.

    Whoever has amounts and the model finds a client's confidence in all of its digits: it goes.
    """
    no_amounts = dict.fromkeys(FEATURES, 0.0)
    for row in found:
        values = {
            "name": ERASED,
            "name_folded": fold(ERASED),
            **no_amounts,
            "answer": make_remains(row),
            "prediction": None,
            "confidence": None,
            "salt": None,
            "erased_at": datetime.now(UTC),
        }
        connection.execute(update(evaluations).where(evaluations.c.id == row.id).values(values))
    ids = [row.id for row in found]
    yield from _left(connection, evaluations, evaluations.c.id.in_(ids))


def _erased_words(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Take the words of reviews, which may name a person; return as _erased yields."""
    query = select(reviews.c.id).where(
        reviews.c.evaluation_id.in_(ids), reviews.c.justification != ERASED
    )
    these = reviews.c.id.in_(connection.execute(query).scalars().all())
    connection.execute(update(reviews).where(these).values(justification=ERASED, salt=None))
    return dict(_left(connection, reviews, these))


def _left(connection: Connection, table: Any, which: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    for row in connection.execute(digests.rows_of(connection, table).where(which)):
        yield row[0], digests.of_values(b"", tuple(row)).hex()


def _forget_what_leads_to(connection: Connection, ids: Sequence[str]) -> None:
    """Delete keys, which callers make of whatever they know a person by."""
    for column in (idempotency_keys.c.evaluation_id, posts.c.subject_id):
        connection.execute(delete(column.table).where(column.in_(ids)))


def _forget_lines(connection: Connection, ids: Iterable[str]) -> Iterator[str]:
    """Take the cells of persons out of the last release's files; yield those files."""
    for identity in ids:
        is_in = batch_chunks.c.endings.contains(f'"{identity}"')
        for chunk in connection.execute(select(batch_chunks).where(is_in)).all():
            lines, endings = json.loads(chunk.lines), json.loads(chunk.endings)
            at = endings.index(identity)
            lines[at][1] = [ERASED] * len(lines[at][1])
            own = (batch_chunks.c.batch_id == chunk.batch_id) & (
                batch_chunks.c.number == chunk.number
            )
            told = json.dumps(lines, ensure_ascii=False, separators=(",", ":"))
            connection.execute(update(batch_chunks).where(own).values(lines=told))
            this = update(batches).where(batches.c.id == chunk.batch_id)
            connection.execute(this.values(name=ERASED, sample="[]"))  # its first rows
            yield chunk.batch_id


def _forget_files(connection: Connection, ids: Iterable[str]) -> Iterator[str]:
    """Take out of the record, as they were sent and answered, the files that persons came in.

    Their names too, which may be a person's. Yields the files. Raises PersonError.
    """
    for file in _files_of(connection, ids):
        if file.state not in _OVER:
            raise PersonError(f"file {file.id}: is not done; erase once it is, or cancel it")
        of_it = client_file_parts.c.file_id == file.id
        connection.execute(delete(client_file_parts).where(of_it))
        this = update(client_files).where(client_files.c.id == file.id)
        connection.execute(this.values(name=ERASED, reading=_without_cells(file.reading)))
        yield file.id


def _files_of(connection: Connection, ids: Iterable[str]) -> list[Any]:
    """Return the files that persons were evaluated from, and those that may have left them out.

    The ids of a file's evaluations begin as its own does. A later one with its columns leaves out
    who was decided before, and whom is not kept: so each is returned that left anybody out.
    """
    found: dict[str, Any] = {}
    for beginning in {identity[:MOMENT] for identity in ids}:
        begun_then = client_files.c.id.startswith(beginning)
        for file in connection.execute(select(client_files).where(begun_then)).all():
            has_its_columns = client_files.c.header_sha256 == file.header_sha256
            is_later = has_its_columns & (client_files.c.id > file.id)
            later = connection.execute(select(client_files).where(is_later)).all()
            found |= {one.id: one for one in (file, *filter(_may_leave_out, later))}
    return [found[identity] for identity in sorted(found)]


def _may_leave_out(file: Any) -> bool:  # noqa: ANN401 - a Row
    """Tell whether a file left out who was decided before, or may come to."""
    return file.state not in _OVER or _leaves_out(file.reading) or _leaves_out(file.counts)


def _leaves_out(told: str | None) -> bool:
    return told is not None and msgspec.json.decode(told, type=_LeftOut).repeated > 0


def _without_cells(reading: str | None) -> str | None:
    if reading is None:
        return None
    understood = msgspec.json.decode(reading, type=Reading)
    left = msgspec.structs.replace(understood, sample=(), faults=())
    return msgspec.json.encode(left).decode()
