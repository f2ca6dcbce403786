"""Looks at a file before anything is decided: how it is understood, what is wrong, what to ask."""

import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from evaluation_api.client_files import client_file as words
from evaluation_api.client_files.client_file import (
    Answers,
    ClientFile,
    FaultKind,
    Question,
    Reading,
    Repeated,
    Sample,
    State,
)
from evaluation_api.decision.domain import FEATURES
from portfolio import known
from portfolio.files import header, messages, reading, sources, writing
from portfolio.files.amounts import Grammar, Mark
from portfolio.files.errors import (
    AmbiguousMarkError,
    Fault,
    MissingColumnsError,
    UnreadableFileError,
)
from portfolio.files.header import Choices, Header
from portfolio.files.reading import Clients
from portfolio.files.records import Records
from portfolio.files.sources import Table
from portfolio.known import Keys, Known
from portfolio.leases import Chosen, Leases

MOST_LINES: Final = 1_000_000
_SAMPLED: Final = 10
_NAMED: Final = 100
_KINDS: Final = 50
_LONGEST_SHOWN: Final = 200
_COLUMNS_CODE, _DECIMALS_CODE = "colunas", "decimais"


class Opened(NamedTuple):
    """A file as it is read with all that was chosen for it.

    sha256: known.header_sha256. usual: the decimal mark of the last file with the same columns.
    """

    table: Table
    chosen: Chosen
    sha256: str
    usual: Mark | None


def check(
    leases: Leases,
    file: ClientFile,
    between: Callable[[], None],
    *,
    most_lines: int = MOST_LINES,
) -> State:
    """Look at a file that is being checked; return what becomes of it.

    between: called after each block. most_lines: with more it is refused. Raises
    LeaseLostError or RecordUnavailableError.
    """
    try:
        return _checked(leases, file, between, most_lines)
    except UnreadableFileError as exc:
        leases.refuse(file, str(exc))
        return State.REFUSED


def _checked(
    leases: Leases, file: ClientFile, between: Callable[[], None], most_lines: int
) -> State:
    try:
        opened = open_file(leases, file)
    except MissingColumnsError as exc:
        sha256 = known.header_sha256(exc.columns)
        asking = Reading(header=exc.columns, fields=("",) * len(exc.columns))
        question = _columns_question(exc, file.answers, exc.columns)
        return _ask(leases, file, asking, question, (sha256, Chosen(file.answers)))
    table, chosen, sha256, usual = opened
    try:
        header.require(table.header)
    except MissingColumnsError as exc:
        asking = _reading(table, _raw_sample(table))
        question = _columns_question(exc, chosen.answers, table.header.names)
        return _ask(leases, file, asking, question, (sha256, chosen))
    try:
        grammar, blocks = reading.clients_of(table, mark_of(chosen.answers), usual=usual)
    except AmbiguousMarkError as exc:
        question = Question(_DECIMALS_CODE, str(exc), options=tuple(Mark), examples=exc.examples)
        return _ask(leases, file, _reading(table), question, (sha256, chosen))
    if grammar.mark is usual:
        chosen = chosen._replace(answers=replace(chosen.answers, decimals=usual))
    found = _Findings(table.header, known_of(leases, file, opened, usual), most_lines)
    faulty = _FaultyLines(leases, file, table.delimiter, grammar)
    for some in blocks:
        faulty.add(found.add(some), table.header)
        between()
    faulty.end()
    return leases.checked(file, sha256, chosen, found.reading(table, grammar))


def open_file(leases: Leases, file: ClientFile) -> Opened:
    """Open a file with what was chosen for it, or for the last one with the same columns.

    What it needs may be missing in it. Raises UnreadableFileError.
    """
    size = leases.size(file)

    def opened(answers: Answers) -> Table:
        return sources.open_sent(leases.sent(file), size, Choices(answers.columns))

    try:
        table = opened(file.answers)
        sha256 = known.header_sha256(table.header.names)
    except MissingColumnsError as exc:
        sha256 = known.header_sha256(exc.columns)
        last = leases.remembered(sha256)
        if file.answers.columns or last is None or not last.answers.columns:
            raise
        table = None
    else:
        last = leases.remembered(sha256)
    usual = Answers() if last is None else last.answers
    answers = replace(file.answers, columns=file.answers.columns or usual.columns)
    if table is None or answers != file.answers:
        table = opened(answers)
    chosen = Chosen(answers, None if last is None else last.id)
    return Opened(table, chosen, sha256, mark_of(usual))


def mark_of(answers: Answers) -> Mark | None:
    """Return the decimal mark that was chosen, if any."""
    return Mark(answers.decimals) if answers.decimals else None


def known_of(leases: Leases, file: ClientFile, opened: Opened, usual: Mark | None = None) -> Known:
    """Return what tells who was decided before; nobody, where all are wanted again.

    usual: as the file is read with. Raises UnreadableFileError.
    """
    if opened.chosen.answers.repeated is Repeated.ALL:
        return Known(())
    by_terminal = leases.recorded_by_terminal(file.sha256) or 0
    recorded = by_terminal - file.decided - file.counts.repeated
    earlier = known.gathered(leases.keys(opened.sha256, file))
    if earlier is None:
        wanted = _keys_in(open_file(leases, file), usual)
        earlier = known.gathered_among(leases.keys(opened.sha256, file), wanted)
    return Known(earlier, recorded)


def _keys_in(opened: Opened, usual: Mark | None) -> Keys:
    """Return a key for each decidable client of a file, which is read once more for it."""
    table, answers = opened.table, opened.chosen.answers
    _, blocks = reading.clients_of(table, mark_of(answers), usual=usual)
    return np.concatenate([known.keys_of(some, table.header) for some in blocks])


