"""Parquet and workbooks are read in bounded memory, whatever they ask for."""

import datetime as dt
import io
import os
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

from portfolio.files import apart, held, messages, reading, sources, text
from portfolio.files.amounts import Mark
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices, Header
from portfolio.files.reading import Clients
from portfolio.files.records import Records
from tests.portfolio_files import HEADER

NAMES: Final = HEADER.strip().split(";")
AMOUNTS: Final = [1035.5, 5788.0, 0.0, 2700.0, 5651.0]
SHEET: Final = "xl/worksheets/sheet1.xml"


def workbook(*rows: list[object], stray: str = "") -> bytes:
    """Make a workbook. stray: XML of rows below."""
    book, content = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    for row in (NAMES, *rows):
        book.active.append(row)
    book.save(content)
    changed = io.BytesIO()
    with zipfile.ZipFile(content) as made, zipfile.ZipFile(changed, "w") as target:
        for one in made.infolist():
            xml = made.read(one)
            if one.filename == SHEET:
                xml = xml.replace(b"</sheetData>", stray.encode() + b"</sheetData>")
            target.writestr(one, xml)
    return changed.getvalue()


def parquet(count: int = 2, **columns: Any) -> bytes:  # noqa: ANN401 - whatever Arrow takes
    """Make a Parquet file of clients; the columns given take the place of theirs."""
    names = [f"Cliente {letter}" for letter in "ABCDEFGH"[:count]]
    amounts = {name: [amount] * count for name, amount in zip(NAMES[1:], AMOUNTS, strict=True)}
    return parquet_of(list({"nome": names, **amounts, **columns}.items()))


def parquet_of(columns: list[tuple[str, Any]]) -> bytes:
    """Make a Parquet file of columns by name, whose names may repeat."""
    arrays = [column if isinstance(column, pa.Array) else pa.array(column) for _, column in columns]
    table, content = pa.Table.from_arrays(arrays, [name for name, _ in columns]), io.BytesIO()
    pa.parquet.write_table(table, content, store_schema=True)
    return content.getvalue()


def clients_of(content: bytes) -> Clients:
    """Read the one block of a file, in this process."""
    _, (some,) = reading.clients_of(sources.Table(*opened(content)))
    return some


def opened(content: bytes) -> tuple[Header, Iterator[Records]]:
    """Open a file in this process."""
    kind = held.PARQUET if content.startswith(b"PAR1") else held.WORKBOOK
    return held.read(io.BytesIO(content), kind, Choices({}), is_sent=True)


def sent(content: bytes) -> sources.Table:
    """Open a file as the page sends it."""
    return sources.open_sent([content], len(content), Choices({}))


@pytest.mark.parametrize(
    "stray",
    [
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="10000"><c r="XFD10000"><v>1</v></c></row>',
        '<row r="4294967295"><c r="A4294967295"><v>1</v></c></row>',
        '<row r="3"><c r="ZZZZZZZ3"><v>1</v></c></row>',
    ],
    ids=["the last cell", "a row of many", "a row that no sheet has", "a column that no sheet has"],
)
def test_a_cell_far_from_the_table_has_its_file_refused_and_ends_no_worker(stray: str) -> None:
    with pytest.raises(UnreadableFileError, match="muito longe da tabela"):
        sent(workbook(["Ana", *AMOUNTS], stray=stray))


@pytest.mark.parametrize(
    ("stray", "lines"),
    [
        ('<row r="1048576"><c r="XFD1048576" s="0"/></row>', [2]),
        ('<row r="9"><c r="XFD9"><v>1</v></c></row>', [2]),
        ('<row r="90000"><c r="A90000"><v>1</v></c></row>', [2, 90000]),
    ],
    ids=["formatted alone", "beside the table", "below the table"],
)
def test_a_stray_cell_that_can_be_held_costs_no_client(stray: str, lines: list[int]) -> None:
    content = workbook(["Ana", *AMOUNTS], stray=stray)
    found, blocks = held.read(io.BytesIO(content), held.WORKBOOK, Choices({}), is_sent=True)
    _, clients = reading.clients_of(sources.Table(found, blocks))

    assert [line for some in clients for line in some.lines.tolist()] == lines


@pytest.mark.parametrize("cell", [True, dt.date(2026, 1, 1), dt.time(1, 2)])
def test_a_truth_value_and_a_date_of_a_workbook_are_no_amounts(cell: object) -> None:
    some = clients_of(workbook(["Ana", cell, *AMOUNTS[1:]]))

    assert [(fault.line, fault.column) for fault in some.faults] == [(2, "saldo_devedor")]


