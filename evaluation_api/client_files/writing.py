"""Writes CSV: the file that was received with what became of each line, and the template.

In UTF-8 with a mark, by which Excel knows it, with the separator and the decimals of the file.
"""

import asyncio
import codecs
import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import zip_longest

from evaluation_api.client_files import amounts, messages, slices
from evaluation_api.client_files.domain import FIELDS, Dialect, Fault, Line, RowResult
from evaluation_api.decision import policy_file, sentences
from evaluation_api.decision.domain import Recorded
from evaluation_api.decision.evaluation import decide_again

#: How a cell begins that a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NOTHING = ("",) * len(messages.ANSWER_COLUMNS)


class ResultWriter:
    """Writes the result of one file."""

    def __init__(self, dialect: Dialect) -> None:
        """Take how the file was written."""
        self._dialect = dialect
        self._width = len(dialect.header)

    def head(self) -> bytes:
        """Write the first line."""
        names = [messages.LINE_COLUMN, *self._dialect.header, *messages.ANSWER_COLUMNS]
        return codecs.BOM_UTF8 + self._encoded([names])

    async def lines(
        self,
        lines: Sequence[Line],
        row_results: Sequence[RowResult],
        recorded: Mapping[str, Recorded],
    ) -> AsyncIterator[bytes]:
        """Write some lines in slices; those that have not ended yet have empty answers.

        recorded: by id; what was purged since is missing, and its answer empty.
        """
        for part in slices.slices(len(lines)):
            ended = zip_longest(lines[part], row_results[part])
            yield self._encoded(
                [self._row(line, row_result, recorded) for line, row_result in ended]
            )
            await asyncio.sleep(0)

    def _row(
        self, line: Line, row_result: RowResult | None, recorded: Mapping[str, Recorded]
    ) -> list[object]:
        cells = [_harmless(cell) for cell in line.cells[: self._width]]
        cells += [""] * (self._width - len(cells))
        return [line.number, *cells, *self._answer(row_result, recorded)]

    def _answer(
        self, row_result: RowResult | None, recorded: Mapping[str, Recorded]
    ) -> Sequence[object]:
        if row_result is None:
            return _NOTHING
        if isinstance(row_result, Fault):
            column = "" if row_result.field is None else messages.COLUMNS[row_result.field]
            return (*_NOTHING[2:], column, row_result.reason)
        return self._decided(recorded[row_result]) if row_result in recorded else _NOTHING

    def _decided(self, recorded: Recorded) -> Sequence[object]:
        stored = recorded.stored_decision
        assert stored is not None  # noqa: S101 - so are all that come of a file
        policy = policy_file.parse(stored.policy_text)
        prediction = stored.prediction
        decision = decide_again(policy, recorded, prediction)
        profile = policy.profiles[prediction.cluster]
        counterfactual = ""
        if (change := decision.counterfactual) is not None:
            current = getattr(recorded.applicant.usage, change.feature)
            target = policy.profiles[change.cluster]
            counterfactual = sentences.counterfactual(
                current, change, target, by_facts=decision.facts is not None
            )
        return (
            profile.cluster,
            profile.name,
            decision.outcome.value,
            self._confidence(prediction.confidence),
            counterfactual,
            recorded.id,
            "",
            "",
        )

    def _confidence(self, confidence: float | None) -> str:
        if confidence is None:
            return ""
        return amounts.written(round(confidence, 4), decimal_comma=self._dialect.decimal_comma)

    def _encoded(self, rows: Sequence[Sequence[object]]) -> bytes:
        return _encoded(rows, self._dialect.delimiter)


def template() -> bytes:
    """Write a file to start from, as spreadsheets in Brazil write them."""
    rows = [
        (name, *(f"{amount:.2f}".replace(".", ",") for amount in figures))
        for name, *figures in messages.EXAMPLES
    ]
    return codecs.BOM_UTF8 + _encoded([[messages.COLUMNS[field] for field in FIELDS], *rows], ";")


def _encoded(rows: Sequence[Sequence[object]], delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode()


def _harmless(cell: str) -> str:
    """Mark as text what a spreadsheet would run: a client chooses their name."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
