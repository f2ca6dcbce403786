"""What names a thing, a request and a time: ids that sort by when they were made, and the clock."""

from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

import uuid_utils
from starlette.types import Scope

#: Of the request that is being answered by this task, in every line of the log; "-" outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="-")

_LONGEST_REQUEST_ID: Final = 128


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562): 36 characters, in the order of their milliseconds."""
    return str(uuid_utils.uuid7())


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def read_or_make_id(scope: Scope) -> str:
    """Keep the caller's X-Request-ID when it is fit for a log line, else make one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and 0 < len(value) <= _LONGEST_REQUEST_ID:
            text: str = value.decode("latin-1")
            if text.isascii() and text.isprintable():
                return text
    return new_id()
