"""python -m evaluation_api batch clientes.csv -o decisoes.csv: a file evaluated from a terminal.

Works on the database that the settings name, with or without a service beside it. What was begun
and broken off goes on with --resume, or in the next service that starts.

Exit codes: 0 every line is decided; 1 some are not, and the file says why; 2 there is no file, for
the reason printed.
"""

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from evaluation_api.client_files.batches import Batches
from evaluation_api.client_files.domain import Batch, State, Step
from evaluation_api.decision.errors import (
    BatchNotFoundError,
    FileTooLargeError,
    InvalidRequestError,
)
from evaluation_api.settings import Settings

UNDECIDED_LINES: Final = 1
REFUSED: Final = 2

_READ_BYTES: Final = 1 << 18
_LOOK_SECONDS: Final = 0.2
_BAR: Final = 30


class CannotWriteError(Exception):
    """Where decisions were to go they cannot; one sentence."""


class Running(Protocol):
    """The parts of a service that are needed here."""

    @property
    def batches(self) -> Batches:
        """What evaluates files, its worker at work."""


Open = Callable[[Settings], AbstractAsyncContextManager[Running]]


def add_to(commands: Any, services: Open) -> None:  # noqa: ANN401 - argparse's own private type
    """Add the command; services opens what a service is made of."""
    parser = commands.add_parser("batch", help="evaluate a CSV file of clients")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, help="UTF-8 or Latin-1, comma or semicolon")
    which.add_argument("--resume", metavar="ID", help="go on with a batch that was broken off")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where decisions go")
    parser.add_argument("--overwrite", action="store_true", help="even if there is a file already")
    parser.set_defaults(run=lambda chosen, settings: _run(chosen, settings, services))


def _run(chosen: argparse.Namespace, settings: Settings, services: Open) -> int:
    logging.disable(logging.WARNING)  # the bar says what it waits for, and would be torn
    try:
        _require_paths(chosen)
        return asyncio.run(_evaluated(chosen, settings, services))
    except InvalidRequestError as exc:
        sentences = [field.detail for field in exc.fields]
    except FileTooLargeError:
        sentences = ["A batch holds up to 200 MB and 1,000,000 lines."]
    except BatchNotFoundError as exc:
        sentences = [f"There is no batch {exc}."]
    except CannotWriteError as exc:
        sentences = [str(exc)]
    except OSError as exc:
        sentences = [f"{exc.filename}: {exc.strerror}"]
    sys.stderr.write("\n".join(sentences) + "\n")
    return REFUSED


def _require_paths(chosen: argparse.Namespace) -> None:
    """Find out before the work, and not after it, what cannot be read or written.

    Raises OSError or CannotWriteError.
    """
    output: Path = chosen.output
    if chosen.file is not None:
        chosen.file.open("rb").close()
        if output.exists() and output.samefile(chosen.file):
            raise CannotWriteError(f"{output}: this is the file to read.")
    if output.is_dir():
        raise CannotWriteError(f"{output}: this is a folder.")
    if output.exists() and not chosen.overwrite:
        raise CannotWriteError(f"{output}: there is a file already; --overwrite replaces it.")
    if not os.access(output.parent, os.W_OK):
        raise CannotWriteError(f"{output.parent}: no folder that can be written to.")


async def _evaluated(chosen: argparse.Namespace, settings: Settings, services: Open) -> int:
    async with services(settings) as running:
        batch = await _begun(chosen, running.batches)
        sys.stderr.write(f"Batch {batch.id}: {batch.line_count} lines\n")
        with _told_how_to_go_on(batch.id):
            batch = await _ended(batch, running.batches)
            sys.stderr.write(f"Writing {chosen.output}\n")
            await _write(chosen.output, batch, running.batches)
    return _told(batch)


def _told(batch: Batch) -> int:
    """Say how the lines ended; give the exit code."""
    settled, faults = batch.progress.settled, batch.progress.tally.faults
    sys.stderr.write(f"{settled - faults} decided, {faults} faulty\n")
    if batch.state is not State.DONE:
        left = batch.line_count - settled
        sys.stderr.write(f"Stopped elsewhere ({batch.state}), {left} lines left\n")
    return 0 if settled - faults == batch.line_count else UNDECIDED_LINES


@contextmanager
def _told_how_to_go_on(batch_id: str) -> Iterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        sys.stderr.write(f"\nNothing is lost; to go on: --resume {batch_id}\n")
        raise


async def _begun(chosen: argparse.Namespace, batches: Batches) -> Batch:
    """Start a batch, or one that stands still; one that runs or is over needs nothing."""
    if chosen.resume is None:
        received = await batches.receive(chosen.file.name, _pieces(chosen.file))
    else:
        received = await batches.find(chosen.resume)
    steps = {State.READY: Step.START, State.PAUSED: Step.RESUME}
    step = steps.get(received.state)
    return received if step is None else await batches.step(received.id, step)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            yield piece


async def _ended(batch: Batch, batches: Batches) -> Batch:
    """Show how far it is until it is over, or somebody stops it elsewhere."""
    begun = time.monotonic()
    while batch.state is State.RUNNING:
        await asyncio.sleep(_LOOK_SECONDS)
        batch = await batches.find(batch.id)
        _show(batch, time.monotonic() - begun)
    sys.stderr.write("\n" if sys.stderr.isatty() else "")
    return batch


def _show(batch: Batch, seconds: float) -> None:
    """Draw the bar over itself; where nobody watches, draw none."""
    if not sys.stderr.isatty():
        return
    share = batch.progress.settled / batch.line_count
    bar = "#" * round(share * _BAR)
    rate = batch.progress.lines_per_second
    told = "waiting for the model service" if rate is None else f"{rate:,.0f} lines/s"
    sys.stderr.write(f"\r[{bar:.<{_BAR}}] {share:4.0%}  {seconds:.0f} s  {told}\x1b[K")
    sys.stderr.flush()


async def _write(output: Path, batch: Batch, batches: Batches) -> None:
    """Write the result, whole or not at all."""
    unfinished = output.with_name(output.name + ".part")
    try:
        with unfinished.open("wb") as file:
            async for part in batches.result(batch):
                file.write(part)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
