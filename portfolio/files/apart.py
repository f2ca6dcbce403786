"""Opens what can only be opened as a whole in a process of its own, whose memory is bounded.

A spreadsheet of 1.5 KB may ask a library for a terabyte, and a Parquet file of as much for a
gigabyte. A library that is refused memory ends its process, and no worker: the file is refused.
"""

import json
import os
import resource
import select
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from portfolio.files import held, messages
from portfolio.files.errors import Fault, MissingColumnsError, UnreadableFileError
from portfolio.files.header import Choices, Header
from portfolio.files.records import Records

#: Of what somebody sends.
MOST_HELD_BYTES: Final = 64 * 2**20
#: What opening may take beyond the process itself; 500,000 rows of a workbook take half of it.
_MOST_MEMORY_BYTES: Final = 2**30
#: Seconds of a core that what somebody sends may take, and seconds without a word of it; the
#: largest workbook takes a quarter, and a worker counts as stuck after 120.
_MOST_SECONDS: Final = 90
_PIPE_BYTES: Final = 2**16
_ROOT: Final = Path(__file__).parents[2]
#: One thread and one heap: others would only ask for addresses.
_ALONE: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": str(_ROOT),
}
#: Before each piece of the answer: what it is, and its bytes.
_HEAD: Final = struct.Struct(">cQ")
_HEADER, _RECORDS, _REFUSAL, _END = b"H", b"R", b"X", b"E"
#: Under which records have theirs.
_FAULTS: Final = b"faults"


def open_file(source: IO[bytes], kind: str, choices: Choices) -> tuple[Header, Iterator[Records]]:
    """Open a file of this machine, of a kind of `held`. Raises UnreadableFileError."""
    return _opened(_answer([kind, _told(choices)], source, None))


def open_sent(
    chunks: Iterable[bytes], kind: str, choices: Choices
) -> tuple[Header, Iterator[Records]]:
    """Open what somebody sent, of a kind of `held`. Raises UnreadableFileError."""
    return _opened(_answer([kind, _told(choices), "sent"], subprocess.PIPE, chunks))


def _opened(answer: Iterator[Any]) -> tuple[Header, Iterator[Records]]:
    return next(answer), answer


def _told(choices: Choices) -> str:
    return json.dumps(dict(choices.columns))


def _answer(
    arguments: list[str], source: IO[bytes] | int, chunks: Iterable[bytes] | None
) -> Iterator[Header | Records]:
    """Yield a header, then records; the process is gone when nobody wants more of them."""
    process = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-m", "portfolio.files.apart", *arguments],
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what a library says of a cell is for no log
        env={**os.environ, **_ALONE},
        cwd=_ROOT,
    )
    with process:
        try:
            if chunks is not None:
                _feed(process, chunks)
            yield from _heard(process, is_sent=chunks is not None)
        finally:
            process.kill()


def _feed(process: subprocess.Popen[bytes], chunks: Iterable[bytes]) -> None:
    """Hand over what somebody sent; whoever reads it may have ended. Raises UnreadableFileError."""
    assert process.stdin  # noqa: S101 - a pipe was asked for
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MOST_HELD_BYTES:
            raise UnreadableFileError(messages.TOO_LARGE)
        with suppress(BrokenPipeError):
            process.stdin.write(chunk)
    with suppress(BrokenPipeError):
        process.stdin.close()


def _heard(process: subprocess.Popen[bytes], *, is_sent: bool) -> Iterator[Header | Records]:
    """Yield what the process says. Raises UnreadableFileError, also where it ends before."""
    assert process.stdout  # noqa: S101 - a pipe was asked for
    size = 0
    seconds = _MOST_SECONDS if is_sent else None
    for kind, content in _pieces(partial(read_exactly, process.stdout.fileno(), seconds)):
        size += len(content)
        if is_sent and size > held.MOST_UNPACKED_BYTES:
            raise UnreadableFileError(messages.TOO_LARGE)
        if kind == _RECORDS:
            yield _records(content)
        elif kind == _HEADER:
            yield Header(**json.loads(content))
        elif kind == _REFUSAL:
            raise _refusal(json.loads(content))
        else:
            return
    raise UnreadableFileError(messages.TOO_FAR)


def _pieces(read: Callable[[int], bytes]) -> Iterator[tuple[bytes, bytes]]:
    while len(head := read(_HEAD.size)) == _HEAD.size:
        kind, length = _HEAD.unpack(head)
        content = read(length)
        if len(content) < length:
            return
        yield kind, content


def read_exactly(descriptor: int, seconds: float | None, size: int) -> bytes:
    """Return so many bytes of a pipe; fewer at its end, or where none comes for so long."""
    found, ready = bytearray(), select.poll()
    ready.register(descriptor, select.POLLIN)
    while len(found) < size and ready.poll(None if seconds is None else 1000 * seconds):
        some = os.read(descriptor, min(_PIPE_BYTES, size - len(found)))
        if not some:
            break
        found += some
    return bytes(found)


def _records(content: bytes) -> Records:
    batch = pa.ipc.open_stream(content).read_next_batch()
    lines, *cells = batch.columns
    told = json.loads(batch.schema.metadata[_FAULTS])
    return Records(lines.to_numpy(), cells, [Fault(*fault) for fault in told])


def _refusal(told: dict[str, Any]) -> UnreadableFileError:
    if told["columns"] is None:
        return UnreadableFileError(told["sentence"])
    return MissingColumnsError(told["sentence"], None, told["fields"], told["columns"])


def main(kind: str, columns: str, *sent: str) -> None:
    """Read a file from standard input, and write what is in it to standard output."""
    source = held.whole(sys.stdin.buffer)
    is_sent = bool(sent)
    _bound(is_sent=is_sent)
    try:
        found, blocks = held.read(source, kind, Choices(json.loads(columns)), is_sent=is_sent)
        _say(_HEADER, _json(names=found.names, places=dict(found.places), line=found.line))
        for some in blocks:
            _say(_RECORDS, _batch(some))
    except UnreadableFileError as exc:
        chosen = exc if isinstance(exc, MissingColumnsError) else None
        fields, names = (chosen.fields, chosen.columns) if chosen else (None, None)
        _say(_REFUSAL, _json(sentence=str(exc), fields=fields, columns=names))
    else:
        _say(_END, b"")


def _bound(*, is_sent: bool) -> None:
    """Take no more memory than opening may take; be the first to go where a machine has none."""
    if is_sent:
        resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
    with suppress(OSError, ValueError):  # Linux alone has these
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + _MOST_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        Path("/proc/self/oom_score_adj").write_text("1000")


def _json(**told: object) -> bytes:
    return json.dumps(told).encode()


def _batch(some: Records) -> bytes:
    columns = [pa.array(some.lines), *some.cells]
    names = [str(place) for place in range(len(columns))]
    batch = pa.RecordBatch.from_arrays(columns, names)
    batch = batch.replace_schema_metadata({_FAULTS: json.dumps(some.faults)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _say(kind: bytes, content: bytes) -> None:
    sys.stdout.buffer.write(_HEAD.pack(kind, len(content)))
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
