"""The program of docs/integration.md, run as its reader would."""

import re
import subprocess
import sys
from pathlib import Path

from tests.services import PROJECT, Server

PAGE = (PROJECT / "docs/integration.md").read_text("utf-8")


def start(server: Server, folder: Path, key: str) -> "subprocess.Popen[str]":
    """Start the program of the page in a folder, as its reader would."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (folder / "evaluate.py").write_text(program, "utf-8")
    arguments = [sys.executable, "evaluate.py", server.url, key]
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, cwd=folder, stdout=pipe, stderr=pipe, text=True)


def end(program: "subprocess.Popen[str]") -> str:
    printed, complaint = program.communicate(timeout=60)
    assert program.returncode == 0, complaint
    return printed
