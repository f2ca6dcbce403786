"""The words of files of clients: where one stands, how it was understood, what came of it.

Plain values, as routes and workers exchange them through the record. Knows nothing of SQL, HTTP,
CSV or Portuguese.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from evaluation_api.decision.domain import CLUSTERS
from evaluation_api.decision.names import ERASED

CONFIDENCE_BINS = 10


class State(StrEnum):
    """Where a file stands; the values are the contract's and SQL's."""

    RECEIVING = "recebendo"
    CHECKING = "conferindo"
    ASKING = "com_perguntas"
    READY = "pronto"
    RUNNING = "em_andamento"
    PAUSED = "pausado"
    CANCELLED = "cancelado"
    DONE = "concluido"
    REFUSED = "recusado"


class Awaited(StrEnum):
    """What a file waits for, where it stands still; the values are the contract's."""

    MODEL = "modelo"
    WORKER = "trabalhador"


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
    Step.CANCEL: (
        frozenset({State.CHECKING, State.ASKING, State.READY, State.RUNNING, State.PAUSED}),
        State.CANCELLED,
    ),
}
#: What is answered or answered otherwise is looked at again.
ANSWERABLE = frozenset({State.CHECKING, State.ASKING, State.READY})


class Kind(StrEnum):
    """Of which kind pieces of a file are."""

    SENT = "enviado"
    FAULTS = "erros"
    RESULT = "decisoes"
    #: Keys of the clients that were decided, by which they are known in another file.
    KEYS = "chaves"


class Repeated(StrEnum):
    """Whether clients are decided again who were decided out of a file with the same columns."""

    NEW_ONLY = "so_novas"
    ALL = "todas"


class Answers(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person chose, where a file does not say it itself.

    columns: by field, the column that holds it. decimals: amounts.Mark.
    """

    columns: dict[str, str] = {}
    decimals: str | None = None
    repeated: Repeated | None = None


class Question(msgspec.Struct, frozen=True):
    """What has to be answered before the start.

    fields: those that have no column. examples: cells that can be read in two ways.
    """

    code: str
    sentence: str
    fields: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


class Fault(msgspec.Struct, frozen=True):
    """Why a line has no decision. column: None for the whole line."""

    line: int
    column: str | None
    value: str
    reason: str


class FaultKind(msgspec.Struct, frozen=True):
    """How many lines have one fault in one column."""

    column: str | None
    reason: str
    lines: int


class Sample(msgspec.Struct, frozen=True):
    """One of the first lines, as written and as understood; amounts in the order of FEATURES."""

    line: int
    cells: tuple[str, ...]
    name: str | None = None
    amounts: tuple[float, ...] | None = None


class Earlier(msgspec.Struct, frozen=True):
    """A file out of which the same was decided before; no id where a terminal did it."""

    id: str | None
    name: str | None


class Reading(msgspec.Struct, frozen=True):
    """How a file was understood.

    encoding: of its text, or its kind. fields: of each column of the header, which it is; empty for
    what decides nothing. faults: the first of them; fault_kinds: all, counted. faulty, repeated:
    lines. warnings: sentences on the file as a whole, which may be decided all the same.
    """

    encoding: str = ""
    delimiter: str = ""
    decimal: str = ""
    header: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    sample: tuple[Sample, ...] = ()
    lines: int = 0
    faulty: int = 0
    repeated: int = 0
    faults: tuple[Fault, ...] = ()
    fault_kinds: tuple[FaultKind, ...] = ()
    earlier: Earlier | None = None
    warnings: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()


class Counts(msgspec.Struct):
    """How lines ended, counted.

    repeated: decided before, and not again. confidence: by tenths of [0, 1], of the decided lines
    whose model gives any.
    """

    faults: int = 0
    repeated: int = 0
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    clusters: list[int] = msgspec.field(default_factory=lambda: [0] * len(CLUSTERS))
    confidence: list[int] = msgspec.field(default_factory=lambda: [0] * CONFIDENCE_BINS)

    def add(self, part: "Counts") -> None:
        """Count a part in."""
        self.faults += part.faults
        self.repeated += part.repeated
        for outcome, count in part.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        self.clusters = [a + b for a, b in zip(self.clusters, part.clusters, strict=True)]
        self.confidence = [a + b for a, b in zip(self.confidence, part.confidence, strict=True)]


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file that was received whole, and how far it is.

    made_by: who sent it, where they had to say who they are. reading: None until it was looked at.
    lines_per_second: since its worker is at it, if it is.
    """

    id: str
    name: str
    state: State
    changed_at: datetime
    sha256: str
    answers: Answers
    reading: Reading | None
    line_count: int
    done: int
    last_line: int
    decided: int
    counts: Counts
    lines_per_second: float | None
    awaits: Awaited | None
    refusal: str | None
    starts_when_ready: bool
    made_by: str | None

    @property
    def is_erased(self) -> bool:
        """Tell whether it went with a person who came in it; one may be called so, too."""
        has_lines = self.reading is not None and bool(self.reading.sample)
        return self.name == ERASED and self.line_count > 0 and not has_lines
