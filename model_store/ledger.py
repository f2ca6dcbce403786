"""What was published, when, by whom and why: one line of JSON each, chained by hash.

The history lies outside the store, beside `production`, and both are committed. Each line names
the sha256 of the line before it, and `production` that of the last one beside what it publishes, so
that none is edited or taken out unnoticed. Whoever may write to both files can write another
history: against that stands git. Standard library only; knows versions by
tag and digest, and opens none.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from model_store.errors import LedgerBroken, PromotionRefused

PROMOTE: Final = "promote"
ROLLBACK: Final = "rollback"
BASELINE: Final = "baseline"
Action = Literal["promote", "rollback", "baseline"]

MAX_BYTES: Final = 16 << 20
"""Of the whole history: a line takes 4 kB."""
_NONE_BEFORE: Final = "0" * 64
_FOR_ALL: Final = 0o644  # services may be other accounts
_HOME: Final = Path(__file__).parent


@dataclass(frozen=True)
class Pin:
    """A version, by its tag and by the digest over all that it consists of."""

    tag: str
    digest: str


@dataclass(frozen=True)
class Entry:
    """One line: what was done with which version, by whom (UTC, RFC 3339) and why.

    replaces: what was published before, or was the baseline. told: what was measured, and whatever
    else the line says.
    """

    action: Action
    version: Pin
    replaces: Pin | None
    at: str
    by: str
    why: str
    told: dict[str, Any]

    @property
    def told_in_words(self) -> str:
        """When it was done, from where and by whom, and why, for a line of a terminal."""
        return f"{self.at} by {self.by}: {self.why}"

    def as_json(self) -> dict[str, Any]:
        """Return the line's object, without its link to the line before."""
        return {
            "action": self.action,
            "at": self.at,
            "by": self.by,
            "why": self.why,
            "version": vars(self.version),
            "replaces": self.replaces and vars(self.replaces),
            **self.told,
        }

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Self:
        """Read what `as_json` returned. Raises ValueError, KeyError or TypeError otherwise."""
        told = {key: value for key, value in line.items() if key not in _OWN}
        if line["action"] not in {PROMOTE, ROLLBACK, BASELINE}:
            raise ValueError("an unknown action")
        replaces = line["replaces"] and Pin(**line["replaces"])
        at, by, why = (str(line[name]) for name in ("at", "by", "why"))
        return cls(line["action"], Pin(**line["version"]), replaces, at, by, why, told)


_OWN: Final = frozenset({"action", "at", "by", "why", "version", "replaces", "previous"})


@dataclass(frozen=True)
class History:
    """The verified lines, the oldest first. head: the sha256 of the last one."""

    entries: tuple[Entry, ...] = ()
    head: str = _NONE_BEFORE

    @property
    def standing(self) -> list[Entry]:
        """What was published and not taken back, the oldest first: the last one is published."""
        standing: list[Entry] = []
        for entry in self.entries:
            if entry.action == PROMOTE:
                standing.append(entry)
            elif entry.action == ROLLBACK:
                standing.pop()
        return standing

    @property
    def published(self) -> Pin | None:
        """What the history says is published."""
        standing = self.standing
        return standing[-1].version if standing else None

    @property
    def moves(self) -> list[Entry]:
        """The lines that changed what is published, the oldest first."""
        return [entry for entry in self.entries if entry.action != BASELINE]

    @property
    def since(self) -> Entry | None:
        """The line by which what is published came to be."""
        return self.moves[-1] if self.moves else None

    @property
    def baseline(self) -> Pin | None:
        """What candidates are measured against: as it was set, or what was published first."""
        set_by_hand = [entry for entry in self.entries if entry.action == BASELINE]
        of = set_by_hand[-1:] or [e for e in self.entries if e.action == PROMOTE][:1]
        return of[0].version if of else None

    @property
    def pins(self) -> dict[str, Pin]:
        """Every version that was ever published or a baseline, by its tag."""
        return {entry.version.tag: entry.version for entry in self.entries}


