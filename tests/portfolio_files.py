"""Reads files of clients as the portfolio does, for the tests that ask what it made of them."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from portfolio.files import reading, sources
from portfolio.files.amounts import Grammar, Mark
from portfolio.files.errors import Fault
from portfolio.files.header import Choices, Header

HEADER = "nome;saldo_devedor;compras;saques;limite_de_credito;pagamentos\n"
ANA = "Ana;1035,00;5788,00;0,00;2700,00;5651,00\n"
BIA = "Bia;1126,00;0,00;504,00;1200,00;599,00\n"


class Read(NamedTuple):
    """What came of a file: names as sent and amounts of those that can be decided."""

    header: Header
    grammar: Grammar
    lines: list[int]
    names: list[str]
    amounts: pd.DataFrame
    faults: list[Fault]


def read_bytes(
    content: str | bytes,
    *,
    mark: Mark | None = None,
    usual: Mark | None = None,
    columns: dict[str, str] | None = None,
    is_recorded: bool = False,
) -> Read:
    """Read a CSV file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clients.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_path(path, mark=mark, usual=usual, columns=columns, is_recorded=is_recorded)


def read_path(
    path: Path,
    *,
    mark: Mark | None = None,
    usual: Mark | None = None,
    columns: dict[str, str] | None = None,
    is_recorded: bool = False,
) -> Read:
    """Read a file of any kind."""
    table = sources.open_table(path, Choices(columns or {}))
    grammar, parts = reading.clients_of(table, mark, usual=usual, is_recorded=is_recorded)
    clients = list(parts)
    place = table.header.places["name"]
    return Read(
        table.header,
        grammar,
        [line for some in clients for line in some.lines.tolist()],
        [
            name.as_py()
            for some in clients
            for name in some.cells[place].filter(pa.array(some.decidable))
        ],
        pd.concat([some.frame for some in clients], ignore_index=True),
        [fault for some in clients for fault in some.faults],
    )