@pytest.mark.parametrize(
    "column",
    [
        [True, False],
        [dt.date(2026, 1, 1)] * 2,
        [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 2,
        [dt.timedelta(1)] * 2,
        [[1.0], []],
        [{"a": 1}, None],
        [b"\xff", b""],
        pa.nulls(2),
    ],
    ids=["booleans", "dates", "times", "durations", "lists", "structs", "bytes", "nothing"],
)
def test_what_is_no_number_and_no_text_is_a_fault_of_its_line_under_an_amount(column: Any) -> None:  # noqa: ANN401 - whatever Arrow takes
    some = clients_of(parquet(saldo_devedor=column))

    assert [(fault.line, fault.column) for fault in some.faults] == [
        (1, "saldo_devedor"),
        (2, "saldo_devedor"),
    ]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_text_of_every_type_is_read_as_the_text_that_it_is(kind: pa.DataType) -> None:
    names = pa.array(["=1+1", "Bia"]).cast(kind)
    amounts = pa.array(["1.035,50", "7,00"]).cast(kind)
    some = clients_of(
        parquet(nome=names, **dict.fromkeys(NAMES[1:], amounts), obs=pa.array(["@x", ""], kind))
    )

    assert {str(column.type) for column in some.cells} == {"string"}
    assert some.frame["balance"].tolist() == [7.0]
    assert [fault.value for fault in some.faults] == ["=1+1"]


@pytest.mark.parametrize(
    "amounts",
    [
        pa.array([7, 8], pa.int64()),
        pa.array([7, 8], pa.float32()),
        pa.array([Decimal("7.00"), Decimal("8.00")]),
        pa.array([7, 8]).dictionary_encode(),
        pa.array(["7.00", "8.00"]),
    ],
    ids=["integers", "floats", "decimals", "dictionary", "text"],
)
def test_amounts_are_numbers_or_text(amounts: pa.Array) -> None:
    some = clients_of(parquet(compras=amounts))

    assert some.frame["purchases"].tolist() == [7.0, 8.0]


def test_columns_that_decide_nothing_pass_whatever_they_are_and_however_they_are_called() -> None:
    columns = [("nome", ["Ana"]), *((name, [1.5]) for name in NAMES[1:])]
    extra: list[tuple[str, Any]] = [
        ("obs", ["a"]),
        ("obs", ["b"]),
        (" obs ", ["c"]),
        ("a.b", [[1, 2]]),
        ("dados", [{"a": 1}]),
        ("bytes", [b"\xff"]),
        ("desde", [dt.date(2026, 1, 1)]),
        ("ativo", [True]),
    ]

    some = clients_of(parquet_of(columns + extra))

    assert some.decidable.all()
    assert [cells[0].as_py() for cells in some.cells[6:]] == [
        *("a", "b", "c", "[1, 2]", "{'a': 1}", "\ufffd"),
        dt.date(2026, 1, 1),
        True,
    ]


def with_notes(count: int, length: int) -> bytes:
    """Make a small file of clients who all have the same note."""
    note = pa.DictionaryArray.from_arrays(
        pa.array([0] * count, pa.int32()), pa.array(["x" * length])
    )
    amounts = ((name, pa.array([1.5] * count)) for name in NAMES[1:])
    content = parquet_of([("nome", pa.array(["Ana"] * count)), *amounts, ("obs", note)])
    assert len(content) < 10_000
    return content


def test_text_that_a_file_holds_once_and_uses_often_comes_in_small_blocks() -> None:
    count = 500
    content = with_notes(count, text.LONGEST_LINE - len("Ana"))

    blocks = list(held.read(io.BytesIO(content), held.PARQUET, Choices({}), is_sent=True)[1])

    assert [line for some in blocks for line in some.lines] == list(range(1, count + 1))
    assert max(sum(column.nbytes for column in some.cells) for some in blocks) < 9 * 2**20
    with pytest.raises(UnreadableFileError, match=r"Linha 1: .*65\.536"):
        clients_of(with_notes(2, text.LONGEST_LINE))


@pytest.mark.parametrize(
    ("length", "sentence"), [(18_000, "256 MB sem compressão"), (65_000, "grande demais, ou")]
)
def test_what_is_sent_may_say_so_much_and_no_more(length: int, sentence: str) -> None:
    table = sent(with_notes(16_384, length))

    with pytest.raises(UnreadableFileError, match=sentence):
        list(table.records)


def test_a_process_that_says_nothing_is_not_waited_for_and_one_that_ends_neither() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"ab")

    assert apart.read_exactly(reader, 0.01, 2) == b"ab"
    assert apart.read_exactly(reader, 0.01, 2) == b""
    os.close(writer)
    assert apart.read_exactly(reader, None, 2) == b""
    os.close(reader)


def test_a_file_that_is_cut_short_is_damaged() -> None:
    with pytest.raises(UnreadableFileError) as refused:
        clients_of(workbook(["Ana", *AMOUNTS], stray="<row><c><v>1</row>"))

    assert str(refused.value) == messages.DAMAGED


@pytest.mark.parametrize("mark", [None, *Mark])
@pytest.mark.parametrize("usual", [None, *Mark])
@pytest.mark.parametrize("text", [None, "1.234,56", "1,234.56"])
def test_a_number_of_a_workbook_is_that_number_whatever_marks_stand_beside_it(
    mark: Mark | None, usual: Mark | None, text: str | None
) -> None:
    numbers = [103.125, 0.00001, 12.5, 2700.0, 1234567.1]
    rows: list[list[object]] = [["Ana", *numbers]]
    if text is not None:
        rows += [["Bia", text, *AMOUNTS[1:]], ["Cia", *AMOUNTS[:4], text]]
    table = sources.Table(*opened(workbook(*rows)))

    _, (some,) = reading.clients_of(table, mark, usual=usual)

    assert some.frame.iloc[0].tolist() == numbers


def test_a_workbook_of_numbers_comes_back_as_excel_in_brazil_shows_it() -> None:
    some = clients_of(workbook(["Ana", 103.125, *AMOUNTS[1:]]))

    assert [cells[0].as_py() for cells in some.cells[1:3]] == ["103,1250", "5788"]


def test_the_first_sheet_is_the_first_that_a_person_sees() -> None:
    book, content = openpyxl.load_workbook(io.BytesIO(workbook(["Ana", *AMOUNTS]))), io.BytesIO()
    hidden = book.create_sheet("Rascunho", 0)
    for row in (NAMES, ["Rascunho", *AMOUNTS]):
        hidden.append(row)
    hidden.sheet_state = "hidden"
    book.create_chartsheet("Gráfico", 0)
    book.save(content)

    some = clients_of(content.getvalue())

    assert some.cells[0].to_pylist() == ["Ana"]
