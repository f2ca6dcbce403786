"""Files as people have them are read, and no client of theirs vanishes."""

import codecs
import io
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from evaluation_api.decision.domain import FEATURES
from portfolio.files import held, messages, text
from portfolio.files.amounts import Grammar, Mark
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices, header_of
from tests.portfolio_files import ANA, BIA, HEADER, read_bytes, read_path

FORM = Path("frontend/index.html")
ANA_READ = [1035.0, 5788.0, 0.0, 2700.0, 5651.0]
BIA_READ = [1126.0, 0.0, 504.0, 1200.0, 599.0]
BOTH = HEADER + ANA + BIA
NAME = "Concei\u00e7\u00e3o \u2013 d\u2019\u00c1vila"


@pytest.mark.parametrize(
    "content",
    [
        BOTH.encode(),
        BOTH.replace("\n", "\r\n").encode(),
        BOTH.replace("\n", "\r").encode(),
        BOTH.rstrip("\n").encode(),
        codecs.BOM_UTF8 + BOTH.encode(),
        codecs.BOM_UTF8 * 2 + BOTH.encode(),
        BOTH.replace("Bia", "\ufeffBia").encode(),
        codecs.BOM_UTF16_LE + BOTH.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + BOTH.encode("utf-16-be"),
        codecs.BOM_UTF16_LE + BOTH.replace(";", "\t").encode("utf-16-le"),
        BOTH.encode("utf-16-le"),
        BOTH.encode("utf-16-be"),
        BOTH.replace(";", "\t").encode(),
        BOTH.replace(";", "|").encode(),
        BOTH.replace(",", ".").replace(";", ",").encode(),
        b"sep=;\n" + BOTH.encode(),
        b"sep=~\r\n" + BOTH.replace(";", "~").encode(),
        b"\n \n" + BOTH.encode(),
        b"Clientes de novembro;;;;;\n;;;;;\n" + BOTH.encode(),
        BOTH.replace("\n", ";\n").encode(),
        (HEADER + ANA.replace("\n", ";;\n") + BIA).encode(),
        (HEADER + ANA + " ; ;;;;\n\n;;;;;\n" + BIA).encode(),
        BOTH.replace("Ana", '"Ana"').replace("nome", '"nome"').encode(),
        BOTH.replace("1035,00", "R$ 1.035,00").replace(";0,00", ";R$ -").encode(),
        BOTH.replace("saldo_devedor", "Saldo devedor (R$)").replace("nome", "CLIENTE").encode(),
        BOTH.replace("saldo_devedor", '"saldo\ndevedor"').encode(),
    ],
    ids=[
        "plain",
        "CRLF",
        "CR",
        "no last line feed",
        "mark",
        "two marks",
        "mark in the middle",
        "UTF-16 LE",
        "UTF-16 BE",
        "Excel's Unicode text",
        "UTF-16 LE without a mark",
        "UTF-16 BE without a mark",
        "tabs",
        "pipes",
        "commas and points",
        "sep=;",
        "sep=~",
        "blank lines first",
        "a title above",
        "a nameless column",
        "cells beyond the last column",
        "blank rows",
        "quotes",
        "currency",
        "names as the form has them",
        "a line break in a column's name",
    ],
)
def test_a_file_is_read_whatever_wrote_it(content: bytes) -> None:
    read = read_bytes(content)

    assert read.amounts.to_numpy().tolist() == [ANA_READ, BIA_READ]
    assert [name.strip("\ufeff") for name in read.names] == ["Ana", "Bia"]
    assert read.faults == []


