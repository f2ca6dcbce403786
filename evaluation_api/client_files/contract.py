"""What callers are answered about batches, as types: the field names here are the contract's."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import msgspec

from evaluation_api.client_files import messages
from evaluation_api.client_files.domain import Batch, State, Tally
from evaluation_api.decision.domain import CLUSTERS, Outcome
from evaluation_api.decision.errors import FieldError, InvalidRequestError
from evaluation_api.decision.limits import UNREADABLE
from evaluation_api.web.answers import when

_LONGEST_NAME = 255

_encode = msgspec.json.Encoder().encode


class Formato(msgspec.Struct):
    """How the file is written. campos: which field each of its columns is."""

    codificacao: str
    separador: str
    decimal: str
    colunas: tuple[str, ...]
    campos: tuple[str, ...]


class LinhaLida(msgspec.Struct):
    """One of the first lines, as read."""

    linha: int
    valores: list[str]


class Resumo(msgspec.Struct):
    """How lines ended, counted. perfis: by cluster; confianca: by tenths from 0 to 1."""

    decisoes: dict[str, int]
    perfis: list[int]
    confianca: list[int]


class Lote(msgspec.Struct):
    """One batch and how far it is."""

    id: str
    nome: str
    situacao: State
    atualizado_em: str
    formato: Formato
    amostra: list[LinhaLida]
    linhas: int
    feitas: int
    decididas: int
    com_erro: int
    linhas_por_segundo: float | None
    segundos_restantes: float | None
    resumo: Resumo


class ItemDeLote(msgspec.Struct):
    """One line of the list of batches."""

    id: str
    nome: str
    situacao: State
    atualizado_em: str
    linhas: int
    feitas: int


class Lotes(msgspec.Struct):
    """The newest batches, newest first."""

    itens: list[ItemDeLote]


#: What the routes answer, for the description of the API.
ANSWERS: Final = (Lote, Lotes)


def read_name(sent: str | None) -> str:
    """Read a file's name from the query. Raises InvalidRequestError."""
    name = (messages.DEFAULT_NAME if sent is None else sent).strip()
    if not 0 < len(name) <= _LONGEST_NAME or UNREADABLE.search(name):
        raise InvalidRequestError([FieldError("#/nome", messages.NAMELESS)])
    return name


def batch(batch: Batch) -> bytes:
    """Spell one batch."""
    progress, dialect = batch.progress, batch.dialect
    tally = progress.tally
    running = batch.state is State.RUNNING
    rate = progress.lines_per_second
    return _encode(
        Lote(
            id=batch.id,
            nome=batch.name,
            situacao=batch.state,
            atualizado_em=when(batch.changed_at),
            formato=Formato(
                dialect.encoding,
                dialect.delimiter,
                "," if dialect.decimal_comma else ".",
                dialect.header,
                dialect.fields,
            ),
            amostra=[LinhaLida(line.number, line.cells) for line in batch.sample],
            linhas=batch.line_count,
            feitas=progress.settled,
            decididas=progress.settled - tally.faults,
            com_erro=tally.faults,
            linhas_por_segundo=None if rate is None else round(rate, 1),
            segundos_restantes=_left(batch.line_count - progress.settled, rate)
            if running
            else None,
            resumo=_summary(tally),
        )
    )


def _left(lines: int, rate: float | None) -> float | None:
    return round(lines / rate, 1) if rate else None


def _summary(tally: Tally) -> Resumo:
    outcomes = {outcome.value: tally.outcomes.get(outcome.value, 0) for outcome in Outcome}
    return Resumo(outcomes, [tally.clusters[cluster] for cluster in CLUSTERS], tally.confidence)


def listed(batches: list[Batch]) -> bytes:
    """Spell a list of batches."""
    return _encode(Lotes(list(_items(batches))))


def _items(batches: list[Batch]) -> Iterator[ItemDeLote]:
    for one in batches:
        yield ItemDeLote(
            one.id,
            one.name,
            one.state,
            when(one.changed_at),
            one.line_count,
            one.progress.settled,
        )


def attachment(name: str) -> str:
    """Spell the header that gives a download its file name (RFC 6266)."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
