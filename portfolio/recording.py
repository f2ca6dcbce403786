"""Records the clients of a file: frames in, rows out, slice by slice beside those who ask for one.

A file is known by its content. Its clients' ids follow from its own, so that what was broken off
goes on where it was, and the same file asked again is the same evaluations.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from evaluation_api import VERSION
from evaluation_api.decision.errors import EvaluationError
from evaluation_api.decision.policy_file import AnyPolicy
from portfolio import appending, packing
from portfolio.appending import Appender
from portfolio.encoding import Clients, Decided, Who
from portfolio.frames import Floats, Profiler
from portfolio.packing import Packer
from portfolio.recorded_files import RecordedFile, RecordedFiles

#: So many take less time than a process to start for them.
FEW: Final = 4_096
#: Clients whose random bits are drawn together.
_DRAWN: Final = 4_096
_ID_LENGTH: Final = 36
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_HYPHENS: Final = (8, 13, 18, 23)
_FIGURES: Final = np.delete(np.arange(_ID_LENGTH), _HYPHENS)


class RecordedOtherwiseError(EvaluationError):
    """A file was recorded by another policy, model or reading of it; one sentence."""


class Prepared:
    """Some clients as they are recorded. ids: n texts, of all of them."""

    def __init__(self, ids: pa.Array, encoded: Future[pa.RecordBatch]) -> None:
        """Take the ids, and what will be the rows of those who are not recorded yet."""
        self.ids = ids
        self._encoded = encoded

    @property
    def rows(self) -> pa.RecordBatch:
        """Wait for the rows of those who are not recorded yet, in the file's order."""
        return self._encoded.result()


class Explainer(Profiler, Protocol):
    """Whatever says which profiles clients belong to, and what would change that.

    is_in_memory: whether it asks nobody, so that a process that is forked can go on with it.
    """

    is_in_memory: bool

    def changes(self, amounts: Floats, policy: AnyPolicy) -> Sequence[Sequence[Sequence[object]]]:
        """Return for n clients the changes of one amount that a policy may approve."""


class Ways(NamedTuple):
    """By what clients are encoded and written. version: the number of model and policy, if any."""

    packer: Packer
    appender: Appender
    version: int | None


@contextmanager
def fast_ways(log: RecordedFiles, policy: AnyPolicy, explainer: Explainer) -> Iterator[Ways]:
    """Open the fastest, for a process that has nothing else to do with the record meanwhile."""
    version = _version(log, policy, explainer)
    with (
        packing.processes(partial(explainer.changes, policy=policy)) as packer,
        appending.appender_for(log) as appender,
    ):
        yield Ways(packer, appender, version)


@contextmanager
def ways_beside(
    log: RecordedFiles, policy: AnyPolicy, explainer: Explainer, count: int
) -> Iterator[Ways]:
    """Open what suits count clients, for a process that uses the record meanwhile."""
    here = _here(log, policy, explainer)
    if explainer.is_in_memory and count > FEW:
        with packing.processes(partial(explainer.changes, policy=policy)) as packer:
            yield here._replace(packer=packer)
    else:
        yield here


def _here(log: RecordedFiles, policy: AnyPolicy, explainer: Explainer) -> Ways:
    packer = packing.here(partial(explainer.changes, policy=policy))
    return Ways(packer, appending.beside(log), _version(log, policy, explainer))


def _version(log: RecordedFiles, policy: AnyPolicy, explainer: Explainer) -> int | None:
    return log.version((explainer.model.tag, explainer.model.sha256, policy.version))


class Recording:
    """One file on its way into the record."""

    def __init__(  # noqa: PLR0913 - the parts, the last by name
        self,
        log: RecordedFiles,
        file: RecordedFile,
        policy: AnyPolicy,
        explainer: Explainer,
        ways: Ways | None = None,
        *,
        made_by: str | None = None,
        refusal: EvaluationError | None = None,
    ) -> None:
        """Take the parts. file: as begin returns it. ways: by the log's own connections if none.

        made_by: who asks for it, as the record calls them. refusal: why nobody more is recorded.
        """
        #: How many of the file's clients were recorded before, and how many are by now.
        self.before, self.now = file.recorded, file.recorded
        self.received_at = _received_at(file)
        self._log, self._file = log, file
        self._policy_version, self._model = policy.version, explainer.model
        self._packer, self._appender, self._version = ways or _here(log, policy, explainer)
        self._prepared = 0
        self._made_by = made_by
        self._refusal = refusal

    def leave_out(self, count: int) -> None:
        """Take it that the file's next clients are recorded and come no more."""
        self._prepared += count

    def prepare(
        self, names: pa.Array, clients: pd.DataFrame, decisions: pd.DataFrame, seconds: float
    ) -> Prepared:
        """Begin to encode the file's next n clients, which needs no database.

        names: n texts. clients: FEATURES as float64. decisions: of frames.evaluate. seconds: what
        it took.
        """
        start, count = self._prepared, len(names)
        made = ids(self._file.id, start, count)
        new = slice(min(count, max(0, self.before - start)), count)
        decided = Decided(
            self._time(self.received_at),
            self._time(datetime.now(UTC)),
            1000 * seconds,
            self._model,
            self._policy_version,
            self._made_by,
            self._version,
        )
        some = Clients(Who(made[new], names[new]), clients[new], decisions[new], decided)
        packing_them = self._packer(some)
        self._prepared += count  # not before: who is refused here asks again
        return Prepared(made, packing_them)

    def _time(self, moment: datetime) -> str:
        return str(self._log.bind_time(moment))

    def append(self, prepared: Prepared) -> None:
        """Record clients in slices, letting others write in between.

        Raises RecordBusyError, and the refusal, if any.
        """
        clients, start, pace = prepared.rows, 0, self._appender.pace
        if len(clients) and self._refusal is not None:
            raise self._refusal
        while start < len(clients):
            begun = time.perf_counter()
            part = clients.slice(start, pace.limit)
            self._file = self._appender.append(self._file, part)
            self.now = self._file.recorded
            if len(part) == pace.limit:
                pace.note(time.perf_counter() - begun)
            start += len(part)
            self._appender.let_in()

    def settle(self) -> None:
        """Return once no crash takes what was recorded. Raises RecordUnavailableError."""
        self._appender.settle(self._file)