def test_names_in_windows_1252_keep_their_letters() -> None:
    read = read_bytes(BOTH.replace("Ana", NAME).encode("cp1252"))

    assert read.names == [NAME, "Bia"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", messages.EMPTY_FILE),
        (b"\n \n", messages.EMPTY_FILE),
        (HEADER.encode(), messages.NO_LINES),
        (b"PK\x03\x04\x00\x00", messages.NO_WORKBOOK),
        (b"PAR1", messages.NOT_TEXT),
        (held.OLD_WORKBOOK, messages.LOCKED),
        (held.OLD_WORKBOOK + bytes(4096), messages.LOCKED),
        (b"<table><tr><td>nome</td></tr>" + b" " * text.LONGEST_LINE, messages.MARKUP),
        (codecs.BOM_UTF8 + b"\r\n<HTML xmlns:x='a'>\r\n<tr><td>nome", messages.MARKUP),
        (b'<?xml version="1.0"?>\n<Workbook/>', messages.MARKUP),
        (codecs.BOM_UTF32_LE + BOTH.encode("utf-32-le"), messages.NOT_TEXT),
        ("é\n".encode() + BOTH.replace("Bia", "Zé").encode("cp1252"), "Linha 4: O arquivo mistura"),
        (b"a;b\n1;2\n", "Nenhuma das primeiras linhas"),
        (
            HEADER.replace(";pagamentos", "").encode() + b"A;1;1;1;1\n",
            "Falta a coluna “pagamentos”. Acrescente o que falta e envie o arquivo de novo.",
        ),
        (
            HEADER.replace("compras", "saldo_devedor").encode() + ANA.encode(),
            "Há duas colunas “saldo_devedor”",
        ),
        (HEADER.replace("compras", "saldo").encode() + ANA.encode(), "repete “saldo_devedor”"),
        (b"nome;" + b"x" * (text.LONGEST_LINE + 1), "longa demais"),
        ((HEADER + "Ana;103.125;578.250;0;270.500;565.125\n").encode(), "Um valor como 103.125"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableFileError, match=r".") as refused:
        read_bytes(content)

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("saldo devedor", " Seria “saldo_devedor”? As colunas são “nome”, “saldo_devedor”, "),
        ("PAGAMENTO", " Seria “pagamentos”? As colunas são “nome”, "),
        ("XPTO", " As colunas são “nome”, "),
    ],
)
def test_a_column_that_is_not_there_is_told_with_those_that_are(column: str, said: str) -> None:
    many = ";".join(f"c{at}" for at in range(20))
    with pytest.raises(UnreadableFileError) as refused:
        read_bytes(HEADER.replace("\n", f";{many}\n") + ANA, columns={"balance": column})

    assert f"O arquivo não tem a coluna “{column}”.{said}" in str(refused.value)
    assert str(refused.value).endswith("“c13” e mais 6.")


def test_what_could_be_two_amounts_is_read_as_a_person_chose() -> None:
    content = HEADER + "Ana;103.125;578.250;0;270.500;565.125\n"

    assert read_bytes(content, mark=Mark.POINT).amounts["balance"].tolist() == [103.125]
    assert read_bytes(content, mark=Mark.COMMA).amounts["balance"].tolist() == [103125.0]


@pytest.mark.parametrize(
    ("cell", "balance"), [("103.125", 103125.0), ("1,5", 1.5), ("1035.5", 1035.5), ("7", 7.0)]
)
def test_the_mark_of_the_file_before_holds_unless_the_amounts_tell_another(
    cell: str, balance: float
) -> None:
    content = f"{HEADER}Ana;{cell};0;0;1000;0\n"
    assert read_bytes(content, usual=Mark.COMMA).amounts["balance"].tolist() == [balance]


def test_three_decimals_are_a_fault_among_amounts_of_two_and_fine_among_longer_ones() -> None:
    money = read_bytes(HEADER + "Eva;1,234;0,00;0,00;1300,00;100,00\n" + ANA)
    precise = read_bytes(
        HEADER.replace(";", ",") + "Eva,95.411,0,0,1300,40.900749\nAna,1.5,0,0,2.25,0\n"
    )

    assert [(fault.line, fault.column, fault.value) for fault in money.faults] == [
        (2, "saldo_devedor", "1,234")
    ]
    assert money.names == ["Ana"]
    assert precise.grammar == Grammar(Mark.POINT, three_decimals=True)
    assert precise.amounts["balance"].tolist() == [95.411, 1.5]


