"""The request's id: in its answer, in every line of the log, and in whatever it calls."""

from contextvars import ContextVar
from typing import Final

from starlette.types import Scope

from evaluation_api.runtime.identity import new_id

NO_REQUEST: Final = "-"
#: The request being answered by this task; NO_REQUEST outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)

_LONGEST_ID: Final = 128


def read_or_make(scope: Scope) -> str:
    """Keep the caller's X-Request-ID when it is fit for a log line, else make one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and 0 < len(value) <= _LONGEST_ID:
            text: str = value.decode("latin-1")
            if text.isascii() and text.isprintable():
                return text
    return new_id()
