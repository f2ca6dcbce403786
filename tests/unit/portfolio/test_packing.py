"""Predictions packed in processes of their own: the same, and none is left behind."""

import os
import signal
from collections.abc import Sequence
from multiprocessing import active_children

import numpy as np
import pytest

from model_store.version import StoredModel
from portfolio import encoding, packing
from portfolio.encoding import Explained
from portfolio.frames import Floats
from portfolio.profiler import StoredProfiler
from tests.evaluations import POLICY
from tests.services import eventually
from tests.unit.portfolio.test_frames import clients


def explained(profiler: StoredProfiler, amounts: Floats) -> Explained:
    told = profiler.profiles(amounts)
    assert told.runner_up is not None
    others = np.arange(len(amounts)) % 2 == 0
    return Explained(amounts, others, told.runner_up.astype(np.int8), told.contributions)


def test_processes_pack_what_is_packed_here(stored: StoredModel) -> None:
    profiler = StoredProfiler(stored)

    def changes(amounts: Floats) -> Sequence[Sequence[Sequence[object]]]:
        return profiler.changes(amounts, POLICY)

    asked = [explained(profiler, clients(40, seed)) for seed in range(9)]
    here = packing.here(changes)
    with packing.processes(changes) as apart:
        packed = [future.result() for future in list(map(apart, asked))]

    assert packed == [here(one).result() for one in asked]
    assert encoding.lines(packed[0]).to_pylist() == packed[0].decode().split("\n")[:-1]
    eventually(lambda: not active_children())


def test_a_process_that_ends_is_an_error_of_whoever_asks(stored: StoredModel) -> None:
    def end(_: Floats) -> Sequence[Sequence[Sequence[object]]]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    one = explained(StoredProfiler(stored), clients(9))
    with packing.processes(end) as apart, pytest.raises(OSError, match="has ended"):
        apart(one).result()