def test_amounts_as_pandas_writes_them_are_read_small_and_precise_ones_alike() -> None:
    amounts = [0.00005, 95.411, 0.0, 2700.5, 1e-07]
    content = pd.DataFrame([["Ana", *amounts]], columns=HEADER.strip().split(";")).to_csv(
        index=False
    )

    read = read_bytes(content)

    assert "5e-05" in content
    assert read.grammar == Grammar(Mark.POINT, three_decimals=True)
    assert read.amounts.iloc[0].tolist() == amounts
    assert read.faults == []


@pytest.mark.parametrize(
    "cell", ["-1,00", "(1.035,00)", "1035,00-", "\u22121035,00", "-R$ 1.035,00", "R$ -1,00"]
)
def test_a_negative_amount_is_told_as_one_however_its_sign_is_written(cell: str) -> None:
    fault = read_bytes(HEADER + ANA + ANA.replace("1035,00", cell)).faults

    assert [(one.line, one.column, one.value) for one in fault] == [(3, "saldo_devedor", cell)]
    assert "negativo" in fault[0].reason or "a partir de 0" in fault[0].reason


@pytest.mark.parametrize("cell", ["", "abc", "1e", "10%", "=1+1", "12 34", "NaN", "1,2,3", "0x1"])
def test_a_cell_that_is_no_amount_is_a_fault_with_its_value(cell: str) -> None:
    read = read_bytes(HEADER + ANA + ANA.replace("2700,00", cell))

    assert [(one.line, one.column, one.value) for one in read.faults] == [
        (3, "limite_de_credito", cell)
    ]
    assert read.names == ["Ana"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "\u200b",
        "Ana\x07",
        "A" * 121,
        "Total",
        "TOTAL GERAL",
        "subtotal:",
        "...",
        "12",
        "123.456.789-09",
    ],
)
def test_a_name_that_nobody_has_is_a_fault(name: str) -> None:
    read = read_bytes(HEADER + ANA + ANA.replace("Ana", name))

    assert [(one.line, one.column) for one in read.faults] == [(3, "nome")]


@pytest.mark.parametrize(
    "name",
    [
        "Total geral (60 clientes)",
        "Total:",
        "TOTAIS GERAIS",
        "Sub-total 2",
        "Total de clientes: 60",
    ],
)
def test_a_row_of_totals_is_none_of_the_clients(name: str) -> None:
    read = read_bytes(HEADER + ANA + ANA.replace("Ana", name))

    assert [(one.line, one.reason) for one in read.faults] == [(3, messages.TOTALS)]


def test_all_that_is_wrong_with_a_line_is_told_in_sentences() -> None:
    read = read_bytes(HEADER + ANA + ANA.replace("1035,00", "x").replace("5788,00", "1,234"))

    assert [fault.reason.partition(":")[0] for fault in read.faults] == ["Saldo devedor", "Compras"]
    whole = read_bytes(HEADER + ANA + HEADER + "Total;1;1;1;1;1\nBia;1;1\n" + 'Zé;"1;1;1;1;1\n')
    assert [fault.reason.partition(" ")[0] for fault in whole.faults] == ["O", "Parece", "A", "Há"]


@pytest.mark.parametrize("name", ["Total Alves", "Soma dos Santos", "Totaline", "Somália Geral"])
def test_a_name_that_begins_like_totals_is_a_clients(name: str) -> None:
    assert read_bytes(HEADER + ANA.replace("Ana", name)).names == [name]


@pytest.mark.parametrize("cell", ["-", " -   ", "\N{EN DASH}"])
def test_a_dash_alone_is_no_zero_until_somebody_says_so(cell: str) -> None:
    read = read_bytes(HEADER + ANA.replace("0,00;2700", f"{cell};2700") + BIA)

    (fault,) = read.faults
    assert fault.reason.endswith(
        "escreva um número como 1.234,56 ou 1234,56; se o traço é zero, 0."
    )


def test_every_fault_of_a_line_is_told() -> None:
    read = read_bytes(HEADER + ANA + ";-1;x;0,00;0;1,00\n")

    assert [(fault.line, fault.column) for fault in read.faults] == [
        (3, "nome"),
        (3, "saldo_devedor"),
        (3, "compras"),
        (3, "limite_de_credito"),
    ]


