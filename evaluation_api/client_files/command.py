"""python -m evaluation_api file clientes.csv -o decisoes.csv: a file evaluated from a terminal.

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

from evaluation_api.client_files.domain import ClientFile, State, Step
from evaluation_api.client_files.files import ClientFiles
from evaluation_api.decision.errors import (
    ClientFileNotFoundError,
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
    def client_files(self) -> ClientFiles:
        """What evaluates files, its worker at work."""


Open = Callable[[Settings], AbstractAsyncContextManager[Running]]


def add_to(commands: Any, services: Open) -> None:  # noqa: ANN401 - argparse's own private type
    """Add the command; services opens what a service is made of."""
    parser = commands.add_parser(
        "batch",
        help="evaluate a CSV file of clients (portfolio score --record: faster)",
        epilog="Faster, of any length and kind: python -m portfolio score FILE -o OUT --record",
    )
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
    except ClientFileNotFoundError as exc:
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
        client_file = await _begun(chosen, running.client_files)
        sys.stderr.write(f"Batch {client_file.id}: {client_file.line_count} lines\n")
        with _told_how_to_go_on(client_file.id):
            client_file = await _ended(client_file, running.client_files)
            sys.stderr.write(f"Writing {chosen.output}\n")
            await _write(chosen.output, client_file, running.client_files)
    return _told(client_file)


def _told(client_file: ClientFile) -> int:
    """Say how the lines ended; return the exit code."""
    committed, faults = client_file.progress.committed, client_file.progress.counts.faults
    sys.stderr.write(f"{committed - faults} decided, {faults} faulty\n")
    if client_file.state is not State.DONE:
        left = client_file.line_count - committed
        sys.stderr.write(f"Stopped elsewhere ({client_file.state}), {left} lines left\n")
    return 0 if committed - faults == client_file.line_count else UNDECIDED_LINES


@contextmanager
def _told_how_to_go_on(file_id: str) -> Iterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        sys.stderr.write(f"\nNothing is lost; to go on: --resume {file_id}\n")
        raise


async def _begun(chosen: argparse.Namespace, client_files: ClientFiles) -> ClientFile:
    """Start a file, or one that stands still; one that runs or is over needs nothing."""
    if chosen.resume is None:
        received = await client_files.receive(chosen.file.name, _pieces(chosen.file))
    else:
        received = await client_files.find(chosen.resume)
    steps = {State.READY: Step.START, State.PAUSED: Step.RESUME}
    step = steps.get(received.state)
    return received if step is None else await client_files.step(received.id, step)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            yield piece


async def _ended(client_file: ClientFile, client_files: ClientFiles) -> ClientFile:
    """Show how far it is until it is over, or somebody stops it elsewhere."""
    begun = time.monotonic()
    while client_file.state is State.RUNNING:
        await asyncio.sleep(_LOOK_SECONDS)
        client_file = await client_files.find(client_file.id)
        _show(client_file, time.monotonic() - begun)
    sys.stderr.write("\n" if sys.stderr.isatty() else "")
    return client_file


def _show(client_file: ClientFile, seconds: float) -> None:
    """Draw the bar over itself; where nobody watches, draw none."""
    if not sys.stderr.isatty():
        return
    share = client_file.progress.committed / client_file.line_count
    bar = "#" * round(share * _BAR)
    rate = client_file.progress.lines_per_second
    told = "waiting for the model service" if rate is None else f"{rate:,.0f} lines/s"
    sys.stderr.write(f"\r[{bar:.<{_BAR}}] {share:4.0%}  {seconds:.0f} s  {told}\x1b[K")
    sys.stderr.flush()


async def _write(output: Path, client_file: ClientFile, client_files: ClientFiles) -> None:
    """Write the result, whole or not at all."""
    unfinished = output.with_name(output.name + ".part")
    try:
        with unfinished.open("wb") as file:
            async for part in client_files.result(client_file):
                file.write(part)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
