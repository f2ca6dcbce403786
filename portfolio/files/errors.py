"""What can be wrong with a file as a whole, and with one line of it."""

from collections.abc import Sequence
from typing import NamedTuple


class UnreadableFileError(Exception):
    """A file of which nothing is decided; one sentence in Portuguese. line: from 1, if any."""

    def __init__(self, sentence: str, line: int | None = None) -> None:
        super().__init__(sentence if line is None else f"Linha {line}: {sentence}")
        self.line = line


class MissingColumnsError(UnreadableFileError):
    """A table that does not say which of its columns hold what is needed.

    fields: those that are not found. columns: the ones that could hold them.
    """

    def __init__(
        self, sentence: str, line: int | None, fields: Sequence[str], columns: Sequence[str]
    ) -> None:
        super().__init__(sentence, line)
        self.fields, self.columns = tuple(fields), tuple(columns)


class AmbiguousMarkError(UnreadableFileError):
    """Amounts that can be read in two ways, and nothing in the file says which.

    examples: some of them, as written.
    """

    def __init__(self, sentence: str, examples: Sequence[str]) -> None:
        super().__init__(sentence)
        self.examples = tuple(examples)


class Fault(NamedTuple):
    """Why a line has no decision.

    line: from 1. column: as the file names it, None for the whole line. value: the cell as sent.
    """

    line: int
    column: str | None
    value: str
    reason: str