def test_a_header_that_stands_among_the_clients_is_told_as_one() -> None:
    read = read_bytes(BOTH + HEADER + ANA)

    assert [(fault.line, fault.reason) for fault in read.faults] == [(4, messages.HEADER_AGAIN)]
    assert len(read.amounts) == 3


@pytest.mark.parametrize("stray", [[1], [1, 4], [0, 1], [5]])
def test_stray_quotes_take_their_own_line_and_no_other(stray: list[int]) -> None:
    lines = [ANA.replace("Ana", f"Cliente {number}") for number in range(6)]
    for number in stray:
        lines[number] = '"' + lines[number]

    read = read_bytes(HEADER + "".join(lines))

    assert [fault.line for fault in read.faults] == [number + 2 for number in stray]
    assert {fault.reason for fault in read.faults} == {messages.OPEN_QUOTES}
    assert read.names == [f"Cliente {n}" for n in range(6) if n not in stray]
    assert read.lines == list(range(2, 8))


@pytest.mark.parametrize("others", [BIA, 5000 * BIA])
@pytest.mark.parametrize("title", ['"Clientes', 'Banco;"Clientes', '"', '"Clientes\n"Abril'])
def test_a_stray_quote_above_the_header_hides_nobody(title: str, others: str) -> None:
    read = read_bytes(f"{title}\n{HEADER}{ANA}{others}")

    below = read.header.line + 1
    assert below == title.count("\n") + 3
    assert read.lines == list(range(below, below + 1 + others.count("\n")))


@pytest.mark.parametrize("others", [BIA, 5000 * BIA])
@pytest.mark.parametrize("at", [0, 40, len(HEADER) - 4])
def test_a_stray_quote_in_the_header_hides_no_column(at: int, others: str) -> None:
    place = HEADER.rfind(";", 0, at) + 1

    read = read_bytes(f'{HEADER[:place]}"{HEADER[place:]}{ANA}{others}')

    assert read.lines == list(range(2, 3 + others.count("\n")))


def test_two_stray_quotes_of_which_one_is_in_the_header_take_no_client_between_them() -> None:
    read = read_bytes(f'{HEADER.strip()};"Obs.\n{ANA.strip()};a\n{BIA.strip()};b"\n')

    assert read.lines == [2, 3]
    assert read.names[0] == "Ana"


@pytest.mark.parametrize("end", ["\v", "\f", "\x1c", "\x85", "\u2028"])
def test_what_only_python_takes_for_the_end_of_a_line_is_none(end: str) -> None:
    titled = read_bytes(f"Clientes{end}de abril\n{HEADER}{ANA}")
    named = read_bytes(f"{HEADER.strip()};Obs.{end}do banco\n{ANA.strip()};a\n")

    assert (titled.header.line, titled.lines) == (2, [3])
    assert (named.header.unused, named.lines, named.faults) == ((f"Obs.{end}do banco",), [2], [])


def test_a_name_of_a_column_may_run_over_lines() -> None:
    read = read_bytes(HEADER.replace("saldo_devedor", '"Saldo\n devedor\n(R$)"') + ANA)

    assert (read.lines, read.names) == ([4], ["Ana"])


def test_a_cell_may_run_over_lines() -> None:
    read = read_bytes(HEADER + ANA.replace("Ana", '"Ana\nMaria"') + BIA)

    assert [fault.line for fault in read.faults] == [2]  # a name has no line break
    assert read.lines == [2, 4]
    assert read.names == ["Bia"]


def test_a_line_with_too_few_or_too_many_cells_is_a_fault_and_keeps_its_cells() -> None:
    read = read_bytes(HEADER + "Ana;1,00\n" + ANA.replace("\n", ";7;8\n") + BIA)

    assert [(fault.line, fault.column) for fault in read.faults] == [(2, None), (3, None)]
    assert read.names == ["Bia"]