def record(log: RecordedFiles, file: RecordedFile, slice_of: pa.RecordBatch) -> RecordedFile:
    """Record a slice of evaluated clients of a file, all or none; return how far the file is then.

    One transaction: the clients, and the pointer to the next one. file: as begin or this returned
    it. slice_of: the next part of Prepared.rows. Single callers write meanwhile where Pace says how
    many it holds, and a pause follows. Raises RecordBusyError where somebody else has recorded
    them, or moved the file, meanwhile; RecordUnavailableError.
    """
    return appending.beside(log).append(file, slice_of)


def begin(
    log: RecordedFiles, path: Path, criteria: dict[str, Any], *, again: bool = False
) -> RecordedFile:
    """Return how far a file is in the record; a new one is begun there.

    criteria: what its clients are read and decided by. again: record it anew whatever is there.
    Raises RecordedOtherwiseError, RecordBusyError, RecordUnavailableError or OSError.
    """
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    log.require_at_rest(sha256)
    told = json.dumps({"release": VERSION, **criteria}, sort_keys=True)
    known = log.find(sha256)
    if known is None and not again and (decided := log.decided_by_worker(sha256)):
        raise RecordedOtherwiseError(_sent_before(path, decided))
    if known is None or again:
        return log.begin(sha256, told, known)
    if known.criteria != told:
        raise RecordedOtherwiseError(_otherwise(path, known, json.loads(told)))
    return known


def sent_meanwhile(
    log: RecordedFiles, path: Path, file: RecordedFile
) -> RecordedOtherwiseError | None:
    """Return why nobody more of a file is recorded, if a worker decided them since it was begun."""
    decided = log.decided_by_worker(file.sha256, _received_at(file))
    return RecordedOtherwiseError(_sent_before(path, decided)) if decided else None


def _sent_before(path: Path, decided: int) -> str:
    return (
        f"{path}: {decided} of its clients were recorded when it was sent by the page;"
        " --again records all of them once more."
    )


def _otherwise(path: Path, known: RecordedFile, told: dict[str, Any]) -> str:
    before = json.loads(known.criteria)
    differing = ", ".join(name for name in told if told[name] != before.get(name))
    when = f"{_received_at(known):%Y-%m-%d %H:%M} UTC"
    return (
        f"{path}: {known.recorded} of its clients were recorded on {when} with another {differing};"
        " --again records all of them once more."
    )


def _received_at(file: RecordedFile) -> datetime:
    """Return when a file was begun, which its id begins with."""
    return datetime.fromtimestamp((uuid.UUID(file.id).int >> 80) / 1000, UTC)


def ids(file_id: str, start: int, count: int) -> pa.Array:
    """Return the ids of a file's clients from a place on, counted from 0: UUIDv7 (RFC 9562).

    They begin with the milliseconds of the file's own, go on with the place (32 bits, so that they
    are in the file's order), and end with 42 bits that follow from the file's id and tell nobody
    another one.
    """
    own = uuid.UUID(file_id)
    places = np.arange(start, start + count, dtype=np.uint64)
    milliseconds, version, variant = np.uint64(own.int >> 80), np.uint64(7), np.uint64(2)
    halves = np.empty((count, 2), ">u8")
    halves[:, 0] = (
        milliseconds << np.uint64(16) | version << np.uint64(12) | places >> np.uint64(20)
    )
    low_places = places & np.uint64(0xFFFFF)
    drawn = _drawn(own.bytes, start, count) >> np.uint64(22)
    halves[:, 1] = variant << np.uint64(62) | low_places << np.uint64(42) | drawn
    return _as_text(halves.view(np.uint8).reshape(count, 16))


def _drawn(key: bytes, start: int, count: int) -> NDArray[np.uint64]:
    """Return 64 bits for each of some places, always the same for a key and a place."""
    first, last = start // _DRAWN, (start + count) // _DRAWN
    drawn = b"".join(
        hashlib.shake_256(key + part.to_bytes(8)).digest(8 * _DRAWN)
        for part in range(first, last + 1)
    )
    offset = start - first * _DRAWN
    return np.frombuffer(drawn, np.uint64)[offset : offset + count]


def _as_text(ids_as_bytes: NDArray[np.uint8]) -> pa.Array:
    """Write n x 16 bytes as UUIDs are written."""
    count = len(ids_as_bytes)
    written = np.full((count, _ID_LENGTH), ord("-"), np.uint8)
    written[:, _FIGURES[::2]] = _HEX[ids_as_bytes >> 4]
    written[:, _FIGURES[1::2]] = _HEX[ids_as_bytes & 15]
    offsets = (np.arange(count + 1) * _ID_LENGTH).astype(np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(written))
