"""What is logged of a failure: its types and places, and no word that a client's cell may be in."""

import json
import logging
import subprocess
import sys

import pytest

from evaluation_api.runtime.logs import JsonFormatter, TextFormatter

NAME = "Maria da Silva"
AMOUNT = "1035,77"
#: Each ends by an exception that nobody catches, with a client's name in it.
UNCAUGHT = f"raise ValueError('{NAME}')"
IN_A_THREAD = f"""
import threading

thread = threading.Thread(target=lambda: float("{NAME}"))
thread.start()
thread.join()
"""


def read(cell: str) -> float:
    """Fail as a library does, on the way to another failure."""
    try:
        return float(cell)
    except ValueError as exc:
        found = [TypeError(f"no amount: {cell}")]
        raise ExceptionGroup(f"in {cell}", found) from exc


def failed() -> logging.LogRecord:
    """Return what is logged of it."""
    try:
        read(f"{NAME} {AMOUNT}")
    except ExceptionGroup as exc:
        record = logging.LogRecord("files", logging.ERROR, "", 0, "failed", None, None)
        record.exc_info = (type(exc), exc, exc.__traceback__)
    return record


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_failure_is_logged_by_its_types_and_places_without_a_clients_cell(
    formatter: logging.Formatter,
) -> None:
    line = formatter.format(failed())

    assert NAME not in line
    assert AMOUNT not in line
    for told in ("ExceptionGroup", "TypeError", "ValueError", "test_logs.py", "in read"):
        assert told in line


@pytest.mark.parametrize("ending", [UNCAUGHT, IN_A_THREAD], ids=["main", "thread"])
def test_what_nobody_catches_is_logged_alike(ending: str) -> None:
    program = f"from evaluation_api.runtime import logs\nlogs.configure('INFO', 'json')\n{ending}"

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    told = json.loads(ended.stderr)
    assert (told["event"], told["level"]) == ("uncaught", "CRITICAL")
    assert "ValueError" in told["exception"]
    assert NAME not in ended.stderr.replace(UNCAUGHT, "")