def test_the_training_sets_own_columns_are_found_and_its_ids_can_be_the_names() -> None:
    content = (
        "CUST_ID,BALANCE,BALANCE_FREQUENCY,PURCHASES,CASH_ADVANCE,CREDIT_LIMIT,PAYMENTS\n"
        "C1,40.900749,0.818182,95.4,0,1000,201.802084\nC2,1.5,1,0,0,,0\n"
    )

    with pytest.raises(UnreadableFileError, match=r"Falta a coluna “nome”.*“CUST_ID”"):
        read_bytes(content)
    read = read_bytes(content, columns={"name": "CUST_ID"})
    assert read.names == ["C1"]
    assert read.header.unused == ("BALANCE_FREQUENCY",)
    assert [(fault.line, fault.column) for fault in read.faults] == [(3, "CREDIT_LIMIT")]


def test_columns_may_be_called_as_the_form_calls_its_fields() -> None:
    labels = re.findall(r' data-label="(\w+)">([^<]+)</label>', FORM.read_text())

    header = header_of([label for _, label in labels], 1, Choices({}))

    assert [header.names[header.places[field]] for field, _ in labels] == [
        label for _, label in labels
    ]
    assert not header.has_numbered_clients


def test_clients_may_be_numbered_in_a_column_that_is_chosen_and_by_no_cpf() -> None:
    content = (
        "id;"
        + HEADER.partition(";")[2]
        + "".join(ANA.replace("Ana", number, 1) for number in ("1", " 30000 ", "12345678901"))
    )

    read = read_bytes(content, columns={"name": "id"})
    named = read_bytes(content.replace("id;", "nome;", 1))
    recorded = read_bytes(content, columns={"name": "id"}, is_recorded=True)

    assert read.names == ["1", " 30000 "]
    assert [fault.line for fault in read.faults] == [4]
    assert named.names == recorded.names == []


def test_a_column_that_is_chosen_goes_before_the_one_that_is_named_so() -> None:
    content = HEADER.replace("\n", ";saldo final\n") + ANA.replace("\n", ";7,00\n")

    read = read_bytes(content, columns={"balance": "saldo final"})

    assert read.amounts["balance"].tolist() == [7.0]


def test_blocks_end_where_they_end_and_lines_keep_their_numbers() -> None:
    count = 3 * text.BLOCK_BYTES // len(ANA)
    lines = [ANA.replace("Ana", f"Cliente {number}") for number in range(count)]
    lines[count // 2] = '"' + lines[count // 2]
    lines[-1] = '"' + lines[-1]

    read = read_bytes(HEADER + "".join(lines))

    assert read.lines == list(range(2, count + 2))
    assert [fault.line for fault in read.faults] == [count // 2 + 2, count + 1]
    assert read.names[-1] == f"Cliente {count - 2}"


def test_a_workbook_is_read_from_its_first_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Clientes"])
    sheet.append(["Nome", "Saldo devedor (R$)", "Compras", "Saques", "Limite", "Pagamentos", None])
    sheet.append(["Ana", 1035, 5788.0, 0, 2700.00, 5651.25])
    sheet.append([])
    sheet.append(["Bia", -1, "abc", None, 1200, 599])
    book.save(tmp_path / "clients.xlsx")

    read = read_path(tmp_path / "clients.xlsx")

    assert read.names == ["Ana"]
    assert read.amounts.to_numpy().tolist() == [[1035.0, 5788.0, 0.0, 2700.0, 5651.25]]
    assert [(fault.line, fault.column) for fault in read.faults] == [
        (5, "Saldo devedor (R$)"),
        (5, "Compras"),
        (5, "Saques"),
    ]


def test_a_parquet_file_is_read_by_its_typed_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        np.array([ANA_READ, BIA_READ]), columns=[name.upper() for name in FEATURES]
    )
    frame.insert(0, "NAME", ["Ana", "Bia"])
    frame.loc[1, "PAYMENTS"] = np.nan
    frame.to_parquet(tmp_path / "clients.parquet")

    read = read_path(tmp_path / "clients.parquet")

    assert read.amounts.to_numpy().tolist() == [ANA_READ]
    assert [(fault.line, fault.column) for fault in read.faults] == [(2, "PAYMENTS")]


@pytest.mark.parametrize(
    "write", [pd.DataFrame.to_excel, pd.DataFrame.to_parquet, pd.DataFrame.to_csv]
)
@pytest.mark.parametrize("name", ["clients.csv", "clients.xlsx", "clients.parquet", "clients"])
def test_a_file_is_of_the_kind_that_its_content_says_whatever_it_is_called(
    tmp_path: Path, name: str, write: Callable[..., None]
) -> None:
    frame = pd.DataFrame([["Ana", *ANA_READ]], columns=HEADER.strip().split(";"))
    content = io.BytesIO()
    write(frame, content, index=False)
    (tmp_path / name).write_bytes(content.getvalue())

    assert read_path(tmp_path / name).amounts.to_numpy().tolist() == [ANA_READ]


@pytest.mark.parametrize("write", [pd.DataFrame.to_excel, pd.DataFrame.to_csv])
def test_a_file_of_any_kind_may_come_through_a_pipe(
    tmp_path: Path, write: Callable[..., None]
) -> None:
    frame, content = (
        pd.DataFrame([["Ana", *ANA_READ]], columns=HEADER.strip().split(";")),
        io.BytesIO(),
    )
    write(frame, content, index=False)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content.getvalue()], daemon=True)
    writer.start()

    assert read_path(pipe).names == ["Ana"]
    writer.join()


