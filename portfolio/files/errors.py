"""What can be wrong with a file as a whole, and with one line of it."""

from typing import NamedTuple


class UnreadableFileError(Exception):
    """A file of which nothing is decided; one sentence in Portuguese. line: from 1, if any."""

    def __init__(self, sentence: str, line: int | None = None) -> None:
        """Take the sentence."""
        super().__init__(sentence if line is None else f"Linha {line}: {sentence}")
        self.line = line


class Fault(NamedTuple):
    """Why a line has no decision.

    line: from 1. column: as the file names it, None for the whole line. value: the cell as sent.
    """

    line: int
    column: str | None
    value: str
    reason: str
