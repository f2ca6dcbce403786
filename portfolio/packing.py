"""Encodes clients in processes of their own, since what would change decisions is most of the work.

They are forked, so that they know the model and the policy without being told, and end with the one
who started them: their pipe does.
"""

import errno
import gc
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import Final, Protocol

import pyarrow as pa

from portfolio import encoding, sqlite_columns
from portfolio.encoding import Changes, Clients

_Pipe = Connection
#: One leaves a core to those who read, decide and write.
_MOST: Final = 4


class Packer(Protocol):
    """Whatever encodes clients."""

    def __call__(self, some: Clients, /) -> Future[pa.RecordBatch]:
        """Begin to; the result is encoding.encode's."""


def here(changes: Changes) -> Packer:
    """Return what encodes at once."""

    def pack(some: Clients) -> Future[pa.RecordBatch]:
        done: Future[pa.RecordBatch] = Future()
        done.set_result(encoding.encode(some, changes))
        return done

    return pack


@contextmanager
def processes(changes: Changes) -> Iterator[Packer]:
    """Start processes that encode, where they can be forked; here where they cannot, or no core is.

    Raises OSError from a result when one has ended.
    """
    if not count():
        yield here(changes)
        return
    idle: SimpleQueue[_Pipe] = SimpleQueue()
    pipes: list[_Pipe] = []
    started: list[BaseProcess] = []
    try:
        for _ in range(count()):
            pipe, process = _start(changes, pipes)
            pipes.append(pipe)
            started.append(process)
            idle.put(pipe)
        # One more, so that the next clients are at hand when a process has no more to do.
        with ThreadPoolExecutor(count() + 1) as conversations:
            yield lambda some: conversations.submit(partial(_ask, idle, some))
    finally:
        for pipe in pipes:
            pipe.close()
        for process in started:  # whose pipe has ended
            process.join()


def count() -> int:
    """Return how many processes there are to be: none where none can be forked, or no core is."""
    return min(_MOST, (os.cpu_count() or 1) - 1) if sys.platform == "linux" else 0


def _start(changes: Changes, others: Sequence[_Pipe]) -> tuple[_Pipe, BaseProcess]:
    forking = get_context("fork")
    ours, theirs = forking.Pipe()
    process = forking.Process(target=_serve, args=([*others, ours], theirs, changes), daemon=True)
    with warnings.catch_warnings():
        # From 3.12 on Python warns of locks that others hold: a worker's other threads speak to the
        # record and to who asks for metrics, which no process of ours does.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    return ours, process


def _serve(not_ours: Sequence[_Pipe], theirs: _Pipe, changes: Changes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to all; the pipe then ends
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a worker's handler would end nothing here
    for pipe in not_ours:
        pipe.close()
    gc.disable()  # lists of lists by the thousand, and no circle: to look for one took a third
    try:
        while True:
            theirs.send_bytes(sqlite_columns.stream(encoding.work_out(theirs.recv(), changes)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _ask(idle: "SimpleQueue[_Pipe]", some: Clients) -> pa.RecordBatch:
    told = ForkingPickler.dumps(some)
    pipe = idle.get()
    try:
        pipe.send_bytes(told)
        worked_out = pa.ipc.open_stream(pipe.recv_bytes()).read_next_batch()
    except (EOFError, BrokenPipeError, ConnectionResetError) as exc:
        raise OSError(errno.ECHILD, "a process of it has ended", "portfolio") from exc
    finally:
        idle.put(pipe)
    return encoding.put_together(some, worked_out)