def test_what_stands_beside_a_client_in_a_column_without_a_name_is_named(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(HEADER.strip().split(";"))
    sheet.append(["Ana", *ANA_READ, None, 0])
    sheet.append([None] * 7 + ["a note beside no client"])
    sheet.append(["Bia", *BIA_READ, " "])
    sheet.cell(row=5, column=1, value="Cia")
    sheet.cell(row=5, column=28, value="far")
    book.save(tmp_path / "clients.xlsx")

    read = read_path(tmp_path / "clients.xlsx")

    assert (read.names, read.lines) == (["Bia"], [2, 4, 5])
    assert [(fault.line, fault.value, fault.reason) for fault in read.faults] == [
        (2, "0", messages.nameless_column("H")),
        (5, "far", messages.nameless_column("AB")),
    ]


def test_every_column_of_amounts_is_looked_at_for_the_mark() -> None:
    line = "Ana\t1\t2\t0\t3\t1,50\n"  # of tabs nobody would guess a comma

    read = read_bytes((HEADER.replace(";", "\t") + line * 60_000).encode())

    assert read.grammar.mark is Mark.COMMA
    assert not read.faults


def test_an_amount_that_could_be_two_is_none_however_far_behind_it_stands() -> None:
    plain, last = "Ana;1;2;0;3;1\n" * 60_000, "Bia;1.234;2;0;3;1\nCia;1.234,5;2;0;3;1\n"

    read = read_bytes((HEADER + plain + last).encode())

    (fault,) = read.faults
    assert (fault.line, fault.value) == (60_002, "1.234")
    assert "de dois modos" in fault.reason


@pytest.mark.parametrize(
    ("line", "reasons"),
    [
        ("Subtotal agência 3;;2161,00;;;;", [messages.TOTALS]),
        ("TOTAL GERAL;;2161,00;5788,00;504,00;3900,00;6250,00", [messages.TOTALS]),
        (";Total geral;2161,00;;;;x", [messages.TOTALS]),
        ("Fim do relatório;;;;;;", [messages.NOTE]),
        (";;2161,00;5788,00;504,00;3900,00;6250,00", ["Nome"]),
        (";;;;;;1", ["Nome", "Saldo devedor", "Compras", "Saques", "Limite de crédito"]),
        ("Totalmente;Caio;-1;1;1;1;1", ["Saldo devedor"]),
    ],
)
def test_a_line_that_names_nobody_is_told_for_totals_or_a_note_by_any_of_its_columns(
    line: str, reasons: list[str]
) -> None:
    read = read_bytes(f"grupo;{HEADER}1;{ANA}{line}\n")

    assert [re.split(": preencha|: o valor", fault.reason)[0] for fault in read.faults] == reasons
    assert read.names == ["Ana"]


def test_a_line_with_too_few_cells_is_told_so() -> None:
    (few, many) = read_bytes((HEADER + "Ana;1;2\n" + "Bia;1;2;0;3;1;x\n").encode()).faults

    assert few.reason.endswith("faltam células.")
    assert "precisam de aspas" in many.reason
