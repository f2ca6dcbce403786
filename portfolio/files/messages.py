"""Every Portuguese sentence about files and their lines. Functions from values to text."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from evaluation_api.decision.sentences import COLUMNS, LABELS

EMPTY_FILE: Final = "O arquivo está vazio: falta a linha com os nomes das colunas."
NO_LINES: Final = "O arquivo só tem o cabeçalho: falta pelo menos um cliente."
NOT_TEXT: Final = (
    "O arquivo não é um CSV que se possa ler. No Excel, salve como “CSV UTF-8”, ou envie a planilha"
    " em .xlsx."
)
MARKUP: Final = (
    "O arquivo é uma página em HTML ou XML com nome de planilha, como muitos sistemas exportam."
    " Abra-o no Excel ou no LibreOffice e salve como “CSV UTF-8” ou .xlsx."
)
LOCKED: Final = (
    "A planilha não pode ser aberta: tem senha, é de antes do Excel 97 ou está danificada. Salve"
    " uma cópia sem senha em .xlsx, ou como “CSV UTF-8”."
)
NO_WORKBOOK: Final = (
    "Não há planilha que se possa abrir neste arquivo. Se é um .zip, extraia o que está dentro; se"
    " é uma planilha, salve uma cópia em .xlsx, ou como “CSV UTF-8”."
)
MIXED_ENCODING: Final = "O arquivo mistura codificações. Salve de novo como “CSV UTF-8”."
OPEN_QUOTES: Final = "Há aspas que abrem e não fecham."
TOO_LONG: Final = "linha longa demais: confira as aspas."
HEADER_AGAIN: Final = "O cabeçalho se repete aqui."
TOTALS: Final = "Parece uma linha de totais, e não um cliente."
NOTE: Final = "Parece uma nota: nenhum dos campos de um cliente está preenchido."
NOBODY: Final = "Nenhuma linha do arquivo traz um cliente que se possa avaliar."
CUT_SHORT: Final = (
    "O arquivo não termina com uma quebra de linha, e pode ter sido cortado: confira a última"
    " linha."
)
NO_SHEET: Final = "A planilha não tem nenhuma aba visível com uma tabela."
TOO_LARGE: Final = (
    "A planilha ou o Parquet é grande demais para abrir: até 64 MB, e 256 MB sem compressão. Salve"
    " como “CSV UTF-8”."
)
TOO_FAR: Final = (
    "Não foi possível abrir este arquivo: é grande demais, ou tem uma célula preenchida muito longe"
    " da tabela. Copie só a tabela para um arquivo novo, ou salve como “CSV UTF-8”."
)
DAMAGED: Final = (
    "O arquivo está danificado, ou traz um tipo de dado que não se pode ler. Salve como “CSV UTF-8”"
    " e envie de novo."
)
LONG_RECORD: Final = "as células somam mais de 65.536 caracteres."
TOO_MANY: Final = "O arquivo tem mais de 1.000.000 de linhas. Divida-o em partes."
NEVER_READ: Final = (
    "Este arquivo foi tentado cinco vezes, e nenhuma chegou ao fim. As decisões tomadas permanecem;"
    " salve como “CSV UTF-8” e envie de novo: só o que falta será avaliado."
)
NOT_AS_BEFORE: Final = (
    "O arquivo não foi lido como na conferência, e parou. As decisões tomadas permanecem; baixe o"
    " resultado e envie o arquivo de novo: só o que falta será avaliado."
)
REFUSED_BY_MODEL: Final = "O modelo não aceita estes valores."
ADD_COLUMNS: Final = "Acrescente o que falta e envie o arquivo de novo."
WHICH_COLUMNS: Final = "Que coluna do arquivo traz cada um destes campos?"
#: Columns that a sentence names; a table may have a thousand.
_LISTED: Final = 20
_DASHES: Final = frozenset("-\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}")


def decided_before(name: str | None) -> str:
    """Say that a client is not decided again. name: of the file by which it was."""
    where = "em um terminal" if name is None else f"pelo arquivo “{name}”"
    return f"Já foi avaliado {where}, e não é avaliado de novo."


def no_header(columns: Sequence[str]) -> str:
    """Say that no line names the columns."""
    return (
        "Nenhuma das primeiras linhas traz os nomes das colunas. São necessárias: "
        + ", ".join(columns)
        + "."
    )


def missing_columns(fields: Sequence[str], unused: Sequence[str]) -> str:
    """Say which columns a header lacks, and which of its own could be meant."""
    missing = ", ".join(f"“{COLUMNS[field]}”" for field in fields)
    sentence = f"{'Falta a coluna' if len(fields) == 1 else 'Faltam as colunas'} {missing}."
    if unused:
        sentence += " O arquivo tem " + ", ".join(f"“{name}”" for name in unused) + "."
    return sentence


def repeated_column(name: str, earlier: str, field: str) -> str:
    """Say that a header names one thing twice."""
    if name == earlier:
        return f"Há duas colunas “{name}”: dê outro nome a uma delas e envie o arquivo de novo."
    return f"A coluna “{name}” repete “{COLUMNS[field]}”."


def too_many_columns(found: int, most: int) -> str:
    """Say that a table is too wide."""
    return f"há {found:_} colunas, e o máximo são {most:_}.".replace("_", ".")


def no_such_column(name: str, names: Iterable[str] = ()) -> str:
    """Say that a column was chosen that the file does not have. names: to choose from instead."""
    sentence, named = f"O arquivo não tem a coluna “{name}”.", list(filter(None, names))
    nearest = get_close_matches(name.casefold(), map(str.casefold, named), 1)
    for one in named:
        if one.casefold() in nearest:
            sentence += f" Seria “{one}”?"
    if named:
        sentence += " As colunas são " + ", ".join(f"“{one}”" for one in named[:_LISTED])
        sentence += f" e mais {len(named) - _LISTED}." if len(named) > _LISTED else "."
    return sentence


def no_outcome(column: str, cell: str) -> str:
    """Say that a column does not say who did not pay."""
    return (
        f"A coluna “{column}” diz {cell}: espera-se 1 de quem não pagou, 0 de quem pagou, ou nada."
    )


def wrong_width(found: int, expected: int) -> str:
    """Say that a line has more or fewer cells than the header."""
    cells = "1 célula" if found == 1 else f"{found} células"
    why = (
        "valores com o separador dentro precisam de aspas" if found > expected else "faltam células"
    )
    return f"A linha tem {cells} e o cabeçalho tem {expected}; {why}."


def nameless_column(letters: str) -> str:
    """Say that a workbook has something beside a client. letters: of the column."""
    return (
        f"Há um valor na coluna {letters}, que não tem nome no cabeçalho; dê um nome à coluna, ou"
        " apague o valor."
    )


def which_mark(cell: str) -> str:
    """Ask what a cell of three decimals means."""
    return (
        f"Um valor como {cell} pode ser lido de dois modos, e nada no arquivo diz qual é o certo."
        " Diga se os decimais vêm depois de vírgula ou de ponto."
    )


def no_amount(field: str, cell: str, *, decimal_comma: bool) -> str:
    """Say that a cell is no amount as the file writes amounts.

    A dash alone is what spreadsheets show of zero, and people write of what they do not know.
    """
    example = "1.234,56 ou 1234,56" if decimal_comma else "1234.56"
    zero = "; se o traço é zero, 0" if cell.strip() in _DASHES else ""
    return f"{LABELS[field].capitalize()}: escreva um número como {example}{zero}."


def three_decimals(field: str) -> str:
    """Say that a cell could be two amounts."""
    label = LABELS[field].capitalize()
    return f"{label}: com três casas o valor pode ser lido de dois modos; use duas."
