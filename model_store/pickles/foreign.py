"""Has a foreign pickle opened by another process, so that it can harm only that one.

Standard library only: whoever asks pays for scikit-learn in the other process alone.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from model_store.errors import NotAModel

TIMEOUT_SECONDS: Final = 60
REFUSED: Final = 2
"""Exit code of a process that says, in one sentence, why a file is no model."""
INSPECTION: Final = (sys.executable, "-m", "model_store.pickles.inspection")


def inspect_apart(
    content: bytes,
    command: Sequence[str] = INSPECTION,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> dict[str, Any]:
    """Return what inspection.describe says of a pickle's bytes.

    Raises NotAModel with the reason, a crash or a hang included.
    """
    try:
        finished = subprocess.run(  # noqa: S603 - our own module; a test's stand-in otherwise
            command,
            input=content,
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    except subprocess.TimeoutExpired as exc:
        raise NotAModel(f"The file was not opened within {timeout_seconds:g} seconds.") from exc
    if finished.returncode == REFUSED:
        raise NotAModel(finished.stderr.decode(errors="replace").strip())
    try:
        finished.check_returncode()
        description: dict[str, Any] = json.loads(finished.stdout)
    except (subprocess.CalledProcessError, ValueError) as exc:
        raise NotAModel(
            f"The file broke the process that opened it (exit code {finished.returncode})."
        ) from exc
    return description
