"""Predictions packed in processes of their own: the same, and none is left behind."""

import os
import signal
from collections.abc import Sequence
from multiprocessing import active_children

import pandas as pd
import pyarrow as pa
import pytest

from evaluation_api.decision.domain import FEATURES
from evaluation_api.runtime.identity import new_id
from model_store.version import StoredModel
from portfolio import frames, packing, recording
from portfolio.encoding import Clients, Decided, Who
from portfolio.frames import Floats
from portfolio.profiler import StoredProfiler
from tests.evaluations import POLICY
from tests.services import eventually
from tests.unit.portfolio.test_frames import clients


def decided(profiler: StoredProfiler, amounts: Floats) -> Clients:
    frame = pd.DataFrame(amounts, columns=list(FEATURES))
    names = pa.array([f"Ana {number}" for number in range(len(amounts))])
    who = Who(recording.ids(new_id(), 0, len(amounts)), names)
    told = Decided("2026-11-26 12:00:00.000000", "2026-11-26 12:00:00", 0.5, profiler.model, "1")
    return Clients(who, frame, frames.evaluate(frame, POLICY, profiler), told)


def told_of(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out what is drawn anew each time."""
    return rows.drop_columns(["salt", "digest"])


def test_processes_pack_what_is_packed_here(stored: StoredModel) -> None:
    profiler = StoredProfiler(stored)

    def changes(amounts: Floats) -> Sequence[Sequence[Sequence[object]]]:
        return profiler.changes(amounts, POLICY)

    asked = [decided(profiler, clients(40, seed)) for seed in range(9)]
    here = packing.here(changes)
    with packing.processes(changes) as apart:
        packed = [future.result() for future in list(map(apart, asked))]

    assert list(map(told_of, packed)) == [told_of(here(one).result()) for one in asked]
    eventually(lambda: not active_children())


def test_a_process_that_ends_is_an_error_of_whoever_asks(stored: StoredModel) -> None:
    def end(_: Floats) -> Sequence[Sequence[Sequence[object]]]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    one = decided(StoredProfiler(stored), clients(9))
    with packing.processes(end) as apart, pytest.raises(OSError, match="has ended"):
        apart(one).result()
