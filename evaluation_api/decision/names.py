"""Names of people: what is one, and how two are compared.

The one folding, for what is stored and what is sought.
"""

import re
import unicodedata
from typing import Final

#: What stands in the place of a person who was taken out of the record; every release can show it.
ERASED: Final = "apagado"

#: Letters that Unicode takes for whole, as people without them on the keyboard write them.
_PLAIN: Final = str.maketrans("łøđðħŧıŋɓɗƙƴ", "loddhtinbdky") | {
    ord("æ"): "ae",
    ord("œ"): "oe",
    ord("þ"): "th",
}
#: An accent by itself, which many keyboards have where an apostrophe is meant, comes apart into a
#: space and its mark.
_LONE_ACCENT: Final = re.compile(" [\u0300-\u036f]+")
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
#: Hyphens, apostrophes and the like, with what Unicode calls letters all the same: some more
#: apostrophes, and Hangul's blanks.
_NO_LETTER: Final = re.compile("[^\\w\\s]|[_\u02b9-\u02df\ua78b\ua78c\u115f\u1160]")
#: Hangul's blanks: letters that nobody sees.
_BLANKS: Final = frozenset("\u115f\u1160\u3164\uffa0")
_CPF: Final = re.compile(r"(?<!\d)\d{3}[. ]?\d{3}[. ]?\d{3}[- ]?\d{2}(?!\d)", re.ASCII)


def in_one_form(name: str) -> str:
    """Return a name in NFC, so that it is the same however its accents were typed."""
    return unicodedata.normalize("NFC", name)


def fault(name: str) -> str | None:
    """Return why a name is none, as sentences.field_error knows it: "no_letter", "cpf", or None."""
    if not any(c.isalpha() and c not in _BLANKS for c in name):
        return "no_letter"
    # A column of that name is refused too: it is no part of what is decided or recorded.
    return "cpf" if _CPF.search(name) else None


def fold(name: str) -> str:
    """Return a name as it is stored for searching: small plain letters, figures, single spaces.

    What else stands between letters goes, so that "Ana-Maria" holds both "anamaria" and "maria".
    """
    return _fold(name, "")


def search_words(text: str) -> list[str]:
    """Return the words that are sought, each once: of names whose fold holds them all.

    Here what stands between letters parts them, as some leave it out and some write a space: of
    "d'Ávila", "d" and "avila".
    """
    return list(dict.fromkeys(_fold(text, " ").split()))


def _fold(text: str, between: str) -> str:
    plain = text.lower() if text.isascii() else _without_accents(text)
    if not plain.replace(" ", "").isalnum():
        plain = _NO_LETTER.sub(between, _without_marks(plain))
    return " ".join(plain.split())


def _without_accents(text: str) -> str:
    """Return small letters without the accents of European ones; a lone one is an apostrophe."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    bare = _ACCENTS.sub("", _LONE_ACCENT.sub("'", decomposed))
    return bare if bare.isascii() else bare.translate(_PLAIN)


def _without_marks(text: str) -> str:
    """Return a text without the marks of every script; a name in Latin has none left by now."""
    return text if text.isascii() else "".join(c for c in text if unicodedata.category(c)[0] != "M")
