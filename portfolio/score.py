"""A file of clients in, a file of decisions out: reading, deciding and writing side by side."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import pandas as pd
import pyarrow as pa

from evaluation_api.decision.policy_file import AnyPolicy
from portfolio import frames
from portfolio.files import reading, sources, writing
from portfolio.files.amounts import Mark
from portfolio.files.header import Choices, Header
from portfolio.files.reading import Clients
from portfolio.files.writing import ResultColumns, Sink
from portfolio.frames import Profiler

if TYPE_CHECKING:  # they bring SQLAlchemy, which a file that is not recorded does without
    from portfolio.recording import Prepared, Recording

T = TypeVar("T")

#: Blocks decided and not yet written: enough to keep both sides at work, few enough to hold.
_AHEAD: Final = 4


@dataclass
class Totals:
    """What became of a file. lines: those with any cell; they are decided or faulty."""

    lines: int = 0
    faulty: int = 0
    is_cut_short: bool = False
    decided: Counter[str] = field(default_factory=Counter)

    def add(self, clients: Clients, outcomes: Counter[str]) -> None:
        """Count a block in."""
        self.lines += len(clients.lines)
        self.faulty += int((~clients.decidable).sum())
        self.decided += outcomes

    def require_sum(self) -> None:
        """Make sure that no line vanished."""
        if self.lines != self.faulty + self.decided.total():
            raise AssertionError(f"{self.lines} lines, {self.faulty} faulty, {self.decided}")


@dataclass(frozen=True)
class Scoring:
    """How files are decided.

    told: called after each block with its lines and the share done. recording: of the one file that
    is to be recorded, too.
    """

    policy: AnyPolicy
    profiler: Profiler
    told: Callable[[int, float], None] = lambda _lines, _done: None
    recording: "Recording | None" = None

    def run(self, source: Path, target: Path, choices: Choices, mark: Mark | None) -> Totals:
        """Decide every client of a file.

        Raises UnreadableFileError, ModelError, RecordUnavailableError or OSError; there is no
        result then.
        """
        table = sources.open_table(source, choices)
        is_recorded = self.recording is not None
        grammar, clients = reading.clients_of(table, mark, is_recorded=is_recorded)
        columns = ResultColumns(table.header, self.policy)
        totals = Totals()
        with (
            writing.result(target, table.delimiter, grammar) as sink,
            in_order() as record,  # waits for the disk, and for others
            in_order() as write,
        ):
            for some in ahead(clients):
                decisions, prepared = self._decide(some, table.header)
                if self.recording is not None and prepared is not None:
                    record(partial(self.recording.append, prepared))
                ids = None if prepared is None else prepared.ids
                write(partial(_write, sink, columns, some, decisions, ids))
                totals.add(some, Counter(decisions["decisao"].value_counts().to_dict()))
                self.told(totals.lines, table.done())
            if self.recording is not None:
                record(self.recording.settle)  # before there is a result
        totals.require_sum()
        totals.is_cut_short = table.is_cut_short()
        return totals

    def _decide(self, some: Clients, header: Header) -> tuple[pd.DataFrame, "Prepared | None"]:
        """Decide some clients; return what is to be recorded of them as well."""
        begun = time.perf_counter()
        decisions = frames.evaluate(some.frame, self.policy, self.profiler)
        if self.recording is None:
            return decisions, None
        names, seconds = reading.names_of(some, header), time.perf_counter() - begun
        prepared = self.recording.prepare(names, some.frame, decisions, seconds)
        return decisions, prepared


def _write(
    sink: Sink,
    columns: ResultColumns,
    some: Clients,
    decisions: pd.DataFrame,
    ids: pa.Array | None,
) -> None:
    """Write some clients' lines of the result."""
    sink.write(columns.of(some, decisions, ids))


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield what is read, the next item in a thread meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        upcoming = thread.submit(next, items, None)
        while (item := upcoming.result()) is not None:
            upcoming = thread.submit(next, items, None)
            yield item


@contextmanager
def in_order(most: int = _AHEAD) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Have calls done one after the other in a thread, since Arrow lets others work meanwhile.

    most: how many may wait. Whatever one raises is raised by a later submission, or at the end, and
    none behind it is done: after a slice that was not recorded the next one would leave a gap.
    """
    ahead: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1) as thread:

        def submit(call: Callable[[], None]) -> None:
            ahead.append(thread.submit(_behind, ahead[-1] if ahead else None, call))
            if len(ahead) > most:
                ahead.popleft().result()

        yield submit
        for future in ahead:
            future.result()


def _behind(before: Future[None] | None, call: Callable[[], None]) -> None:
    if before is not None:
        before.result()
    call()
