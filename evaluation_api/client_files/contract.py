"""What callers are answered about batches, as types: the field names here are the contract's."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from evaluation_api.client_files import messages
from evaluation_api.client_files.domain import Batch, State, Tally
from evaluation_api.decision.domain import CLUSTERS, Outcome
from evaluation_api.decision.errors import FieldError, InvalidRequestError
from evaluation_api.decision.limits import UNREADABLE
from evaluation_api.web.answers import when
from evaluation_api.web.contract import Moment

_LONGEST_NAME = 255

BatchId = Annotated[str, Field(description="Código do lote")]
BatchName = Annotated[str, Field(description="Nome do arquivo", examples=["clientes.csv"])]
BatchState = Annotated[State, Field(description="Situação do lote")]
Lines = Annotated[int, Field(description="Linhas de clientes no arquivo")]
Done = Annotated[int, Field(description="Linhas prontas")]


@dataclass(slots=True)
class Formato:
    """Como o arquivo está escrito."""

    codificacao: Annotated[str, Field(description="Codificação do texto", examples=["utf-8"])]
    separador: Annotated[str, Field(description="Entre as colunas", examples=[";"])]
    decimal: Annotated[str, Field(description="Separador decimal", examples=[","])]
    colunas: Annotated[tuple[str, ...], Field(description="Como o arquivo as chama")]
    campos: Annotated[tuple[str, ...], Field(description="Que campo é cada coluna")]


@dataclass(slots=True)
class LinhaLida:
    """Uma das primeiras linhas, como foi lida."""

    linha: Annotated[int, Field(description="Número da linha no arquivo, a partir de 1")]
    valores: Annotated[list[str], Field(description="Como estão escritos, coluna por coluna")]


@dataclass(slots=True)
class Resumo:
    """Como as linhas terminaram, em contagens."""

    decisoes: Annotated[dict[str, int], Field(description="Por decisão")]
    perfis: Annotated[list[int], Field(description="Por perfil, de 0 a 4")]
    confianca: Annotated[list[int], Field(description="Por décimos da confiança, de 0 a 1")]


@dataclass(slots=True)
class Lote:
    """Um lote e até onde está feito."""

    id: BatchId
    nome: BatchName
    situacao: BatchState
    atualizado_em: Moment
    formato: Formato
    amostra: Annotated[list[LinhaLida], Field(description="As primeiras linhas")]
    linhas: Lines
    feitas: Done
    decididas: Annotated[int, Field(description="Linhas com decisão")]
    com_erro: Annotated[int, Field(description="Linhas com erro")]
    linhas_por_segundo: Annotated[
        float | None, Field(description="Nos últimos dez segundos de trabalho, se houve")
    ]
    segundos_restantes: Annotated[
        float | None, Field(description="Estimativa; nula se o lote não está em andamento")
    ]
    resumo: Resumo


@dataclass(slots=True)
class ItemDeLote:
    """Uma linha da lista de lotes."""

    id: BatchId
    nome: BatchName
    situacao: BatchState
    atualizado_em: Moment
    linhas: Lines
    feitas: Done


@dataclass(slots=True)
class Lotes:
    """Os lotes mais novos, do mais novo para o mais antigo."""

    itens: list[ItemDeLote]


def read_name(sent: str | None) -> str:
    """Read a file's name from the query. Raises InvalidRequestError."""
    name = (messages.DEFAULT_NAME if sent is None else sent).strip()
    if not 0 < len(name) <= _LONGEST_NAME or UNREADABLE.search(name):
        raise InvalidRequestError([FieldError("#/nome", messages.NAMELESS)])
    return name


def batch(batch: Batch) -> Lote:
    """Return one batch as callers see it."""
    progress, dialect = batch.progress, batch.dialect
    tally = progress.tally
    running = batch.state is State.RUNNING
    rate = progress.lines_per_second
    return Lote(
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
        segundos_restantes=_left(batch.line_count - progress.settled, rate) if running else None,
        resumo=_summary(tally),
    )


def _left(lines: int, rate: float | None) -> float | None:
    return round(lines / rate, 1) if rate else None


def _summary(tally: Tally) -> Resumo:
    outcomes = {outcome.value: tally.outcomes.get(outcome.value, 0) for outcome in Outcome}
    return Resumo(outcomes, [tally.clusters[cluster] for cluster in CLUSTERS], tally.confidence)


def listed(batches: list[Batch]) -> Lotes:
    """Return a list of batches as callers see it."""
    return Lotes(list(_items(batches)))


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
    """Return the header that gives a download its file name (RFC 6266)."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
