"""Makes client files of those that the last release received, so that they stay readable.

What was done or cancelled keeps its result, as it was written then. What nobody had begun to decide
is looked at like any other file. What was half done ends: its result says what was decided, and the
lines that are left can be taken and sent again. To be removed with the tables it reads, a release
later.
"""

import codecs
import csv
import io
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from evaluation_api.client_files.client_file import (
    Answers,
    Counts,
    Kind,
    Reading,
    Repeated,
    Sample,
    State,
)
from evaluation_api.client_files.log import encode, new_row
from evaluation_api.decision import policy_file, sentences
from evaluation_api.decision.domain import Decision, Recorded
from evaluation_api.decision.evaluation import decide_again
from evaluation_api.record import clock, database
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.tables import batch_chunks, batches, client_file_parts, client_files

logger = logging.getLogger(__name__)

HALF_DONE: Final = (
    "Este arquivo começou a ser avaliado por uma versão anterior e parou. Baixe o resultado; as"
    " linhas que faltam estão no arquivo de erros: envie-as como outro arquivo."
)
_LAST_ANSWERS: Final = (
    "cluster",
    "perfil",
    "decisao",
    "confianca",
    "simulacao",
    "id",
    "erro_campo",
    "erro_motivo",
)
_NOTHING: Final = ("",) * len(_LAST_ANSWERS)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
#: A replica of the last release that worked on a file so lately may go on with it.
_QUIET: Final = timedelta(seconds=30)
#: A worker that makes a client file says nothing for so long only when it is gone.
_BROKEN_OFF: Final = timedelta(minutes=1)


class _Dialect(msgspec.Struct, frozen=True):
    encoding: str
    delimiter: str
    decimal_comma: bool
    header: tuple[str, ...]
    fields: tuple[str, ...]


class _Line(NamedTuple):
    number: int
    cells: list[str]


class _Fault(NamedTuple):
    field: str | None
    reason: str


_decode_lines: Final = msgspec.json.Decoder(list[_Line]).decode
_decode_endings: Final = msgspec.json.Decoder(list[str | _Fault]).decode
_decode_counts: Final = msgspec.json.Decoder(Counts).decode
_decode_dialect: Final = msgspec.json.Decoder(_Dialect).decode


def convert(engine: Engine) -> int:
    """Make client files of all that are left and that nobody works on; return how many.

    Raises RecordUnavailableError.
    """
    with database.transaction(engine) as connection:
        left = connection.execute(_left(clock.now(engine.dialect))).scalars().all()
    count = sum(_converted(engine, file_id) for file_id in left)
    if count:
        logger.info("earlier_files_converted", extra={"count": count})
    return count


def _left(now: Any) -> Any:  # noqa: ANN401 - see clock.now; a Select
    made = select(client_files.c.id).where(
        (client_files.c.state != State.RECEIVING.value)
        | (client_files.c.changed_at > now - _BROKEN_OFF)
    )
    at_work = select(batch_chunks.c.batch_id).where(
        (batch_chunks.c.claimed_until > now - _QUIET) | (batch_chunks.c.settled_at > now - _QUIET)
    )
    is_over = batches.c.state.in_([State.DONE.value, State.CANCELLED.value])
    return select(batches.c.id).where(
        batches.c.state != State.RECEIVING.value,
        batches.c.id.not_in(made),
        is_over | batches.c.id.not_in(at_work),
    )


def _converted(engine: Engine, file_id: str) -> bool:
    """Make one; what another worker makes at this moment is left to it."""
    file = _begun(engine, file_id)
    if file is None:
        return False
    making = _Making(engine, file)
    for chunk in _chunks(engine, file_id):
        making.add(chunk)
    making.end()
    return True


