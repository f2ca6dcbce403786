"""Configures standard logging: constant event names with fields, as text or as JSON lines.

Never a name or an amount: those belong in the decision record.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import Any, Final

from evaluation_api.runtime.identity import request_id

#: Event names are constant, in our code; somebody else's may not be.
_MAX_KINDS: Final = 1000
#: Exceptions of a chain or a group that are told.
_MOST_TOLD: Final = 20
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


def configure(level: str, style: str) -> None:
    """Send everything to standard error, what nobody caught too. style: "text" or "json"."""
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )
    handler = logging.StreamHandler()
    handler.setFormatter({"text": TextFormatter, "json": JsonFormatter}[style]())
    handler.addFilter(SeldomWarnings())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for talkative in ("alembic", "uvicorn"):
        logging.getLogger(talkative).setLevel(logging.WARNING)


def _log_uncaught(
    kind: type[BaseException], exc: BaseException, place: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, exc, place)
    else:
        logging.getLogger(__name__).critical("uncaught", exc_info=(kind, exc, place))


def _told(exc: BaseException | None) -> str:
    """Return the types of an exception and of what led to it, and the places.

    Not their words: a library's say which cell, or which row, it could not read.
    """
    return "".join(islice(_chain(exc), _MOST_TOLD))


def _chain(exc: BaseException | None) -> Iterator[str]:
    while exc is not None:
        inner = exc.exceptions if isinstance(exc, BaseExceptionGroup) else ()
        places = "".join(traceback.format_tb(exc.__traceback__))
        yield f"{type(exc).__module__}.{type(exc).__qualname__}\n{places}"
        for one in inner:
            yield from _chain(one)
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {"request_id": request_id.get(), **given}


class SeldomWarnings(logging.Filter):
    """Lets one WARNING of a kind through in a second: bad requests must not fill a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be written."""
        if record.levelno != logging.WARNING:
            return True
        kind = (record.name, str(record.msg))
        if record.created - self._latest.get(kind, 0.0) < 1:
            return False
        if len(self._latest) >= _MAX_KINDS:
            self._latest.clear()
        self._latest[kind] = record.created
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = _told(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """One readable line: time, level, event, then field=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        time = self.formatTime(record, "%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{time} {record.levelname:7} {record.getMessage()} {fields}"
        if record.exc_info:
            line += "\n" + _told(record.exc_info[1])
        return line
