"""Configures standard logging: constant event names with fields, as text or as JSON lines.

Never a name or an amount: those belong in the decision record.
"""

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Final

from evaluation_api.runtime.request_ids import request_id

#: Event names are constant, in our code; somebody else's may not be.
_MAX_KINDS: Final = 1000
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


def configure(level: str, style: str) -> None:
    """Send everything to standard error. style: "text" or "json"."""
    formatter = {"text": TextFormatter, "json": JsonFormatter}[style]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"only": {"()": formatter}},
            "filters": {"seldom": {"()": SeldomWarnings}},
            "handlers": {
                "only": {
                    "class": "logging.StreamHandler",
                    "formatter": "only",
                    "filters": ["seldom"],
                }
            },
            "root": {"level": level, "handlers": ["only"]},
            "loggers": {name: {"level": "WARNING"} for name in ("alembic", "uvicorn")},
        }
    )


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {"request_id": request_id.get(), **given}


class SeldomWarnings(logging.Filter):
    """Lets one WARNING of a kind through in a second: bad requests must not fill a disk."""

    def __init__(self) -> None:
        """Start with none."""
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
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """One readable line: time, level, event, then field=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        time = self.formatTime(record, "%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{time} {record.levelname:7} {record.getMessage()} {fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line