def _begun(engine: Engine, file_id: str) -> Row[Any] | None:
    """Begin to make one, and have the last release's replicas leave it; None if it is begun."""
    now = clock.now(engine.dialect)
    with database.writing(engine) as connection:
        file = connection.execute(select(batches).where(batches.c.id == file_id)).one()
        broken = select(client_files.c.id).where(
            client_files.c.id == file_id, client_files.c.changed_at <= now - _BROKEN_OFF
        )
        parts = client_file_parts
        connection.execute(delete(parts).where(parts.c.file_id.in_(broken)))
        connection.execute(delete(client_files).where(client_files.c.id.in_(broken)))
        if connection.scalar(select(client_files.c.id).where(client_files.c.id == file_id)):
            return None
        row = new_row(file_id, file.name, State.RECEIVING, now, Answers())
        connection.execute(insert(client_files).values(row))
        if file.state != State.DONE.value:
            stopping = update(batches).where(batches.c.id == file_id)
            connection.execute(stopping.values(state=State.CANCELLED.value))
    return file


def _chunks(engine: Engine, file_id: str) -> Iterator[Row[Any]]:
    number = 0
    of_it = select(batch_chunks).where(batch_chunks.c.batch_id == file_id)
    while True:
        with database.transaction(engine) as connection:
            chunk = connection.execute(of_it.where(batch_chunks.c.number == number)).first()
        if chunk is None:
            return
        yield chunk
        number += 1


class _Making:
    """A client file on its way."""

    def __init__(self, engine: Engine, file: Row[Any]) -> None:
        self._engine, self._file = engine, file
        self._dialect = _decode_dialect(file.dialect)
        self._text = _Text(self._dialect)
        self._parts = {kind: _Parts(file.id, kind) for kind in Kind}
        self._counts, self._done = Counts(), 0

    def add(self, chunk: Row[Any]) -> None:
        """Take over some lines."""
        lines, dialect = _decode_lines(chunk.lines), self._dialect
        endings = _decode_endings(chunk.endings or "[]")
        ids = [one for one in endings if isinstance(one, str)]
        page = next(EvaluationLog(self._engine).decided(ids, len(ids)), []) if ids else []
        result = _result(dialect, lines, endings, {one.id: one for one in page})
        with database.writing(self._engine) as connection:
            self._parts[Kind.SENT].add(connection, self._text.lines(lines))
            self._add(connection, Kind.RESULT, ("linha", *dialect.header, *_LAST_ANSWERS), result)
            if chunk.settled_at is None:
                left = _text([line.cells for line in lines], dialect)
                self._add(connection, Kind.FAULTS, dialect.header, left)
        if chunk.settled_at is not None:
            self._done += chunk.line_count
            self._counts.add(_decode_counts(chunk.tally))

    def _add(self, connection: Connection, kind: Kind, header: Sequence[str], lines: bytes) -> None:
        parts = self._parts[kind]
        head = b"" if parts.number else codecs.BOM_UTF8 + _text([header], self._dialect)
        parts.add(connection, zlib.compress(head + lines, 1))

    def end(self) -> None:
        """Show it."""
        over = {State.DONE.value, State.CANCELLED.value}
        is_untouched = not self._done and self._file.state not in over
        known = self._anew() if is_untouched else self._as_it_ended()
        part = client_file_parts.c
        made = (part.file_id == self._file.id) & (part.kind != Kind.SENT.value)
        with database.writing(self._engine) as connection:
            if is_untouched:
                connection.execute(delete(client_file_parts).where(made))
            ending = update(client_files).where(client_files.c.id == self._file.id)
            connection.execute(ending.values({**known, "changed_at": self._file.changed_at}))

    def _anew(self) -> dict[str, Any]:
        dialect = self._dialect
        columns = dict(zip(dialect.fields, dialect.header, strict=True))
        mark = "virgula" if dialect.decimal_comma else "ponto"
        answers = Answers(columns, mark, Repeated.ALL)  # as it was taken
        return {
            "state": State.CHECKING.value,
            "starts_when_ready": self._file.state == State.RUNNING.value,
            "answers": encode(answers).decode(),
        }

    def _as_it_ended(self) -> dict[str, Any]:
        file, counts = self._file, self._counts
        is_done = file.state == State.DONE.value
        is_half_done = not is_done and file.state != State.CANCELLED.value
        return {
            "state": (State.DONE if is_done else State.CANCELLED).value,
            "line_count": file.line_count,
            "done": self._done,
            "decided": self._done - counts.faults,
            "counts": encode(counts).decode(),
            "reading": encode(_reading(file, self._dialect)).decode(),
            "refusal": HALF_DONE if is_half_done else None,
        }


