"""The use case: receive a file, step it along, tell how far it is, hand out how it ended.

Knows the order of things, and neither CSV's grammar nor SQL nor HTTP.
"""

import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from evaluation_api.client_files.budget import Budget
from evaluation_api.client_files.domain import CHUNK_LINES, Awaited, ClientFile, Line, Step
from evaluation_api.client_files.file_log import FileLog
from evaluation_api.client_files.reading import FileReader
from evaluation_api.client_files.worker import Executor, FileWorker
from evaluation_api.client_files.writing import ResultWriter
from evaluation_api.decision.domain import IdempotencyKey, Recorded
from evaluation_api.decision.errors import EvaluationError, FileTooLargeError
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.runtime.identity import new_id

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 200 * 2**20
MAX_LINES: Final = 1_000_000


class Limits(NamedTuple):
    """How much one file may hold."""

    max_bytes: int = MAX_BYTES
    max_lines: int = MAX_LINES


_SAMPLE_LINES: Final = 5
#: A thousand clients take 50 kB; what is longer than any client must not fill the memory.
_CHUNK_BYTES: Final = 2**20


class ClientFiles:
    """All files of one database."""

    def __init__(
        self,
        log: FileLog,
        evaluations: EvaluationLog,
        executor: Executor,
        worker: FileWorker,
        limits: Limits = Limits(),  # noqa: B008 - a tuple cannot change
    ) -> None:
        """Take the parts; worker is called when there is something to do."""
        self.uploads, self.downloads = Budget(), Budget()
        self._log = log
        self._evaluations = evaluations
        self._executor = executor
        self._worker = worker
        self._limits = limits

    @property
    def awaits(self) -> Awaited | None:
        """What running files wait for here, where they stand still."""
        return self._worker.awaits

    async def receive(
        self, name: str, chunks: AsyncIterator[bytes], key: str | None = None
    ) -> ClientFile:
        """Keep a file as it comes in; what breaks off or cannot be read leaves nothing behind.

        key: an Idempotency-Key; the same file with it again is the one that is there. Raises
        InvalidRequestError naming columns or a line, FileTooLargeError, RecordUnavailableError,
        IdempotencyKeyInFlightError, or IdempotencyKeyReusedError.
        """
        file_id, digest = new_id(), hashlib.sha256(name.encode())
        first = await self._executor.run_write(self._log.open, file_id, name, key)
        hashed = chunks if key is None else _hashed(chunks, digest, self._limits.max_bytes)
        if first is not None:
            return await self._repeated(first, hashed, digest)
        try:
            reader, sample = await self._store(file_id, hashed)
            complete = partial(self._log.complete, fingerprint=digest.hexdigest())
            await self._executor.run_write(complete, file_id, reader.dialect, sample)
        except BaseException:
            await self._discard(file_id)
            raise
        return await self.find(file_id)

    async def _repeated(
        self, file_id: str, chunks: AsyncIterator[bytes], digest: "hashlib._Hash"
    ) -> ClientFile:
        async for _ in chunks:
            pass
        await self._executor.run_read(self._log.require_same, file_id, digest.hexdigest())
        return await self.find(file_id)

    async def _store(
        self, file_id: str, chunks: AsyncIterator[bytes]
    ) -> tuple[FileReader, list[Line]]:
        """Keep lines by the thousand; fewer where they are long."""
        sample: list[Line] = []
        held: list[Line] = []
        number = held_bytes = 0
        reader = FileReader()
        async for size, lines in _read(reader, chunks, self._limits):
            sample += lines[: _SAMPLE_LINES - len(sample)] if len(sample) < _SAMPLE_LINES else []
            held += lines
            held_bytes += size
            while len(held) >= CHUNK_LINES or (held and held_bytes > _CHUNK_BYTES):
                await self._executor.run_write(self._log.store, file_id, number, held[:CHUNK_LINES])
                number, held, held_bytes = number + 1, held[CHUNK_LINES:], 0
        if held:
            await self._executor.run_write(self._log.store, file_id, number, held)
        return reader, sample

    async def _discard(self, file_id: str) -> None:
        logger.info("client_file_upload_discarded", extra={"client_file": file_id})
        with suppress(EvaluationError):  # the workers tidy up what is left
            await self._executor.run_write(self._log.discard, file_id)

    async def find(self, file_id: str) -> ClientFile:
        """Return one file and how far it is. Raises ClientFileNotFoundError."""
        return await self._executor.run_read(self._log.find, file_id)

    async def latest(self, limit: int) -> list[ClientFile]:
        """Return the newest files, without their counts."""
        return await self._executor.run_read(self._log.latest, limit)

    async def step(self, file_id: str, step: Step, key: IdempotencyKey | None = None) -> ClientFile:
        """Start, pause, resume or cancel, once for each key.

        Raises ClientFileNotFoundError, ClientFileStateError, or IdempotencyKeyReusedError.
        """
        await self._executor.run_write(self._log.step, file_id, step, key)
        self._worker.call()
        return await self.find(file_id)

    async def result(self, client_file: ClientFile) -> AsyncIterator[bytes]:
        """Write the file again with what became of each line, piece by piece."""
        writer, number = ResultWriter(client_file.dialect), 0
        yield writer.head()
        while (pieces := await self._written(writer, client_file.id, number)) is not None:
            for piece in pieces:
                yield piece
            number += 1

    async def _written(self, writer: ResultWriter, file_id: str, number: int) -> list[bytes] | None:
        """Write a chunk, or none after the last; while it is read, its text alone is held."""
        kept = await self._executor.run_read(self._log.row_results, file_id, number)
        if kept is None:
            return None
        lines, row_results = kept
        ids = [row_result for row_result in row_results if isinstance(row_result, str)]
        recorded = await self._executor.run_read(self._recorded, ids)
        return [piece async for piece in writer.lines(lines, row_results, recorded)]

    def _recorded(self, ids: list[str]) -> dict[str, Recorded]:
        """Return a chunk's evaluations by id; those that were purged since are missing."""
        page = next(self._evaluations.decided(ids, CHUNK_LINES), []) if ids else []
        return {one.id: one for one in page}


async def _hashed(
    chunks: AsyncIterator[bytes], digest: "hashlib._Hash", max_bytes: int
) -> AsyncIterator[bytes]:
    """Pass on a file, and have its bytes hashed. Raises FileTooLargeError."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise FileTooLargeError
        digest.update(chunk)
        yield chunk


async def _read(
    reader: FileReader, chunks: AsyncIterator[bytes], limits: Limits
) -> AsyncIterator[tuple[int, list[Line]]]:
    """Read a file within its limits; return bytes taken, and lines that are whole by then."""
    size = count = 0
    async for chunk in chunks:
        size += len(chunk)
        lines = reader.feed(chunk)
        count += len(lines)
        if size > limits.max_bytes or count > limits.max_lines:
            raise FileTooLargeError
        yield len(chunk), lines
    lines = reader.finish()
    if count + len(lines) > limits.max_lines:
        raise FileTooLargeError
    yield 0, lines
