"""Writes the result: every line that was sent, and beside it what was decided or what is wrong.

CSV in UTF-8 with a mark, by which Excel knows it, with the separator and the decimals of the file;
or Parquet, whose columns are typed.
"""

import codecs
import fcntl
import glob
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from evaluation_api.decision.policy import FactPolicy
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.decision.sentences import SAME_SHARE, possible
from portfolio import frames
from portfolio.files import room
from portfolio.files.amounts import Grammar, Mark
from portfolio.files.header import TOLD_OF_FAULTY, Header
from portfolio.files.reading import Clients

LINE_COLUMN: Final = TOLD_OF_FAULTY[0]
_AS_THEY_ARE: Final = ("avaliacao", "cluster")
_SHARES: Final = ("certeza", "uso", "parte_paga", "saques")
#: Which amount each share is of.
_SHARE_OF: Final = {"uso": "balance", "parte_paga": "payments", "saques": "cash_advance"}
_DIGITS: Final = 10_000
#: How a cell begins that a spreadsheet would run, its full-width twins among them. No amount does.
_RUN: Final = r"^[\s\x{feff}]*[=+\-@\t\r\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}]"
_AMOUNT: Final = r"^-[\d.,]+$"

#: What each column of a decision is called in a result.
NAMES: Final = {
    "decisao": "decisao",
    "perfil": "perfil",
    "certeza": "certeza_do_perfil",
    "uso": "uso_do_limite",
    "parte_paga": "parte_paga",
    "saques": "saques_do_limite",
    "motivos": "motivos",
    "fora_da_faixa": "fora_da_faixa",
    "fronteira": "perto_da_fronteira",
}
_ID: Final = "avaliacao"
#: The same in a result that is taken from the page, whose callers know some by older names.
PAGE_NAMES: Final = {"cluster": "cluster", **NAMES, "certeza": "confianca", _ID: "id"}
_WRONG: Final = TOLD_OF_FAULTY[1:]


class Sink(Protocol):
    """Whatever takes a result block by block."""

    def write(self, block: pa.Table) -> None:
        """Take the next lines."""


class ResultColumns:
    """Makes the result's columns of clients and their decisions."""

    def __init__(self, header: Header, policy: AnyPolicy, names: Mapping[str, str] = NAMES) -> None:
        """Take the columns as the file names them, and the policy that decides.

        names: of each column of a decision, what it is called.
        """
        self._shown_as = names
        self._names = [LINE_COLUMN, *_harmless_names(header)]
        self._amount_places = [p for field, p in header.places.items() if field != "name"]
        self._profiles = pa.array([profile.name for profile in policy.profiles])
        self._reasons = _reasons(policy)
        self._bounds = _bounds(policy)

    def of(
        self, clients: Clients, decisions: pd.DataFrame, ids: pa.Array | None = None
    ) -> pa.Table:
        """Return n lines. decisions, ids: of those that are decidable, in their order."""
        columns = list(
            zip(self._names, [pa.array(clients.lines), *self._sent(clients)], strict=True)
        )
        places = _places(clients.decidable)
        for column, name in self._shown_as.items():
            if column in decisions:
                columns.append((name, _spread(self._shown(column, decisions), places)))
        if ids is not None:
            columns.append((self._shown_as.get(_ID, _ID), _spread(ids, places)))
        return _table([*columns, *zip(_WRONG, _wrong(clients), strict=True)])

    def _sent(self, clients: Clients) -> Iterator[pa.Array]:
        """Yield the cells as sent, but for those that a spreadsheet would run."""
        wrong = ~clients.decidable
        for place, column in enumerate(clients.cells):
            if not pa.types.is_string(column.type):
                yield column
            elif place not in self._amount_places:
                yield harmless(column)
            elif wrong.any():
                yield pc.if_else(pa.array(wrong), harmless(column), column)
            else:
                yield column

    def _shown(self, column: str, decisions: pd.DataFrame) -> pa.Array:
        values = decisions[column]
        if column in _AS_THEY_ARE:
            return pa.array(values)
        if column == "perfil":
            return self._profiles.take(pa.array(values.to_numpy()))
        if column == "motivos":
            return self._reasons.take(pa.array(values.cat.codes.to_numpy()))
        if column == "decisao":
            return pa.array(list(values.cat.categories)).take(pa.array(values.cat.codes.to_numpy()))
        if column in _SHARES:
            return pa.array(_rounded(values.to_numpy(), self._bounds[column]), from_pandas=True)
        return pa.array(["", "sim"]).take(pa.array(values.to_numpy().astype(np.int8)))


