"""What callers are answered about files, as types: the field names here are the contract's."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from evaluation_api.client_files import messages
from evaluation_api.client_files.domain import Awaited, ClientFile, Counts, State
from evaluation_api.decision.domain import CLUSTERS, Outcome
from evaluation_api.decision.errors import FieldError, InvalidRequestError
from evaluation_api.decision.limits import UNREADABLE
from evaluation_api.web.answers import when
from evaluation_api.web.contract import Moment

_LONGEST_NAME = 255

FileId = Annotated[str, Field(description="Código do arquivo")]
FileName = Annotated[str, Field(description="Nome do arquivo", examples=["clientes.csv"])]
FileState = Annotated[State, Field(description="Situação do arquivo")]
Lines = Annotated[int, Field(description="Linhas de clientes no arquivo")]
Done = Annotated[int, Field(description="Linhas processadas")]


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
    """Um arquivo e até onde foi avaliado."""

    id: FileId
    nome: FileName
    situacao: FileState
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
        float | None, Field(description="Estimativa; nula se o arquivo não está em andamento")
    ]
    espera: Annotated[
        Awaited | None,
        Field(description="O que falta a um arquivo em andamento que não avança; nulo se nada"),
    ]
    resumo: Resumo


@dataclass(slots=True)
class ItemDeLote:
    """Uma linha da lista de arquivos."""

    id: FileId
    nome: FileName
    situacao: FileState
    atualizado_em: Moment
    linhas: Lines
    feitas: Done


@dataclass(slots=True)
class Lotes:
    """Os arquivos mais recentes, do mais recente ao mais antigo."""

    itens: list[ItemDeLote]


def read_name(sent: str | None) -> str:
    """Read a file's name from the query. Raises InvalidRequestError."""
    name = (messages.DEFAULT_NAME if sent is None else sent).strip()
    if not 0 < len(name) <= _LONGEST_NAME or UNREADABLE.search(name):
        raise InvalidRequestError([FieldError("#/nome", messages.NAMELESS)])
    return name


def client_file(client_file: ClientFile, awaits: Awaited | None = None) -> Lote:
    """Return one file as callers see it. awaits: what running files wait for."""
    progress, dialect = client_file.progress, client_file.dialect
    counts = progress.counts
    running = client_file.state is State.RUNNING
    rate = progress.lines_per_second
    return Lote(
        id=client_file.id,
        nome=client_file.name,
        situacao=client_file.state,
        atualizado_em=when(client_file.changed_at),
        formato=Formato(
            dialect.encoding,
            dialect.delimiter,
            "," if dialect.decimal_comma else ".",
            dialect.header,
            dialect.fields,
        ),
        amostra=[LinhaLida(line.number, line.cells) for line in client_file.sample],
        linhas=client_file.line_count,
        feitas=progress.committed,
        decididas=progress.committed - counts.faults,
        com_erro=counts.faults,
        linhas_por_segundo=None if rate is None else round(rate, 1),
        segundos_restantes=_left(client_file.line_count - progress.committed, rate)
        if running
        else None,
        espera=awaits if running else None,
        resumo=_summary(counts),
    )


def _left(lines: int, rate: float | None) -> float | None:
    return round(lines / rate, 1) if rate else None


def _summary(counts: Counts) -> Resumo:
    outcomes = {outcome.value: counts.outcomes.get(outcome.value, 0) for outcome in Outcome}
    return Resumo(outcomes, [counts.clusters[cluster] for cluster in CLUSTERS], counts.confidence)


def listed(client_files: list[ClientFile]) -> Lotes:
    """Return a list of files as callers see it."""
    return Lotes(list(_items(client_files)))


def _items(client_files: list[ClientFile]) -> Iterator[ItemDeLote]:
    for one in client_files:
        yield ItemDeLote(
            one.id,
            one.name,
            one.state,
            when(one.changed_at),
            one.line_count,
            one.progress.committed,
        )


def attachment(name: str) -> str:
    """Return the header that gives a download its file name (RFC 6266)."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
