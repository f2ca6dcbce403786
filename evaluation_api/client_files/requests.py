"""What may be sent about files of clients, beside their bytes: a name, choices, answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evaluation_api.client_files.client_file import Answers, Repeated
from evaluation_api.decision import errors, sentences
from evaluation_api.web.requests import Body

_Column = Annotated[
    str | None, Field(min_length=1, max_length=255, description="A coluna do arquivo que o traz")
]


class ColunasBody(Body):
    """Que coluna do arquivo traz cada campo, onde o nome dela não diz."""

    nome: _Column = None
    saldo_devedor: _Column = None
    compras: _Column = None
    saques: _Column = None
    limite_de_credito: _Column = None
    pagamentos: _Column = None


#: How a file's question of clients who were decided before is answered, here and at its upload.
Repetidas = Annotated[
    Repeated | None,
    Field(
        strict=False,
        description="Os já avaliados de um arquivo com as mesmas colunas: só os novos, ou todos",
    ),
]


class UploadQuery(BaseModel):
    """A consulta de POST /lotes."""

    model_config = ConfigDict(frozen=True)

    nome: str | None = Field(None, description="Nome do arquivo")
    repetidas: Repetidas = None


class RespostasBody(Body):
    """O que uma pessoa escolheu, onde o arquivo não diz; no lugar do que respondeu antes."""

    colunas: ColunasBody = ColunasBody()
    decimais: Literal["virgula", "ponto"] | None = Field(
        None, description="O que vem antes dos decimais"
    )
    repetidas: Repetidas = None


def answers_of(sent: RespostasBody) -> Answers:
    """Return what a person chose for a file; its columns by field.

    Raises InvalidRequestError for a column that was chosen for two fields.
    """
    chosen = sent.colunas.model_dump(exclude_none=True)
    first = {name: column for column, name in reversed(chosen.items())}
    if again := [column for column, name in chosen.items() if first[name] != column]:
        raise errors.InvalidRequestError(
            [errors.FieldError(f"#/colunas/{one}", sentences.column_again(one)) for one in again]
        )
    field_of = {column: field for field, column in sentences.COLUMNS.items()}
    columns = {field_of[column]: name for column, name in chosen.items()}
    return Answers(columns, sent.decimais, sent.repetidas)
