"""Clients who were decided before, known again by what a file says of them.

A key of 64 bits is made of a client's name, amounts and all that the file says besides. It is no
secret and no name: it only tells whether two lines say the same.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evaluation_api.client_files.client_file import Earlier
from evaluation_api.decision.domain import FEATURES
from portfolio.files import messages, reading
from portfolio.files.errors import Fault
from portfolio.files.header import Header
from portfolio.files.reading import Clients

Keys = NDArray[np.uint64]

#: Clients of earlier files that are held, 16 MB; of more, those whom a file has again.
MOST_KEYS: Final = 2_000_000
#: From one column's hash to the next: the golden ratio's bits, odd.
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)


def header_sha256(names: Iterable[str]) -> str:
    """Return what files with the same columns have in common."""
    return hashlib.sha256("\n".join(filter(None, names)).encode()).hexdigest()


def keys_of(clients: Clients, header: Header) -> Keys:
    """Return a key for each decidable client."""
    used = set(header.places.values())
    others = [column for at, column in enumerate(clients.cells) if at not in used]
    kept = pa.array(clients.decidable)
    columns = [reading.names_of(clients, header).to_numpy(zero_copy_only=False)]
    columns += [_texts(column.filter(kept)) for column in others]
    columns += [clients.frame[feature].to_numpy(np.float64) for feature in FEATURES]
    keys = np.zeros(len(clients.frame), np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            keys = keys * _STEP ^ pd.util.hash_array(column, categorize=False)
    return keys


def _texts(column: pa.Array) -> NDArray[np.object_]:
    texts = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(column, pa.string()), ""))
    return np.asarray(texts.to_numpy(zero_copy_only=False))


class EarlierKeys(NamedTuple):
    """Keys of one earlier file, and its id and name."""

    id: str
    name: str
    keys: Keys


def gathered(pieces: Iterable[tuple[str, str, bytes]]) -> list[EarlierKeys] | None:
    """Return the keys of files, newest first; None where they are more than are held."""
    found: list[EarlierKeys] = []
    count = 0
    for file_id, name, content in pieces:
        keys = np.frombuffer(content, np.uint64)
        count += len(keys)
        if count > MOST_KEYS:
            return None
        _add(found, EarlierKeys(file_id, name, keys))
    return found


def gathered_among(pieces: Iterable[tuple[str, str, bytes]], wanted: Keys) -> list[EarlierKeys]:
    """Return those keys of files that are wanted, each once, from the newest file that has it."""
    if not len(wanted):
        return []
    wanted = np.unique(wanted)
    is_found = np.zeros(len(wanted), bool)
    found: list[EarlierKeys] = []
    for file_id, name, content in pieces:
        keys = np.frombuffer(content, np.uint64)
        places = np.searchsorted(wanted[:-1], keys)
        places = places[(wanted[places] == keys) & ~is_found[places]]
        is_found[places] = True
        _add(found, EarlierKeys(file_id, name, wanted[places]))
    return found


def _add(found: list[EarlierKeys], keys: EarlierKeys) -> None:
    if found and found[-1].id == keys.id:
        keys = keys._replace(keys=np.concatenate([found.pop().keys, keys.keys]))
    found.append(keys)


class Known:
    """Tells who was decided before."""

    def __init__(self, files: Sequence[EarlierKeys], recorded: int = 0) -> None:
        """Take keys of earlier files.

        recorded: of this very file, so many of its first clients are in the record already, by a
        terminal.
        """
        self._files = files
        self._recorded = recorded
        self._seen = 0
        #: The first file that somebody was known from.
        self.earlier: Earlier | None = None

    def new_of(self, clients: Clients, keys: Keys) -> tuple[Clients, Keys, int]:
        """Leave out who was decided before; name them, and say how many those are."""
        reasons = dict(self._reasons(keys))
        if not reasons:
            return clients, keys, 0
        decided = np.zeros(len(keys), bool)
        decided[list(reasons)] = True
        places = np.flatnonzero(clients.decidable)
        faults = [Fault(int(clients.lines[places[at]]), None, "", reasons[at]) for at in reasons]
        return without(clients, decided, faults), keys[~decided], len(reasons)

    def _reasons(self, keys: Keys) -> Iterator[tuple[int, str]]:
        """Yield who was decided before, by place among the decidable, and where."""
        first, self._seen = self._seen, self._seen + len(keys)
        known = np.zeros(len(keys), bool)
        for at in range(min(len(keys), max(0, self._recorded - first))):
            known[at] = True
            self.earlier = Earlier(None, None)
            yield at, messages.decided_before(None)
        for file in self._files:
            found = np.isin(keys, file.keys) & ~known
            known |= found
            if found.any():
                self.earlier = self.earlier or Earlier(file.id, file.name)
            reason = messages.decided_before(file.name)
            for at in np.flatnonzero(found).tolist():
                yield at, reason


def without(clients: Clients, left_out: NDArray[np.bool_], faults: Sequence[Fault]) -> Clients:
    """Have some decidable clients not decided. left_out: flags of these; faults: why."""
    decidable = clients.decidable.copy()
    decidable[np.flatnonzero(decidable)[left_out]] = False
    return clients._replace(
        decidable=decidable,
        frame=clients.frame[~left_out],
        faults=sorted([*clients.faults, *faults], key=lambda fault: fault.line),
    )
