"""Reads the policy from its TOML file, and says which line is wrong and why.

The file is an analyst's, so its keys are Portuguese; this is where they become the policy's.
"""

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from evaluation_api.decision.domain import CLUSTERS, Outcome
from evaluation_api.decision.errors import PolicyError
from evaluation_api.decision.policy import Border, Policy, Profile, TrainingRange
from evaluation_api.decision.sentences import NAMES

DEFAULT = Path(__file__).with_name("politica.toml")


def read(path: Path) -> tuple[Policy, str]:
    """Read a policy file and return it with its text, which the record keeps for replays.

    Raises PolicyError naming the line and the reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise PolicyError(f"{path}: cannot be read: {exc}") from exc
    try:
        return parse(text), text
    except PolicyError as exc:
        raise PolicyError(f"{path}: {exc}") from exc


@lru_cache(maxsize=8)
def parse(text: str) -> Policy:
    """Make a policy of a file's text. Raises PolicyError naming the line and the reason."""
    try:
        root = _Table(tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as exc:
        raise PolicyError(str(exc)) from exc
    policy = Policy(
        version=hashlib.sha256(text.encode()).hexdigest()[:12],
        name=root.text("nome"),
        valid_from=root.date("vigente_desde"),
        profiles=_profiles(root.table("perfis")),
        border=_border(root.table("fronteira")),
        training_range=_training_range(root.table("faixa")),
    )
    root.refuse_others()
    return policy


class _Table:
    """A TOML table that knows where it stands, so that a wrong value can be pointed at."""

    def __init__(self, values: Mapping[str, Any], source: str, path: tuple[str, ...] = ()) -> None:
        self._values = values
        self._source = source
        self._path = path
        self._read: set[str] = set()

    def table(self, key: str) -> "_Table":
        value = self._get(key, dict, "uma tabela")
        return _Table(value, self._source, (*self._path, key))

    def text(self, key: str) -> str:
        value = str(self._get(key, str, "um texto")).strip()
        if not value:
            self.refuse(key, "o texto está vazio")
        return value

    def date(self, key: str) -> date:
        value: date = self._get(key, date, "uma data, como 2026-11-22")
        if isinstance(value, datetime):
            self.refuse(key, "deve ser uma data, sem a hora")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        value = self._get(key, int | float, "um número")
        if isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
            self.refuse(key, f"deve ser um número de {low:g} a {high:g}")
        return float(value)

    def outcome(self, key: str, *allowed: Outcome) -> Outcome:
        value = self._get(key, str, "uma decisão")
        if value not in allowed:
            self.refuse(key, f"{value!r} não é uma de: {', '.join(allowed)}")
        return Outcome(value)

    def amounts(self, key: str) -> dict[str, float]:
        inner = self.table(key)
        amounts = {
            feature: inner.number(name, 0, 1e9)
            for feature, name in NAMES.items()
            if inner.has(name)
        }
        inner.refuse_others()
        return amounts

    def has(self, key: str) -> bool:
        return key in self._values

    def refuse_others(self) -> None:
        """Raise over a key that nothing reads: a misspelt rule must not pass for one in force."""
        for key in self._values:
            if key not in self._read:
                self.refuse(key, "não é uma chave da política")

    def refuse(self, key: str, reason: str) -> NoReturn:
        """Raise PolicyError pointing at a key of this table."""
        name = ".".join((*self._path, key))
        raise PolicyError(f"linha {self._line(key)}: {name}: {reason}")

    def _get(self, key: str, kind: Any, expected: str) -> Any:  # noqa: ANN401 - TOML values
        self._read.add(key)
        if key not in self._values:
            self.refuse(key, f"falta; deve ser {expected}")
        value = self._values[key]
        if not isinstance(value, kind):
            self.refuse(key, f"deve ser {expected}")
        return value

    def _line(self, key: str) -> int:
        """Find the key's line, or the line of the nearest table above it."""
        lines = self._source.splitlines()
        best, start = 1, 0
        for part in range(1, len(self._path) + 1):
            header = re.compile(rf"\s*\[\s*{re.escape('.'.join(self._path[:part]))}\s*\]")
            found = next((n for n in range(start, len(lines)) if header.match(lines[n])), None)
            if found is not None:
                best, start = found + 1, found + 1
        header = re.compile(rf"\s*\[\s*{re.escape('.'.join((*self._path, key)))}\s*[\].]")
        assignment = re.compile(rf"\s*{re.escape(key)}\s*=")
        is_own = True
        for number, line in enumerate(lines[start:], start + 1):
            is_own = is_own and not line.lstrip().startswith("[")
            if header.match(line) or (is_own and assignment.match(line)):
                return number
        return best


def _profiles(table: _Table) -> tuple[Profile, ...]:
    profiles = tuple(_profile(table.table(str(cluster)), cluster) for cluster in CLUSTERS)
    table.refuse_others()
    return profiles


def _profile(table: _Table, cluster: int) -> Profile:
    profile = Profile(
        cluster=cluster,
        key=table.text("chave"),
        name=table.text("nome"),
        sentence=table.text("frase"),
        outcome=table.outcome("decisao", *Outcome),
    )
    table.refuse_others()
    return profile


def _border(table: _Table) -> Border:
    border = Border(
        min_confidence=table.number("confianca_minima", 0, 0.5),
        outcome=table.outcome("decisao", Outcome.MANUAL_REVIEW, Outcome.REFUSED),
        sentence=table.text("frase"),
    )
    table.refuse_others()
    return border


def _training_range(table: _Table) -> TrainingRange:
    training_range = TrainingRange(
        outcome=table.outcome("decisao", Outcome.MANUAL_REVIEW, Outcome.REFUSED),
        sentence=table.text("frase"),
        times_the_limit=table.amounts("vezes_o_limite"),
        maximum=table.amounts("maximo"),
    )
    table.refuse_others()
    return training_range