def _reading(file: Row[Any], dialect: _Dialect) -> Reading:
    sample = tuple(Sample(one.number, tuple(one.cells)) for one in _decode_lines(file.sample))
    return Reading(
        dialect.encoding,
        dialect.delimiter,
        "," if dialect.decimal_comma else ".",
        dialect.header,
        dialect.fields,
        sample,
        file.line_count,
    )


class _Parts:
    """Pieces of one kind, one after the other."""

    def __init__(self, file_id: str, kind: Kind) -> None:
        self.number = 0
        self._file_id, self._kind = file_id, kind

    def add(self, connection: Connection, content: bytes) -> None:
        own = {"file_id": self._file_id, "kind": self._kind.value, "number": self.number}
        connection.execute(insert(client_file_parts).values({**own, "content": content}))
        self.number += 1


class _Text:
    """A file as it may have been sent, each line where it was."""

    def __init__(self, dialect: _Dialect) -> None:
        self._dialect = dialect
        self._head = _text([dialect.header], dialect)
        self._next = 1 + self._head.count(b"\n")

    def lines(self, lines: Iterable[_Line]) -> bytes:
        written, self._head = [self._head], b""
        for line in lines:
            cells = _text([line.cells], self._dialect)
            written.append(b"\n" * (line.number - self._next) + cells)
            self._next = max(self._next, line.number) + cells.count(b"\n")
        return b"".join(written)


def _text(rows: Sequence[Sequence[object]], dialect: _Dialect) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=dialect.delimiter).writerows(rows)
    return text.getvalue().encode()


def _result(
    dialect: _Dialect,
    lines: Sequence[_Line],
    endings: Sequence[str | _Fault],
    recorded: Mapping[str, Recorded],
) -> bytes:
    """Write lines with what became of them as the last release did; empty for what is purged."""
    width = len(dialect.header)
    rows: list[Sequence[object]] = []
    for line, ending in zip_longest(lines, endings):
        cells = [_harmless(cell) for cell in line.cells[:width]]
        cells += [""] * (width - len(cells))
        rows.append((line.number, *cells, *_answer(ending, recorded, dialect)))
    return _text(rows, dialect)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _answer(
    ending: str | _Fault | None, recorded: Mapping[str, Recorded], dialect: _Dialect
) -> Sequence[object]:
    if isinstance(ending, _Fault):
        column = "" if ending.field is None else sentences.COLUMNS[ending.field]
        return (*_NOTHING[2:], column, ending.reason)
    one = recorded.get(ending or "")
    if one is None or one.stored_decision is None:
        return _NOTHING
    policy = policy_file.parse(one.stored_decision.policy_text)
    prediction = one.stored_decision.prediction
    decision = decide_again(policy, one, prediction)
    profile = policy.profiles[prediction.cluster]
    return (
        profile.cluster,
        profile.name,
        decision.outcome.value,
        _number(prediction.confidence, dialect),
        _change(one, decision, policy),
        one.id,
        "",
        "",
    )


def _change(one: Recorded, decision: Decision, policy: policy_file.AnyPolicy) -> str:
    change = decision.counterfactual
    if change is None:
        return ""
    current = getattr(one.applicant.usage, change.feature)
    target = policy.profiles[change.cluster]
    by_facts = decision.facts is not None
    return sentences.counterfactual(current, change, target, by_facts=by_facts)


def _number(confidence: float | None, dialect: _Dialect) -> str:
    if confidence is None:
        return ""
    text = repr(round(confidence, 4))
    return text.replace(".", ",") if dialect.decimal_comma else text
