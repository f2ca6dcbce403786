"""Every Portuguese sentence about files and their lines.

Functions from values to text. Knows nothing of JSON, HTTP or SQL.
"""

from evaluation_api.client_files.domain import FIELDS
from evaluation_api.decision.sentences import LABELS, NAMES

#: What a template and a result call each column.
COLUMNS = {"name": "nome", **NAMES}
#: Made-up clients, so that a template shows what the amounts look like.
EXAMPLES = (
    ("Ana Exemplo", 1035.00, 5788.00, 0.00, 2700.00, 5651.00),
    ("Bruno Exemplo", 1126.00, 0.00, 504.00, 1200.00, 599.00),
)
LINE_COLUMN = "linha"
ANSWER_COLUMNS = (
    "cluster",
    "perfil",
    "decisao",
    "confianca",
    "simulacao",
    "id",
    "erro_campo",
    "erro_motivo",
)

EMPTY_FILE = "O arquivo está vazio: falta a linha com os nomes das colunas."
NO_LINES = "O arquivo só tem o cabeçalho: falta pelo menos um cliente."
NOT_TEXT = "O arquivo não é um CSV em UTF-8 ou Latin-1. No Excel, salve como “CSV UTF-8”."
# After "Linha 3: ".
MIXED_ENCODING = "o arquivo mistura codificações a partir daqui. Salve de novo como “CSV UTF-8”."
OPEN_QUOTES = "há aspas que abrem e não fecham."
TOO_LONG = "longa demais; confira as aspas."
UNREADABLE = "não pode ser lida como CSV."
NAMELESS = "Dê um nome ao arquivo, de 1 a 255 caracteres legíveis."
DEFAULT_NAME = "clientes.csv"


def missing_column(field: str) -> str:
    """Say which column a header lacks."""
    return f"Falta a coluna “{COLUMNS[field]}”."


def repeated_column(name: str, field: str) -> str:
    """Say that a header names one thing twice."""
    return f"A coluna “{name}” repete “{COLUMNS[field]}”."


def unknown_column(name: str, position: int) -> str:
    """Say that a column is none of the six. position: from 1."""
    called = f"“{name}”" if name.strip() else f"sem nome na posição {position}"
    accepted = ", ".join(COLUMNS[field] for field in FIELDS)
    return f"A coluna {called} não é aceita. As colunas são: {accepted}."


def wrong_width(found: int, expected: int) -> str:
    """Say that a line has more or fewer cells than the header."""
    return (
        f"A linha tem {_columns(found)} e o cabeçalho tem {expected};"
        " valores com o separador dentro precisam de aspas."
    )


def _columns(count: int) -> str:
    return "1 coluna" if count == 1 else f"{count} colunas"


def no_amount(field: str, *, decimal_comma: bool) -> str:
    """Say that a cell is no amount as the file writes amounts."""
    example = "1.234,56 ou 1234,56" if decimal_comma else "1234.56"
    return f"{LABELS[field].capitalize()}: escreva um número como {example}."
