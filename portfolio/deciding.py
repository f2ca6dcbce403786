"""Decides a file that was looked at and begun, slice by slice, from where it is."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from evaluation_api.client_files.client_file import CONFIDENCE_BINS, Awaited, ClientFile, Counts
from evaluation_api.decision.errors import ModelError, ModelRefusalError
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.record.tables import client_file_parts, evaluations
from model_store.errors import ModelStoreError
from portfolio import appending, checking, frames, known, writing_apart
from portfolio.files import messages, reading, writing
from portfolio.files.amounts import Grammar
from portfolio.files.errors import Fault, UnreadableFileError
from portfolio.files.header import Header
from portfolio.files.reading import Clients
from portfolio.files.writing import ResultColumns
from portfolio.known import Keys
from portfolio.leases import Leases, Part, Slice
from portfolio.recorded_files import RecordedFile, RecordedFiles
from portfolio.recording import FEW, Explainer, Prepared, Recording, Ways, ways_beside
from portfolio.score import in_order
from portfolio.writing_apart import ColumnsWriter

T = TypeVar("T")

logger = logging.getLogger(__name__)

_MODEL_SECONDS: Final = 0.5
#: Whoever records a file at a terminal moves it on more often than this.
_TERMINAL_SECONDS: Final = 1.0
#: Blocks decided and not yet committed: both sides share one interpreter, and each holds 25 MB.
_AHEAD: Final = 2
#: What is written by columns at a time, shorter than elsewhere: beside a worker people ask for one
#: client, who wait for a slice or two. At 5 ms a file takes a tenth less.
_SLICE_SECONDS: Final = 0.003
_AWAY: Final = (ModelError, ModelStoreError)


@dataclass(frozen=True)
class Deciding:
    """How files are decided.

    model: opens what places clients. between: called between two blocks, and while a file waits.
    require_wanted: called before each slice; both raise whatever ends the work. committed: told
    after each slice how its lines ended, and seconds.
    """

    leases: Leases
    policy: AnyPolicy
    model: Callable[[], Explainer]
    between: Callable[[], None]
    require_wanted: Callable[[], None]
    committed: Callable[[Counts, float], None]

    def run(self, file: ClientFile) -> None:
        """Decide what is left of a file. Raises LeaseLostError or RecordUnavailableError."""
        explainer = self.waited_for(file, self.model)
        self._let_terminal_end(file)
        try:
            done = _OneFile(self, file, explainer).run()
        except UnreadableFileError as exc:
            self.leases.refuse(file, str(exc))
            return
        counts = done.counts
        if done.line_count == done.done == done.decided + counts.faults + counts.repeated:
            self.leases.finish(done)
        else:  # no line may vanish
            logger.error("client_file_read_otherwise", extra={"client_file": file.id})
            self.leases.refuse(done, messages.NOT_AS_BEFORE)

    def _let_terminal_end(self, file: ClientFile) -> None:
        """Wait while a terminal records the same file: both would record who comes next."""
        recorded = self.leases.recorded_by_terminal(file.sha256)
        while recorded is not None:
            time.sleep(_TERMINAL_SECONDS)
            self.between()
            before, recorded = recorded, self.leases.recorded_by_terminal(file.sha256)
            if recorded == before:
                return

    def waited_for(self, file: ClientFile, call: Callable[[], T]) -> T:
        """Return what needs the model, as soon as it is there. Raises ModelRefusalError."""
        is_told = False
        while True:
            try:
                found = call()
            except ModelRefusalError:
                raise
            except _AWAY as exc:
                if not is_told:
                    reason = f"{type(exc).__name__}: {exc}"
                    logger.warning("model_awaited", extra={"reason": reason})
                is_told = True
                self.leases.wait_for(file, Awaited.MODEL)
                self.between()
                time.sleep(_MODEL_SECONDS)
            else:
                if is_told:
                    self.leases.wait_for(file, None)
                return found


class _Kinds(NamedTuple):
    """What is counted of n decided clients.

    outcomes: places among the names. profiles: labels. tenths: of certainty; behind the last one
    where there is none.
    """

    names: Sequence[str]
    outcomes: NDArray[np.int8]
    profiles: NDArray[np.integer]
    tenths: NDArray[np.int8]

    def counts(self, rows: slice, *, faults: int, repeated: int) -> Counts:
        """Count some of them, beside lines that were not decided."""
        counts = Counts(faults, repeated)
        outcomes = _counted(self.outcomes[rows], len(self.names))
        counts.outcomes = {name: n for name, n in zip(self.names, outcomes, strict=True) if n}
        counts.clusters = _counted(self.profiles[rows], len(counts.clusters))
        counts.confidence = _counted(self.tenths[rows], CONFIDENCE_BINS + 1)[:CONFIDENCE_BINS]
        return counts


class _Decided(NamedTuple):
    """Some lines of a file with all that is written of them.

    repeated: n flags, of those who were decided before. kinds, keys, prepared: of the decided, in
    their order. table: n lines of the result, as they are written.
    """

    clients: Clients
    repeated: NDArray[np.bool_]
    kinds: _Kinds
    keys: Keys
    prepared: Prepared
    table: pa.Table


class _OneFile:
    """One file on its way from where it is to its end."""

    def __init__(self, deciding: Deciding, file: ClientFile, explainer: Explainer) -> None:
        self._deciding, self._leases = deciding, deciding.leases
        self._explainer, self._policy = explainer, deciding.policy
        self._file = file

    def run(self) -> ClientFile:
        """Decide what is left; return how far it is at the end of the file."""
        file = self._file
        opened = checking.open_file(self._leases, file)
        table = opened.table
        grammar, blocks = reading.clients_of(table, checking.mark_of(file.answers))
        self._columns = ResultColumns(table.header, self._policy, writing.PAGE_NAMES)
        self._known = checking.known_of(self._leases, file, opened)
        self._number = self._leases.count_slices(file)
        log = RecordedFiles(self._leases.engine)
        with (
            ways_beside(log, self._policy, self._explainer, file.line_count - file.done) as ways,
            _writer_apart(log, file.line_count - file.done) as self._apart,
            in_order(_AHEAD) as submit,
        ):
            self._slices, self._recording = ways.appender, self._recorded(log, ways)
            self._pace = (
                appending.pace_of_columns(_SLICE_SECONDS) if self._apart else self._slices.pace
            )
            for some in blocks:
                self._deciding.between()
                left = _after(some, file.last_line)
                if len(left.lines):
                    decided = self._decide(left, table.header, grammar)
                    submit(partial(self._commit, decided, table.delimiter, grammar))
        return self._file

    def _recorded(self, log: RecordedFiles, ways: Ways) -> Recording:
        """Go on with who is decided by now."""
        file = self._file
        so_far = RecordedFile(file.sha256, 1, file.id, "", file.decided)
        recording = Recording(
            log, so_far, self._policy, self._explainer, ways, made_by=file.made_by
        )
        recording.leave_out(file.decided)
        return recording

    def _decide(self, some: Clients, header: Header, grammar: Grammar) -> _Decided:
        keys = known.keys_of(some, header)
        new, keys, _ = self._known.new_of(some, keys)
        repeated = some.decidable & ~new.decidable
        begun = time.perf_counter()
        kept, decisions = self._evaluated(new)
        if len(kept.frame) < len(keys):
            keys = keys[kept.decidable[new.decidable]]
        seconds = time.perf_counter() - begun
        names = reading.names_of(kept, header)
        prepare = partial(self._recording.prepare, names, kept.frame, decisions, seconds)
        prepared = self._deciding.waited_for(self._file, prepare)
        shown = self._columns.of(kept, decisions.assign(cluster=decisions["perfil"]), prepared.ids)
        written = writing.as_written(shown, grammar)  # for a slice it takes as long as for all
        return _Decided(kept, repeated, _kinds(decisions), keys, prepared, written)

    def _evaluated(self, some: Clients) -> tuple[Clients, pd.DataFrame]:
        """Decide clients; whom the model refuses is faulty, and the others are decided."""
        refused = np.zeros(len(some.frame), bool)
        while True:
            kept = some.frame[~refused] if refused.any() else some.frame
            try:
                decisions = self._deciding.waited_for(self._file, partial(self._ask, kept))
            except ModelRefusalError:
                refused[np.flatnonzero(~refused)[self._refused(kept)]] = True
            else:
                return _named(some, refused), decisions

    def _ask(self, clients: pd.DataFrame) -> pd.DataFrame:
        return frames.evaluate(clients, self._policy, self._explainer)

    def _refused(self, clients: pd.DataFrame) -> int:
        """Return the place of the first client whom the model refuses, by halves."""
        low, high = 0, len(clients)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                self._deciding.waited_for(self._file, partial(self._ask, clients[low:middle]))
            except ModelRefusalError:
                high = middle
            else:
                low = middle
        return low

    def _commit(self, decided: _Decided, delimiter: str, grammar: Grammar) -> None:
        """Write some lines in slices, letting others write in between."""
        start, total = 0, len(decided.clients.lines)
        while start < total:
            stop = min(total, start + self._pace.limit)
            clients, part = self._slice(decided, slice(start, stop), delimiter, grammar)
            self._deciding.require_wanted()
            apart = None if self._apart is None else partial(_write_apart, self._apart, clients)
            self._file, seconds = self._leases.commit(self._file, self._number, part, apart)
            if stop - start == self._pace.limit:
                self._pace.note(seconds)
            self._number += 1
            self._deciding.committed(part.counts, seconds)
            start = stop
            self._slices.let_in()

    def _slice(
        self, decided: _Decided, lines: slice, delimiter: str, grammar: Grammar
    ) -> tuple[pa.RecordBatch, Slice]:
        """Return some lines as they are committed, and the decided as rows of the record."""
        decidable = decided.clients.decidable
        first = int(decidable[: lines.start].sum())
        rows = slice(first, first + int(decidable[lines].sum()))
        table, count = decided.table[lines], rows.stop - rows.start
        repeated = int(decided.repeated[lines].sum())
        clients = decided.prepared.rows.slice(first, count)
        for_server, is_apart = self._leases.is_server, self._apart is not None
        return clients, Slice(
            None if is_apart else appending.encoded(clients, for_server=for_server),
            count,
            checking.csv_of(table, delimiter, grammar, is_begun=self._number > 0),
            decided.keys[rows].tobytes(),
            len(table),
            int(decided.clients.lines[lines.stop - 1]),
            decided.kinds.counts(rows, faults=len(table) - count - repeated, repeated=repeated),
        )


@contextmanager
def _writer_apart(log: RecordedFiles, count: int) -> Iterator[ColumnsWriter | None]:
    """Start what writes so many clients by columns, where it is worth that and can be had."""
    if count > FEW and appending.takes_columns(log):
        with writing_apart.started(str(log.engine.url.database)) as writer:
            yield writer
    else:
        yield None


def _write_apart(
    writer: ColumnsWriter, clients: pa.RecordBatch, move: str, pieces: list[Part]
) -> float | None:
    new = {evaluations.name: clients} if len(clients) else {}
    return writer.commit(move, {**new, client_file_parts.name: pa.RecordBatch.from_pylist(pieces)})


def _named(some: Clients, refused: NDArray[np.bool_]) -> Clients:
    if not refused.any():
        return some
    lines = some.lines[np.flatnonzero(some.decidable)[refused]].tolist()
    faults = [Fault(line, None, "", messages.REFUSED_BY_MODEL) for line in lines]
    return known.without(some, refused, faults)


def _after(some: Clients, line: int) -> Clients:
    """Return the clients of a block that stand after a line of the file."""
    later = some.lines > line
    if later.all():
        return some
    return Clients(
        some.lines[later],
        [column.filter(pa.array(later)) for column in some.cells],
        some.decidable[later],
        some.frame[later[some.decidable]],
        [fault for fault in some.faults if fault.line > line],
    )


def _kinds(decisions: pd.DataFrame) -> _Kinds:
    outcomes, certainties = decisions["decisao"].cat, decisions["certeza"].to_numpy(np.float64)
    tenths = np.minimum(certainties * CONFIDENCE_BINS, CONFIDENCE_BINS - 1)
    return _Kinds(
        [str(name) for name in outcomes.categories],
        outcomes.codes.to_numpy(),
        decisions["perfil"].to_numpy(),
        np.where(np.isnan(tenths), CONFIDENCE_BINS, tenths).astype(np.int8),
    )


def _counted(places: NDArray[np.integer], kinds: int) -> list[int]:
    return [int(count) for count in np.bincount(places, minlength=kinds)]
