"""Has a foreign pickle opened by another process, so that it can harm only that one.

Standard library only: whoever asks pays for scikit-learn in the other process alone. What the
process says is believed no more than the file is.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from model_store.errors import NotAModel
from model_store.pickles.confinement import WAITING_SECONDS

TIMEOUT_SECONDS: Final = 600
"""By the clock, for a process that never gets to run: how much it may do is bounded in it, by the
processor's time (confinement.py), since a busy machine takes a minute to start scikit-learn."""
REFUSED: Final = 2
"""Exit code of a process that says, in one sentence, why a file is no model."""
LONGEST_REFUSAL: Final = 300
MOST_BYTES: Final = 1 << 18
"""Of a description; ours has 9,000."""

_ROOT: Final = str(Path(__file__).parents[2])
#: -I: nothing of the caller's environment or folder is imported, so the package is named.
INSPECTION: Final = (
    sys.executable,
    "-I",
    "-c",
    f"""
import sys
sys.path.append({_ROOT!r})
from model_store.pickles import confinement
confinement.limit()
from model_store.pickles import inspection
sys.exit(inspection.main())
""",
)


def inspect_apart(
    content: bytes,
    command: Sequence[str] = INSPECTION,
    timeout_seconds: float = TIMEOUT_SECONDS,
    **options: object,
) -> dict[str, Any]:
    """Return what inspection.describe says of a pickle's bytes, given the same options.

    Raises NotAModel with the reason, a crash or a hang included.
    """
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as told:
        asked.write(json.dumps(options).encode() + b"\n" + content)
        asked.seek(0)
        code = _run(command, asked, told, timeout_seconds)
        told.seek(0)
        answer = told.read(MOST_BYTES + 1)
    return understood(code, answer)


def understood(code: int, answer: bytes) -> dict[str, Any]:
    """Return what the process said, by its exit code. Raises NotAModel, also for a refusal."""
    if code == REFUSED:
        raise NotAModel(printable(answer.decode(errors="replace")))
    if code != 0 or len(answer) > MOST_BYTES:
        raise NotAModel(_broken(code))
    try:
        description: dict[str, Any] = dict(json.loads(answer))
    except (ValueError, TypeError, RecursionError) as exc:
        raise NotAModel(_broken(code)) from exc
    return description


def printable(sentence: str) -> str:
    """Return a sentence as one line that a terminal shows and does not obey, cut to 300 signs."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in sentence)
    return shown if len(shown) <= LONGEST_REFUSAL else f"{shown[: LONGEST_REFUSAL - 1]}…"


def _run(command: Sequence[str], asked: IO[bytes], told: IO[bytes], timeout_seconds: float) -> int:
    """Run the process in a group and an environment of its own; end whatever is left of it."""
    with subprocess.Popen(  # noqa: S603 - our own module; a test's stand-in otherwise
        command,
        stdin=asked,
        stdout=told,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            return process.wait(timeout_seconds)
        except subprocess.TimeoutExpired as exc:
            raise NotAModel(_not_in_time(timeout_seconds)) from exc
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)


def _not_in_time(seconds: float) -> str:
    return (
        f"The file was not opened within {seconds:g} seconds: try again when the machine is less "
        "busy, or train anew."
    )


def _broken(code: int) -> str:
    if code in {-signal.SIGPROF, -signal.SIGXCPU}:
        return "The file takes longer to open than any model: save it again, or train anew."
    if code == -signal.SIGALRM:
        return _not_in_time(WAITING_SECONDS)
    return f"The file broke the process that opened it (exit code {code}): do not trust it."
