"""The commands that the documents give, as they stand there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

DOCUMENTS = (
    "README.md",
    "README.pt-BR.md",
    "docs/model.md",
    "docs/integration.md",
    "docs/operations.md",
    "docs/portfolio.md",
)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands_of(project: Path) -> list[str]:
    """Return every command of a checkout's documents once, without comments and extra spaces.

    In their order, since some take what others made. A Python program counts as one, called after
    its document.
    """
    documents = [project / name for name in DOCUMENTS]
    commands = (
        command
        for document in documents
        for language, block in _FENCED.findall(document.read_text(encoding="utf-8"))
        for command in _commands(document.name, language, block)
    )
    return list(dict.fromkeys(commands))


def printed_by(project: Path, document: str, command: str) -> list[str]:
    """Return the lines that a document shows below a command."""
    text = (project / document).read_text(encoding="utf-8")
    (block,) = (block for _, block in _FENCED.findall(text) if block.startswith(f"$ {command}\n"))
    lines: list[str] = block.splitlines()
    return lines[1:]


def _commands(name: str, language: str, block: str) -> Iterator[str]:
    if language == "python":
        yield f"the program in {name}"
    elif block.startswith("$ "):
        yield block.partition("\n")[0].removeprefix("$ ")
    elif language in {"", "sh"}:
        yield from _shell_commands(block)


def _shell_commands(block: str) -> Iterator[str]:
    """Yield commands that may go over several lines: a quote is open, or a backslash ends one."""
    command = ""
    for line in block.splitlines(keepends=True):
        command += line
        if not command.endswith("\\\n") and (words := _words(command)) is not None:
            if words:
                yield " ".join(words)
            command = ""


def _words(command: str) -> list[str] | None:
    """Return the words, quotes kept; None while a quote is open."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=False, punctuation_chars="")
    lexer.whitespace_split = True
    try:
        return [str(word) for word in lexer]
    except ValueError:
        return None
