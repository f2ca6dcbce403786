"""Publishes a version, and takes it back, each time with a line in the history that says why.

Versions are looked at under the history's one lock, and by their numbers: no pickle is opened.
"""

import getpass
import socket
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any, Final

from model_store import archive, golden, publications, registry, rules
from model_store.errors import PromotionRefused
from model_store.ledger import BASELINE, PROMOTE, ROLLBACK, Action, Entry, History, Ledger, Pin
from model_store.version import StoredModel

LONGEST_REASON: Final = 300


def promote(
    tag: str, why: str, *, by: str | None = None, ledger: Ledger | None = None, dry: bool = False
) -> Entry | None:
    """Publish a version; return its line, or None where it is published already.

    dry: only say what the line would be, and write nothing. Raises PromotionRefused when a label's
    meaning does not hold or has moved, and whatever registry.load raises.
    """
    ledger = ledger or Ledger()
    with nullcontext() if dry else ledger.locked():
        history = ledger.history()
        candidate = _candidate(tag, history)
        pin = Pin(candidate.tag, candidate.digest)
        if history.published == pin:
            if not dry:
                archive.require(pin, ledger.archives)
                ledger.settle()
            return None
        entry = _judged(PROMOTE, candidate, history, ledger, (_reason(why), by or whoever()))
        if not dry:
            archive.write(pin, ledger.archives)
            ledger.append(entry)
        return entry


def rollback(why: str, *, by: str | None = None, ledger: Ledger | None = None) -> Entry:
    """Publish again what was published before; return the line. Raises PromotionRefused."""
    ledger = ledger or Ledger()
    with ledger.locked():
        history = ledger.history()
        if len(history.standing) < 2:  # noqa: PLR2004 - this one, and one before
            raise PromotionRefused("No version was published before this one.")
        present, earlier = history.standing[-1], history.standing[-2]
        model = publications.pinned(earlier.version, ledger)
        golden.check(model, model.golden)
        told = {name: value for name, value in earlier.told.items() if name in _OF_THE_VERSION}
        entry = Entry(
            ROLLBACK, earlier.version, present.version, _now(), by or whoever(), _reason(why), told
        )
        archive.require(earlier.version, ledger.archives)
        ledger.append(entry)
        return entry


def set_baseline(
    tag: str, why: str, *, by: str | None = None, ledger: Ledger | None = None
) -> Entry:
    """Have candidates measured against a version from now on; return the line.

    It must fulfil what a version must by itself. How far it is from the baseline before is in its
    line, and no reason to refuse: that is what this is for. Raises PromotionRefused.
    """
    ledger = ledger or Ledger()
    with ledger.locked():
        history = ledger.history()
        version = _candidate(tag, history)
        entry = _judged(BASELINE, version, history, ledger, (_reason(why), by or whoever()))
        archive.write(entry.version, ledger.archives)
        ledger.append(entry)
        return entry


def whoever() -> str:
    """Return the account and the machine that this runs as."""
    with suppress(KeyError, OSError):  # an account without a name, as in a container
        return f"{getpass.getuser()}@{socket.gethostname()}"
    return f"unknown@{socket.gethostname()}"


_OF_THE_VERSION: Final = frozenset({"origin", "trainer", "importer", "promise", "measured"})


def _candidate(tag: str, history: History) -> StoredModel:
    candidate = registry.load(tag)
    pinned = history.pins.get(tag)
    if pinned and pinned.digest != candidate.digest:
        raise PromotionRefused(
            f"{tag} in the store is not what was published as {tag}: its sha256 over all is "
            f"{candidate.digest[:12]}..., not {pinned.digest[:12]}...: run `python -m model_store "
            "import` with its pickle to have that one again."
        )
    if not candidate.is_sealed:
        raise PromotionRefused(
            f"{tag} was imported by an earlier release, without what it consists of: import its "
            "file again, `python -m model_store import FILE`."
        )
    return candidate


def _judged(
    action: Action,
    candidate: StoredModel,
    history: History,
    ledger: Ledger,
    signature: tuple[str, str],
) -> Entry:
    """Return the line about a candidate. Raises PromotionRefused when it must not be published."""
    why, by = signature
    first = history.baseline
    baseline = publications.pinned(first, ledger) if first and first.tag != candidate.tag else None
    own = rules.judge(candidate, None)
    verdict = rules.judge(candidate, baseline) if baseline else own
    refused = own if action == BASELINE else verdict
    if refused.objection:
        raise PromotionRefused(f"{candidate.tag} is not published: {refused.objection}.")
    pin = Pin(candidate.tag, candidate.digest)
    replaces = first if action == BASELINE else history.published
    told = _of_the_version(candidate) | {
        "baseline": vars(first or pin),
        "measured": [measure.as_json() for measure in verdict.measures],
        "labels": verdict.labels,
        "farthest_move": verdict.farthest_move,
    }
    return Entry(action, pin, replaces, _now(), by, why, told)


def _of_the_version(candidate: StoredModel) -> dict[str, Any]:
    """Return what the line says of a version: where it is from, by what, what it promises."""
    told = candidate.metadata
    return {
        "origin": told.get("origin"),
        "trainer": told.get("trained_by"),
        "importer": told.get("library_versions"),
        "promise": candidate.promise,
    }


def _reason(why: str) -> str:
    """Return a reason as it is kept. Raises PromotionRefused."""
    said = " ".join(why.split())
    if not said or len(said) > LONGEST_REASON or not said.isprintable():
        raise PromotionRefused(f"Say why in one line of 1 to {LONGEST_REASON} letters, with --why.")
    return said


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