class Ledger:
    """The history in a folder, and `production` beside it, which services look at."""

    def __init__(self, folder: Path = _HOME) -> None:
        """Take the folder; nothing is read before it is asked for."""
        self.production = folder / "production"
        self.archives = folder / "published"
        self._file = folder / "ledger.jsonl"

    @property
    def looked_at(self) -> tuple[Path, ...]:
        """What changes when something is published."""
        return self.production, self._file, self.archives

    def history(self) -> History:
        """Return the lines, each following the one before. Raises LedgerBroken."""
        entries, previous = [], _NONE_BEFORE
        for number, line in enumerate(self._lines(), 1):
            try:
                told = json.loads(line)
                entry, link = Entry.from_json(told), told["previous"]
            except (ValueError, KeyError, TypeError, RecursionError) as exc:
                raise LedgerBroken(f"Line {number} of {self._file} is no line of ours.") from exc
            if link != previous:
                raise LedgerBroken(
                    f"Line {number} of {self._file} does not follow the one before: a line was "
                    "edited or taken out; `git log -p` on the file shows which."
                )
            entries.append(entry)
            previous = _hash(line)
        return History(tuple(entries), previous)

    def published(self) -> tuple[Pin | None, History]:
        """Return what is published, and the history that says so; None where nothing is.

        Raises LedgerBroken when `production` and the history do not agree.
        """
        history = self.history()
        named = self._named()
        if named != _line_of(history):
            raise LedgerBroken(self._disagreement(named, history.published))
        return history.published, history

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one command at a time publish. Raises PromotionRefused while another does."""
        with self._file.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise PromotionRefused(
                    "Another command is publishing at this moment: see `list`, then try again."
                ) from exc
            yield

    def append(self, entry: Entry) -> None:
        """Write a line, and then `production`; for whoever holds the lock."""
        whole = [*self._lines()]
        previous = _hash(whole[-1]) if whole else _NONE_BEFORE
        line = json.dumps(entry.as_json() | {"previous": previous}, allow_nan=False).encode()
        with _naming(self._file), self._file.open("r+b") as file:
            os.fchmod(file.fileno(), _FOR_ALL)
            file.truncate(len(b"\n".join(whole)))  # a line that was cut off was never published
            file.seek(0, os.SEEK_END)
            file.write(b"\n".join([b"", line, b""]) if whole else line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.settle()

    def settle(self) -> None:
        """Have `production` name what the history says; for whoever holds the lock."""
        line = _line_of(self.history())
        if line is None or self._named() == line:
            return
        with replacing(self.production) as unfinished:
            unfinished.write_text(f"{line}\n", encoding="utf-8")

    def _lines(self) -> list[bytes]:
        """Return the whole lines, without their ends; the last may be being written, or have none.

        Editors take the end of a last line away.
        """
        try:
            with self._file.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return []
        if len(content) > MAX_BYTES:
            raise LedgerBroken(f"{self._file} is over {MAX_BYTES:,} bytes.")
        *lines, last = content.split(b"\n")
        return [*lines, last] if _is_whole(last) else lines

    def _named(self) -> str | None:
        try:
            with self.production.open(encoding="utf-8", errors="replace") as file:
                return file.read(_MOST_NAMED).strip()
        except FileNotFoundError:
            return None

    def _disagreement(self, named: str | None, told: Pin | None) -> str:
        says = f"names {named[:_MOST_SHOWN]!a}" if named else "is missing"
        if told is None:
            return (
                f"{self.production} {says}, and {self._file.name} has no line that publishes it: "
                "have git's copies of both again (`git checkout`), or promote a version with "
                "--why REASON."
            )
        advice = f"run `python -m model_store promote {told.tag} --why REASON`"
        if named and named != told.tag and _TAG_ALONE.fullmatch(named):
            return (
                f"{self.production} {says} alone, and no line publishes that: import its file "
                "again, and promote it with --why REASON, to have it published as it was, or "
                f"{advice} to have {told.tag}."
            )
        if named and named.startswith(f"{told.tag} {told.digest}"):
            return (
                f"The last line of {self._file} is not the one that {self.production.name} names: "
                f"it was edited, or one was taken out. See `git diff` on the file; to keep it as "
                f"it is, {advice}."
            )
        return (
            f"{self.production} {says}, and the last line of {self._file.name} publishes "
            f"{told.tag}: {advice} to have that one again."
        )


#: What the release before wrote.
_TAG_ALONE: Final = re.compile(r"\w+:[0-9a-f]{12}")
_MOST_NAMED: Final = 1000
_MOST_SHOWN: Final = 60


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have an error say what could not be written: one of a full disk names no file."""
    try:
        yield
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, str(path)) from exc


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write what then takes a file's place, whole and on the disk.

    For whoever holds the lock: the name is one for all, so that what a killed command leaves is
    written over by the next, and git ignores it.
    """
    unfinished = path.with_name(".unfinished.part")
    with _naming(path):
        try:
            yield unfinished
            with unfinished.open("r+b") as file:
                os.fchmod(file.fileno(), _FOR_ALL)
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _line_of(history: History) -> str | None:
    """Return what `production` must say: the version, its digest, and the last line's sha256."""
    pin = history.published
    return f"{pin.tag} {pin.digest} {history.head}" if pin else None


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
