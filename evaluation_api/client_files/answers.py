"""What callers are answered about files, as types: the field names here are the contract's."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from evaluation_api.client_files.client_file import (
    Answers,
    Awaited,
    ClientFile,
    Counts,
    Question,
    Reading,
    Repeated,
    Sample,
    State,
)
from evaluation_api.decision.domain import FEATURES, Outcome
from evaluation_api.decision.sentences import COLUMNS
from evaluation_api.web.answers import when
from evaluation_api.web.contract import Moment, about

FileId = Annotated[str, about("Código do arquivo")]
FileName = Annotated[str, about("Nome do arquivo", "clientes.csv")]
FileState = Annotated[State, about("Situação do arquivo")]
Lines = Annotated[int, about("Linhas de clientes no arquivo; 0 até ser conferido")]
Done = Annotated[int, about("Linhas processadas")]
Column = Annotated[str | None, about("Coluna do arquivo; nula se for a linha inteira")]


@dataclass(slots=True)
class Formato:
    """Como o arquivo está escrito; vazio até ser conferido."""

    codificacao: Annotated[str, about("Codificação do texto; planilha ou parquet", "utf-8")]
    separador: Annotated[str, about("Entre as colunas", ";")]
    decimal: Annotated[str, about("Separador decimal", ",")]
    colunas: Annotated[tuple[str, ...], about("Como o arquivo as chama")]
    campos: Annotated[
        tuple[str, ...], about("Que campo de POST /avaliar é cada coluna; vazio se não decide nada")
    ]


@dataclass(slots=True)
class LinhaLida:
    """Uma das primeiras linhas, como está escrita e como foi entendida."""

    linha: Annotated[int, about("Número da linha no arquivo, a partir de 1")]
    valores: Annotated[tuple[str, ...], about("Como estão escritos, coluna por coluna")]
    nome: Annotated[str | None, about("Nulo se a linha tem erro")]
    entendidos: Annotated[
        dict[str, float] | None,
        about("Os cinco valores em reais, por campo; nulo se a linha tem erro"),
    ]


@dataclass(slots=True)
class Resumo:
    """Como as linhas terminaram, em contagens."""

    decisoes: Annotated[dict[str, int], about("Por decisão")]
    perfis: Annotated[list[int], about("Por perfil, de 0 a 4")]
    confianca: Annotated[list[int], about("Por décimos da confiança, de 0 a 1")]


@dataclass(slots=True)
class Pergunta:
    """O que precisa de resposta antes de começar, dada em respostas."""

    codigo: Annotated[str, about("colunas ou decimais")]
    frase: Annotated[str, about("A pergunta")]
    campos: Annotated[tuple[str, ...], about("Os campos que não têm coluna")]
    opcoes: Annotated[tuple[str, ...], about("As respostas possíveis")]
    exemplos: Annotated[
        tuple[str, ...], about("Valores do arquivo que podem ser lidos de dois modos")
    ]


@dataclass(slots=True)
class Respostas:
    """O que foi respondido, para este arquivo ou para outro com as mesmas colunas."""

    colunas: Annotated[dict[str, str], about("Por campo, a coluna que o traz")]
    decimais: Annotated[str | None, about("virgula ou ponto")]
    repetidas: Annotated[Repeated | None, about("Os já avaliados")]


@dataclass(slots=True)
class ErroDeLinha:
    """Por que uma linha não pode ser avaliada."""

    linha: Annotated[int, about("Número da linha no arquivo, a partir de 1")]
    coluna: Column
    valor: Annotated[str, about("Como está escrito")]
    motivo: Annotated[str, about("O que corrigir")]


@dataclass(slots=True)
class TipoDeErro:
    """Em quantas linhas há o mesmo erro na mesma coluna."""

    coluna: Column
    motivo: Annotated[str, about("O que corrigir")]
    linhas: Annotated[int, about("Em quantas linhas")]


@dataclass(slots=True)
class JaAvaliado:
    """De onde os mesmos clientes já foram avaliados."""

    id: Annotated[str | None, about("O arquivo; nulo se foi em um terminal")]
    nome: Annotated[str | None, about("Nome do arquivo")]


@dataclass(slots=True)
class Conferencia:
    """O que se sabe do arquivo antes de começar."""

    linhas: Annotated[int, about("Com alguma célula preenchida")]
    com_erro: Annotated[int, about("Que não podem ser avaliadas")]
    repetidas: Annotated[int, about("Já avaliadas antes")]
    a_avaliar: Annotated[int, about("As que serão avaliadas")]
    colunas_sem_uso: Annotated[tuple[str, ...], about("Não decidem nada, e voltam no resultado")]
    erros: Annotated[list[ErroDeLinha], about("Os primeiros 100; todos em erros.csv")]
    tipos_de_erro: Annotated[list[TipoDeErro], about("Todos, contados")]
    ja_avaliado: JaAvaliado | None
    avisos: Annotated[tuple[str, ...], about("Sobre o arquivo todo, para olhar antes de começar")]


@dataclass(slots=True)
class Lote:
    """Um arquivo e até onde foi avaliado."""

    id: FileId
    nome: FileName
    situacao: FileState
    atualizado_em: Moment
    formato: Formato
    amostra: Annotated[list[LinhaLida], about("As primeiras linhas")]
    linhas: Lines
    feitas: Done
    decididas: Annotated[int, about("Linhas com decisão")]
    com_erro: Annotated[int, about("Linhas com erro")]
    repetidas: Annotated[int, about("Linhas já avaliadas antes, e não de novo")]
    linhas_por_segundo: Annotated[float | None, about("Desde que começou ou foi retomado")]
    segundos_restantes: Annotated[
        float | None, about("Estimativa; nula se o arquivo não está em andamento")
    ]
    espera: Annotated[
        Awaited | None, about("O que falta a um arquivo que não avança; nulo se nada")
    ]
    resumo: Resumo
    perguntas: Annotated[list[Pergunta], about("As que faltam responder")]
    respostas: Respostas
    conferencia: Annotated[Conferencia | None, about("Nula até ser conferido")]
    comeca_sozinho: Annotated[bool, about("Se começa assim que for conferido, sem perguntas")]
    recusa: Annotated[str | None, about("Por que nada será avaliado")]
    apagado: Annotated[
        bool, about("Se foi apagado com uma pessoa que veio nele: não há mais o que baixar")
    ]


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
    trabalhadores: Annotated[
        int, about("Quantos avaliam arquivos agora; sem nenhum, os arquivos esperam")
    ]


def client_file(one: ClientFile) -> Lote:
    """Return one file as callers see it."""
    counts, reading = one.counts, one.reading or Reading()
    rate = one.lines_per_second if one.state is State.RUNNING else None
    return Lote(
        id=one.id,
        nome=one.name,
        situacao=one.state,
        atualizado_em=when(one.changed_at),
        formato=_format(reading),
        amostra=[_sample(line) for line in reading.sample],
        linhas=one.line_count,
        feitas=one.done,
        decididas=one.decided,
        com_erro=counts.faults,
        repetidas=counts.repeated,
        linhas_por_segundo=round(rate, 1) if rate else None,
        segundos_restantes=round((one.line_count - one.done) / rate, 1) if rate else None,
        espera=one.awaits,
        resumo=_summary(counts),
        perguntas=[_question(question) for question in reading.questions],
        respostas=_answers(one.answers),
        conferencia=_checked(one.reading),
        comeca_sozinho=one.starts_when_ready,
        recusa=one.refusal,
        apagado=one.is_erased,
    )


def tells_of_clients(told: Lote) -> bool:
    """Tell whether names or amounts of a file's clients are in an answer.

    Where nothing is known of its columns, what stands for their names may be a client's line.
    """
    may_be_a_line = told.formato.colunas and not any(told.formato.campos)
    examples = any(question.exemplos for question in told.perguntas)
    faults = told.conferencia is not None and told.conferencia.erros
    return bool(told.amostra or examples or faults or may_be_a_line)


def _format(reading: Reading) -> Formato:
    form = (reading.encoding, reading.delimiter, reading.decimal, reading.header, reading.fields)
    return Formato(*form)


def _sample(line: Sample) -> LinhaLida:
    amounts = None
    if line.amounts is not None:
        amounts = {COLUMNS[feature]: line.amounts[at] for at, feature in enumerate(FEATURES)}
    return LinhaLida(line.line, line.cells, line.name, amounts)


def _summary(counts: Counts) -> Resumo:
    outcomes = {outcome.value: counts.outcomes.get(outcome.value, 0) for outcome in Outcome}
    return Resumo(outcomes, counts.clusters, counts.confidence)


def _question(one: Question) -> Pergunta:
    fields = tuple(COLUMNS[field] for field in one.fields)
    return Pergunta(one.code, one.sentence, fields, one.options, one.examples)


def _answers(answers: Answers) -> Respostas:
    columns = {COLUMNS[field]: column for field, column in answers.columns.items()}
    return Respostas(columns, answers.decimals, answers.repeated)


def _checked(reading: Reading | None) -> Conferencia | None:
    if reading is None or reading.questions:
        return None
    named = zip(reading.header, reading.fields, strict=True)
    earlier = reading.earlier
    return Conferencia(
        linhas=reading.lines,
        com_erro=reading.faulty,
        repetidas=reading.repeated,
        a_avaliar=reading.lines - reading.faulty - reading.repeated,
        colunas_sem_uso=tuple(column for column, field in named if not field),
        erros=[ErroDeLinha(one.line, one.column, one.value, one.reason) for one in reading.faults],
        tipos_de_erro=[
            TipoDeErro(one.column, one.reason, one.lines) for one in reading.fault_kinds
        ],
        ja_avaliado=None if earlier is None else JaAvaliado(earlier.id, earlier.name),
        avisos=reading.warnings,
    )


def listed(client_files: Iterable[ClientFile], workers: int) -> Lotes:
    """Return a list of files as callers see it. workers: how many there are."""
    items = [
        ItemDeLote(one.id, one.name, one.state, when(one.changed_at), one.line_count, one.done)
        for one in client_files
    ]
    return Lotes(items, workers)


def attachment(name: str) -> dict[str, str]:
    """Return the header that gives a download its file name (RFC 6266)."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
