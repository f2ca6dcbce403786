"""A process that opens one file after another, each in a child of its own, as an import would."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from model_store.errors import NotAModel
from model_store.pickles import foreign

PROJECT: Final = str(Path(foreign.__file__).parents[2])
#: Starting Python and scikit-learn takes seconds, a child of a process that has them milliseconds.
OPENER: Final = f"""
import json, os, sys
sys.path.append({PROJECT!r})
from model_store.pickles import confinement
confinement.limit()
from model_store.pickles import inspection
for line in sys.stdin:
    asked, told = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(asked, os.O_RDONLY), 0)
        os.dup2(os.open(told, os.O_WRONLY), 1)
        code = 1
        try:
            code = inspection.main()
            sys.stdout.flush()
        finally:
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    taken = used.ru_utime + used.ru_stime
    print(json.dumps([os.waitstatus_to_exitcode(status), taken, used.ru_maxrss / 1024]), flush=True)
"""


@dataclass(frozen=True)
class Opened:
    """What came of a file: a description or the words it was refused with, and what it took.

    seconds: of the processor's time, which no other process makes longer.
    """

    description: dict[str, Any] | None
    refusal: str
    seconds: float
    megabytes: float


class Opener:
    """Opens files as foreign.inspect_apart has them opened."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]") -> None:
        self._asked, self._told, self._process = folder / "asked", folder / "told", process

    def open(self, content: bytes, **options: object) -> Opened:
        """Open a pickle's bytes, with inspection.describe's options."""
        assert self._process.stdin
        assert self._process.stdout
        self._asked.write_bytes(json.dumps(options).encode() + b"\n" + content)
        self._told.write_bytes(b"")
        self._process.stdin.write(json.dumps([str(self._asked), str(self._told)]) + "\n")
        self._process.stdin.flush()
        code, seconds, megabytes = json.loads(self._process.stdout.readline())
        try:
            said = foreign.understood(code, self._told.read_bytes())
        except NotAModel as refusal:
            return Opened(None, str(refusal), seconds, megabytes)
        return Opened(said, "", seconds, megabytes)


@pytest.fixture(scope="session")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    command = [sys.executable, "-I", "-c", OPENER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={}) as process:
        yield Opener(tmp_path_factory.mktemp("files"), process)
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 0