def _ask(
    leases: Leases,
    file: ClientFile,
    asking: Reading,
    question: Question,
    read_as: tuple[str, Chosen],
) -> State:
    sha256, chosen = read_as
    leases.store_faults(file, 0, b"")
    return leases.checked(file, sha256, chosen, replace(asking, questions=(question,)))


def _columns_question(
    exc: MissingColumnsError, answers: Answers, names: Collection[str]
) -> Question:
    """Ask which column holds what. names: of the columns that are there.

    A name that several of them have says none.
    """
    absent = [name for name in answers.columns.values() if name not in names]
    wrong = messages.no_such_column(absent[0]) if absent else str(exc)
    sentence = f"{wrong} {messages.WHICH_COLUMNS}"
    columns = tuple(name for name, count in Counter(exc.columns).items() if count == 1)
    return Question(_COLUMNS_CODE, sentence, exc.fields, columns)


def _reading(table: Table, sample: tuple[Sample, ...] = ()) -> Reading:
    names = table.header.names
    field_of = {place: field for field, place in table.header.places.items()}
    fields = tuple(field_of.get(place, "") for place in range(len(names)))
    return Reading(table.encoding(), table.delimiter, header=names, fields=fields, sample=sample)


def _raw_sample(table: Table) -> tuple[Sample, ...]:
    """Return the first lines as written; what a person chooses columns by."""
    first = next(table.records, None)
    if first is None:
        return ()
    return tuple(_cells(reading.as_written(first, Mark.COMMA), _SAMPLED))


def _cells(some: Records | Clients, count: int) -> Iterator[Sample]:
    for at, line in enumerate(some.lines[:count].tolist()):
        yield Sample(line, tuple(_shown(column[at].as_py()) for column in some.cells))


def _shown(cell: object) -> str:
    return "" if cell is None else str(cell)[:_LONGEST_SHOWN]


class _Findings:
    """What is found in a file, block by block."""

    def __init__(self, names: Header, known_clients: Known, most_lines: int) -> None:
        self._header, self._known, self._most_lines = names, known_clients, most_lines
        self._sample: list[Sample] = []
        self._lines = self._faulty = self._repeated = 0
        self._faults: list[words.Fault] = []
        self._kinds: Counter[tuple[str | None, str]] = Counter()

    def add(self, some: Clients) -> Clients:
        """Count a block in, and return it. Raises UnreadableFileError for too many lines."""
        self._lines += len(some.lines)
        if self._lines > self._most_lines:
            raise UnreadableFileError(messages.TOO_MANY)
        self._faulty += int((~some.decidable).sum())
        self._sample += _understood(some, self._header, _SAMPLED - len(self._sample))
        self._kinds.update((fault.column, fault.reason) for fault in some.faults)
        self._faults += [_named(fault) for fault in some.faults[: _NAMED - len(self._faults)]]
        keys = known.keys_of(some, self._header)
        self._repeated += self._known.new_of(some, keys)[2]
        return some

    def reading(self, table: Table, grammar: Grammar) -> Reading:
        """Return all of it."""
        kinds = self._kinds.most_common(_KINDS)
        return replace(
            _reading(table, tuple(self._sample)),
            decimal="," if grammar.mark is Mark.COMMA else ".",
            lines=self._lines,
            faulty=self._faulty,
            repeated=self._repeated,
            faults=tuple(self._faults),
            fault_kinds=tuple(FaultKind(*kind, count) for kind, count in kinds),
            earlier=self._known.earlier,
            warnings=(messages.CUT_SHORT,) if table.is_cut_short() else (),
        )


def _named(fault: Fault) -> words.Fault:
    return words.Fault(fault.line, fault.column, _shown(fault.value), fault.reason)


def _understood(some: Clients, names: Header, count: int) -> Iterator[Sample]:
    """Yield the first lines of a block, as written and as understood."""
    if count <= 0:
        return
    known_names = iter(reading.names_of(_head(some, count), names).to_pylist())
    amounts = some.frame[list(FEATURES)].itertuples(index=False, name=None)
    for sample, decidable in zip(_cells(some, count), some.decidable[:count], strict=True):
        if decidable:
            yield Sample(sample.line, sample.cells, next(known_names), next(amounts))
        else:
            yield sample


def _head(some: Clients, count: int) -> Clients:
    return some._replace(
        cells=[column[:count] for column in some.cells], decidable=some.decidable[:count]
    )


class _FaultyLines:
    """Keeps the faulty lines of a file, to be mended."""

    def __init__(self, leases: Leases, file: ClientFile, delimiter: str, grammar: Grammar) -> None:
        self._leases, self._file = leases, file
        self._delimiter, self._grammar = delimiter, grammar
        self._number = 0

    def add(self, some: Clients, names: Header) -> None:
        """Keep those of a block."""
        if some.decidable.all():
            return
        table = writing.faulty_lines(some, names)
        content = csv_of(table, self._delimiter, self._grammar, is_begun=self._number > 0)
        self._leases.store_faults(self._file, self._number, content)
        self._number += 1

    def end(self) -> None:
        """Have nothing of an earlier look stay where nothing is faulty any more."""
        if not self._number:
            self._leases.store_faults(self._file, 0, b"")


def csv_of(table: pa.Table, delimiter: str, grammar: Grammar, *, is_begun: bool) -> bytes:
    """Write lines as the file is written, compressed. is_begun: whether others stand before."""
    text = BytesIO()
    writing.Csv(text, delimiter, grammar, is_begun=is_begun).write(table)
    return zlib.compress(text.getvalue(), 1)
