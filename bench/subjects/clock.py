"""A clock of a process's own that can be set, where Debian's faketime is installed."""

from pathlib import Path

from bench.subjects.postgres import MissingError

_LIBRARIES = "*/faketime/libfaketimeMT.so.1"


class Clock:
    """A wall clock; what measures durations is left alone."""

    def __init__(self, file: Path) -> None:
        """Keep the time in a file. Raises MissingError."""
        self._library = library()
        if self._library is None:
            raise MissingError("libfaketime is needed: apt-get install faketime.")
        self._file = file
        self.set_ahead(0)

    @property
    def environment(self) -> dict[str, str]:
        """What a process is started with to live by this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",  # seconds until it is read again: at each look is slow
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set_ahead(self, seconds: int) -> None:
        """Set it so many seconds ahead of this machine's."""
        self._file.write_text(f"{seconds:+d}")


def library() -> Path | None:
    """Find the library."""
    return next(Path("/usr/lib").glob(_LIBRARIES), None)
