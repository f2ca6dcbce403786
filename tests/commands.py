"""Commands run in this process: to start Python for each would take most of the tests' time.

What only a process of its own can show (signals, terminals, a server that goes on) has one.
"""

import io
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Finished:
    """A command's exit code, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run(
    main: Callable[[list[str]], int], *arguments: str, environment: Mapping[str, str]
) -> Finished:
    """Run a command by its main function, in an environment of its own."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        _logging_as_before(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            code = main(list(arguments))
        except SystemExit as refusal:  # argparse's
            code = int(refusal.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


@contextmanager
def _logging_as_before() -> Iterator[None]:
    """Take back what a command sets for the whole process, as processes never need to."""
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, root.manager.disable
    try:
        yield
    finally:
        root.handlers[:], root.manager.disable = handlers, disabled
        root.setLevel(level)