def _reasons(policy: AnyPolicy) -> pa.Array:
    """Return a sentence or several for each of frames.REASONS."""
    if not isinstance(policy, FactPolicy):
        return pa.array(frames.REASONS)
    said = {code: possible(code, share) for code, share in policy.references.by_code().items()}
    return pa.array([" ".join(said[code] for code in codes.split()) for codes in frames.REASONS])


def _bounds(policy: AnyPolicy) -> dict[str, tuple[float, ...]]:
    """Return by column what the policy judges its shares by."""
    near: dict[str, tuple[float, ...]] = {"certeza": (policy.near.min_confidence,)}
    if not isinstance(policy, FactPolicy):
        return near
    return near | {column: policy.bounds[feature] for column, feature in _SHARE_OF.items()}


def _rounded(shares: NDArray[np.float64], bounds: tuple[float, ...]) -> NDArray[np.float64]:
    """Round n shares, but for those that would then be a bound which they are not.

    Bounds have as many digits, so that no share is rounded beyond one.
    """
    rounded: NDArray[np.float64] = np.rint(shares * _DIGITS) / _DIGITS
    for bound in bounds:
        nearer = (rounded == bound) & (np.abs(shares - bound) > SAME_SHARE)
        rounded = np.where(nearer, shares, rounded)
    return rounded


def _places(decidable: NDArray[np.bool_]) -> pa.Array | None:
    """Return for n lines where each stands among the decisions, null where it has none."""
    if decidable.all():
        return None
    places = np.cumsum(decidable) - 1
    return pa.array(places, mask=~decidable)


def _spread(column: pa.Array, places: pa.Array | None) -> pa.Array:
    return column if places is None else column.take(places)


def _table(columns: Sequence[tuple[str, pa.Array]]) -> pa.Table:
    """Return columns by names of which none is there twice, the file's own as they are."""
    taken: dict[str, int] = {}
    for name, _ in columns:
        free = name
        while free in taken:
            taken[name] += 1  # which the next of that name need not try again
            free = f"{name}_" if taken[name] == 1 else f"{name}_{taken[name]}"
        taken[free] = 0
    return pa.table([column for _, column in columns], list(taken))


def _harmless_names(header: Header) -> list[str]:
    names: list[str] = harmless(pa.array(header.names, pa.string())).to_pylist()
    return names


def _wrong(clients: Clients) -> tuple[pa.Array, pa.Array]:
    """Return for n lines the columns that are wrong, and why."""
    count = len(clients.lines)
    if not clients.faults:
        nothing = pa.nulls(count, pa.string())
        return nothing, nothing
    fields, reasons = defaultdict(list), defaultdict(list)
    for fault in clients.faults:
        fields[fault.line].append(fault.column or "")
        reasons[fault.line].append(fault.reason)
    lines = clients.lines.tolist()
    columns = [", ".join(filter(None, fields.get(line, ()))) or None for line in lines]
    return (
        harmless(pa.array(columns, pa.string())),
        pa.array([" ".join(reasons.get(line, ())) or None for line in lines], pa.string()),
    )


def faulty_lines(clients: Clients, header: Header) -> pa.Table:
    """Return the lines that have no decision as a file of their own, with what is wrong with them.

    Their cells come first, so that it can be mended and sent in place of the first one.
    """
    wrong = pa.array(~clients.decidable)
    cells = [harmless(c) if pa.types.is_string(c.type) else c for c in clients.cells]
    told = (pa.array(clients.lines), *_wrong(clients))
    columns = [
        *zip(_harmless_names(header), cells, strict=True),
        *zip((LINE_COLUMN, *_WRONG), told, strict=True),
    ]
    return _table(columns).filter(wrong)


