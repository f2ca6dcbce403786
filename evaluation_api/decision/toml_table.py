"""A TOML table that knows where it stands, so that a wrong value can be pointed at by its line."""

import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NoReturn, TypeVar

from evaluation_api.decision import errors
from evaluation_api.decision.domain import Outcome
from evaluation_api.decision.facts import Share

T = TypeVar("T")

_LARGEST_AMOUNT = 1e9
_TWICE: Final = "este nome já foi usado acima"
_OPEN_TEXT: Final = "o texto não fecha as aspas na linha em que as abre"
#: How tomllib's sentences begin, and what an analyst has to write.
_EXPECTED: Final = {
    "Expected newline": "o valor acaba aqui, e a linha não: escreva decimais com ponto (0.60),"
    " datas como 2026-11-22 e textos entre aspas",
    "Invalid value": 'espera-se um valor: um número como 0.60, ou um texto entre aspas retas ("a")',
    "Expected '='": "espera-se = depois do nome, que não tem acentos nem espaços",
    "Invalid statement": "espera-se um nome, uma [tabela] ou um # comentário",
    "Expected ']": "o nome da tabela não fecha com o colchete",
    "Unclosed array": "a lista aberta acima não fecha com ]",
    "Unescaped": "em um texto, escreva a barra invertida duas vezes",
    "Illegal character '\\n'": _OPEN_TEXT,
    "Unterminated string": _OPEN_TEXT,
    "Cannot overwrite": _TWICE,
    "Cannot declare": _TWICE,
}
_PLACES: Final = {"line": "linha", "column": "coluna", "end of document": "fim do arquivo"}


def parse(text: str) -> "Table":
    """Make a table of a file's text. Raises PolicyError naming where it is no TOML, and why."""
    try:
        return Table(tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as exc:
        raise errors.PolicyError(_in_portuguese(str(exc))) from exc
    except RecursionError as exc:
        raise errors.PolicyError("listas ou tabelas umas dentro das outras demais") from exc


def _in_portuguese(told: str) -> str:
    """Return what tomllib says, the place first. told: "Invalid value (at line 7, column 8)"."""
    reason, _, place = told.removesuffix(")").rpartition(" (at ")
    for word, own in _PLACES.items():
        place = place.replace(word, own)
    said = (own for beginning, own in _EXPECTED.items() if reason.startswith(beginning))
    return f"{place}: {next(said, reason)}"


@dataclass(eq=False, repr=False)
class Table:
    """One table of a policy file. Whatever reads a key raises PolicyError over a wrong value.

    source: the file's text. position: which of several of this name it is.
    """

    values: Mapping[str, Any]
    source: str
    path: tuple[str, ...] = ()
    position: int = 0
    _read: set[str] = field(default_factory=set, init=False)

    def read(self, key: str, make: "Callable[[Table], T]") -> T:
        """Return what is made of a table in this one; no key of it may be left unread."""
        value = self._get(key, dict, "uma tabela")
        table = Table(value, self.source, (*self.path, key))
        made = make(table)
        table.refuse_others()
        return made

    def text(self, key: str) -> str:
        """Read a text that is not empty."""
        value = str(self._get(key, str, "um texto")).strip()
        if not value:
            self.refuse(key, "o texto está vazio")
        return value

    def flag(self, key: str) -> bool:
        """Read true or false; false where it does not stand."""
        return bool(self._get(key, bool, "true ou false")) if self.has(key) else False

    def date(self, key: str) -> date:
        """Read a day."""
        value: date = self._get(key, date, "uma data, como 2026-11-22")
        if isinstance(value, datetime):
            self.refuse(key, "deve ser uma data, sem a hora")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """Read a number from low to high."""
        value = self._get(key, int | float, "um número")
        if isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
            self.refuse(key, f"deve ser um número de {low:g} a {high:g}")
        return float(value)

    def outcome(self, key: str, *allowed: Outcome) -> Outcome:
        """Read one of the outcomes that are allowed here."""
        value = self._get(key, str, "uma decisão")
        if value not in allowed:
            self.refuse(key, f"{value!r} não é uma de: {', '.join(allowed)}")
        return Outcome(value)

    def share(self, key: str, high: float = 1) -> Share:
        """Read a part of a whole, more than 0 and to a ten-thousandth."""
        value = self.number(key, 0.0001, high)
        if not math.isclose(value, Share.of(value).value, abs_tol=1e-12):
            self.refuse(key, "pode ter até quatro casas decimais")
        return Share.of(value)

    def amounts(self, key: str, names: Mapping[str, str]) -> dict[str, float]:
        """Read amounts by what files call each feature; return those that are there by feature."""

        def read_amounts(inner: Table) -> dict[str, float]:
            return {
                feature: inner.number(name, 0, _LARGEST_AMOUNT)
                for feature, name in names.items()
                if inner.has(name)
            }

        return self.read(key, read_amounts)

    def tables(self, key: str) -> "Iterator[Table]":
        """Read every [[key]] there is, in the file's order."""
        values = self.values.get(key, [])
        self._read.add(key)
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            self.refuse(key, f"deve ser escrito como [[{key}]]")
        for position, value in enumerate(values):
            yield Table(value, self.source, (*self.path, key), position)

    def texts(self, key: str) -> list[str]:
        """Read a list of texts, empty where the key is absent."""
        values = self._get(key, list, "uma lista de textos") if self.has(key) else []
        if not all(isinstance(value, str) for value in values):
            self.refuse(key, "deve ser uma lista de textos")
        return values

    def has(self, key: str) -> bool:
        """Tell whether a key is there."""
        return key in self.values

    def refuse_others(self) -> None:
        """Raise over a key that nothing reads: a misspelt rule must not pass for one in force."""
        for key in self.values:
            if key not in self._read:
                self.refuse(key, "não é uma chave da política")

    def refuse(self, key: str, reason: str) -> NoReturn:
        """Raise PolicyError pointing at a key of this table."""
        name = ".".join((*self.path, key))
        raise errors.PolicyError(f"linha {self._line(key)}: {name}: {reason}")

    def _get(self, key: str, kind: Any, expected: str) -> Any:  # noqa: ANN401 - TOML values
        self._read.add(key)
        if key not in self.values:
            self.refuse(key, f"falta; deve ser {expected}")
        value = self.values[key]
        if not isinstance(value, kind):
            self.refuse(key, f"deve ser {expected}")
        return value

    def _line(self, key: str) -> int:
        """Find the key's line, or the line of the nearest table above it."""
        lines = self.source.splitlines()
        best, start = 1, 0
        for part in range(1, len(self.path) + 1):
            header = re.compile(rf"\s*\[+\s*{re.escape('.'.join(self.path[:part]))}\s*\]")
            found = [n for n in range(start, len(lines)) if header.match(lines[n])]
            if found:
                at = found[self.position if part == len(self.path) else 0]
                best, start = at + 1, at + 1
        header = re.compile(rf"\s*\[+\s*{re.escape('.'.join((*self.path, key)))}\s*[\].]")
        assignment = re.compile(rf"\s*{re.escape(key)}\s*=")
        is_own = True
        for number, line in enumerate(lines[start:], start + 1):
            is_own = is_own and not line.lstrip().startswith("[")
            if header.match(line) or (is_own and assignment.match(line)):
                return number
        return best
