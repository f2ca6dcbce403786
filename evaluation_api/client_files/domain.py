"""The words of client files: lines, chunks, and what became of each line.

Plain values. Knows nothing of CSV's grammar, HTTP, SQL or Portuguese.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from evaluation_api.decision.domain import FEATURES, Evaluation

#: What a file has to say of each client, in the order of a template.
FIELDS = ("name", *FEATURES)

#: Lines evaluated by one call of the model and recorded in one transaction.
CHUNK_LINES = 1024

CONFIDENCE_BINS = 10


class State(StrEnum):
    """Where a file stands; the values are the contract's and SQL's."""

    RECEIVING = "recebendo"
    READY = "pronto"
    RUNNING = "em_andamento"
    PAUSED = "pausado"
    CANCELLED = "cancelado"
    DONE = "concluido"


class Awaited(StrEnum):
    """What a running file waits for, where it stands still; the values are the contract's."""

    MODEL = "modelo"
    RECORD = "registro"


class Step(StrEnum):
    """What a person can ask of a file; the values are the contract's."""

    START = "iniciar"
    PAUSE = "pausar"
    RESUME = "retomar"
    CANCEL = "cancelar"


#: Which states each step leaves, and the one it leads to.
STEPS: dict[Step, tuple[frozenset[State], State]] = {
    Step.START: (frozenset({State.READY}), State.RUNNING),
    Step.PAUSE: (frozenset({State.RUNNING}), State.PAUSED),
    Step.RESUME: (frozenset({State.PAUSED}), State.RUNNING),
    Step.CANCEL: (frozenset({State.READY, State.RUNNING, State.PAUSED}), State.CANCELLED),
}


class Dialect(msgspec.Struct, frozen=True, gc=False):
    """How a file is written.

    header: the columns as the file names them. fields: which of FIELDS each of them is, in the
    file's order. decimal_comma: 1.234,56 rather than 1,234.56.
    """

    encoding: str
    delimiter: str
    decimal_comma: bool
    header: tuple[str, ...]
    fields: tuple[str, ...]


class Line(NamedTuple):
    """One record of a file: the number of the line it begins on (from 1), and its cells."""

    number: int
    cells: list[str]


class Fault(NamedTuple):
    """Why a line has no evaluation: the field that is wrong (None for the whole line)."""

    field: str | None
    reason: str


#: What became of a line: the id of its evaluation, or what is wrong with it.
RowResult = str | Fault


class Counts(msgspec.Struct, gc=False):
    """How lines ended, counted.

    confidence: by tenths of [0, 1], of the decided lines whose model gives any.
    """

    faults: int
    outcomes: dict[str, int]
    clusters: list[int]
    confidence: list[int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some lines of a file, leased for evaluation."""

    file_id: str
    number: int
    dialect: Dialect
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class EvaluatedChunk:
    """What became of a chunk: evaluations in the order of their lines, and a result for each."""

    chunk: Chunk
    evaluations: list[Evaluation]
    row_results: list[RowResult]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file is. lines_per_second: of its last ten seconds of work, if there were any."""

    committed: int
    counts: Counts
    lines_per_second: float | None


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file that was received whole. sample: its first lines."""

    id: str
    name: str
    state: State
    changed_at: datetime
    dialect: Dialect
    sample: list[Line]
    line_count: int
    progress: Progress


def no_counts() -> Counts:
    """Count nothing yet."""
    return Counts(0, {}, [0] * 5, [0] * CONFIDENCE_BINS)


def add(total: Counts, part: Counts) -> None:
    """Count a part in."""
    total.faults += part.faults
    for outcome, count in part.outcomes.items():
        total.outcomes[outcome] = total.outcomes.get(outcome, 0) + count
    total.clusters = [a + b for a, b in zip(total.clusters, part.clusters, strict=True)]
    total.confidence = [a + b for a, b in zip(total.confidence, part.confidence, strict=True)]