def harmless(column: pa.Array) -> pa.Array:
    """Mark as text what a spreadsheet would run: a client chooses their name. column: of texts."""
    run = pc.match_substring_regex(column, _RUN)
    if not pc.any(run, min_count=0).as_py():
        return column
    run = pc.and_(run, pc.invert(pc.match_substring_regex(column, _AMOUNT)))
    return pc.if_else(run, pc.binary_join_element_wise("'", column, ""), column)


def harmless_table(block: pa.Table) -> pa.Table:
    """Mark as text what a spreadsheet would run, in every column of texts."""
    for place, field in enumerate(block.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = pc.cast(block.column(place), pa.string()).combine_chunks()
            block = block.set_column(place, field.name, harmless(column))
    return block


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a small table of clients as CSV. Raises OSError."""
    table = harmless_table(pa.Table.from_pandas(frame, preserve_index=False))
    with _whole(path) as file:
        table.to_pandas().to_csv(file, index=False)


class Csv:
    """Writes CSV as the file that was sent is written."""

    def __init__(
        self, file: IO[bytes], delimiter: str, grammar: Grammar, *, is_begun: bool = False
    ) -> None:
        """Take where to. is_begun: whether the header is there already."""
        self._file, self._grammar = file, grammar
        self._options = dict[str, object](delimiter=delimiter, quoting_style="needed")
        self._begun = is_begun

    def write(self, block: pa.Table) -> None:
        """Take the next lines."""
        if not self._begun:
            self._file.write(codecs.BOM_UTF8)
        options = pa.csv.WriteOptions(include_header=not self._begun, **self._options)
        pa.csv.write_csv(as_written(block, self._grammar), self._file, options)
        self._begun = True


def as_written(block: pa.Table, grammar: Grammar) -> pa.Table:
    """Write shares, and a file's own numbers, with its decimal mark."""
    if grammar.mark is not Mark.COMMA:
        return block
    for place, field in enumerate(block.schema):
        if pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
            block = block.set_column(place, field.name, _with_commas(block.column(place)))
    return block


def _with_commas(amounts: pa.ChunkedArray) -> pa.Array:
    """Write numbers with decimal commas, each kind once: of shares with four digits few differ."""
    kinds = amounts.combine_chunks().dictionary_encode()
    text = pc.replace_substring(pc.cast(kinds.dictionary, pa.string()), ".", ",")
    return text.take(kinds.indices)


class _Parquet:
    """Writes Parquet, its schema the first block's."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._writer: pa.parquet.ParquetWriter | None = None

    def write(self, block: pa.Table) -> None:
        if self._writer is None:
            self._writer = pa.parquet.ParquetWriter(self._file, block.schema)
        self._writer.write_table(block)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@contextmanager
def result(path: Path, delimiter: str, grammar: Grammar) -> Iterator[Sink]:
    """Open a result that appears whole or not at all, for its owner's eyes only. Raises OSError.

    path: must not exist yet, or it is replaced at the end.
    """
    with _whole(path) as file:
        if path.suffix.lower() == ".parquet":
            sink = _Parquet(file)
            yield sink
            sink.close()
        else:
            yield Csv(file, delimiter, grammar)


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """Open what takes the place of a path once it is whole; a link there is replaced, too.

    A link that stands where the unfinished one goes is never followed. What a run that was killed
    has left of it is removed.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        _remove_unless_locked(left)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with room.naming(path), os.fdopen(descriptor, "wb") as file:
            with suppress(OSError):  # where there are no locks, nothing is removed
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _remove_unless_locked(left: Path) -> None:
    """Remove what somebody wrote to who is gone: the kernel keeps a lock no longer than that."""
    with suppress(OSError):
        descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
