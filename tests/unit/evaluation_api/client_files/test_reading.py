"""Files as people have them: every encoding, separator and notation of amounts, and each fault."""

import csv
import io
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation_api.client_files import lines
from evaluation_api.client_files.domain import FIELDS, Dialect, Fault, Line
from evaluation_api.client_files.reading import FileReader
from evaluation_api.decision.domain import FEATURES, Applicant
from evaluation_api.decision.errors import InvalidRequestError
from tests.client_files import HEADER, csv_of

PORTUGUESE = ("Nome", "SALDO DEVEDOR", "compras", "Saques", "Limite de Crédito", "pagamentos")
ENGLISH = FIELDS

amount = st.integers(0, 10**9).map(lambda cents: cents / 100)
#: Characters whose bytes in Latin-1 are one character in UTF-8: which of the two nobody can tell.
TWO_LIKE_ONE = re.compile("[\xc2-\xf4][\x80-\xbf]")
#: What Latin-1 and Windows-1252 agree on, separators, quotes and line ends included.
name = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]) | st.just("\n"),
    min_size=1,
    max_size=30,
).filter(lambda text: text.strip() != "" and not TWO_LIKE_ONE.search(text))


def read(content: bytes, pace: int = 7) -> tuple[Dialect, list[Line]]:
    """Read a file that comes in a few bytes at a time."""
    reader, found = FileReader(), []
    for start in range(0, len(content), pace):
        found += reader.feed(content[start : start + pace])
    found += reader.finish()
    return reader.dialect, found


def formatted(value: float, notation: str) -> str:
    if notation == "1.234,56":
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))
    return f"{value:.2f}".replace(".", ",") if notation == "1234,56" else f"{value:.2f}"


@settings(deadline=None)  # other tests may have the machine
@given(
    clients=st.lists(st.tuples(name, st.lists(amount, min_size=5, max_size=5)), min_size=1),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]),
    delimiter=st.sampled_from([",", ";"]),
    notation=st.sampled_from(["1.234,56", "1234,56", "1234.56"]),
    end=st.sampled_from(["\n", "\r\n"]),
    header=st.sampled_from([PORTUGUESE, ENGLISH]),
    order=st.permutations(range(6)),
    pace=st.integers(1, 50),
)
def test_whatever_is_written_is_read_again(  # noqa: PLR0913, PLR0917 - one for each freedom
    clients: list[tuple[str, list[float]]],
    encoding: str,
    delimiter: str,
    notation: str,
    end: str,
    header: tuple[str, ...],
    order: list[int],
    pace: int,
) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end)
    writer.writerow([header[i] for i in order])
    for called, figures in clients:
        cells = [called, *(formatted(figure, notation) for figure in figures)]
        writer.writerow([cells[i] for i in order])

    dialect, found = read(written.getvalue().encode(encoding), pace)

    assert dialect.delimiter == delimiter
    assert dialect.decimal_comma == (notation != "1234.56")
    assert [FIELDS[i] for i in order] == list(dialect.fields)
    parse = lines.reader(dialect)
    for line, (called, figures) in zip(found, clients, strict=True):
        places = {field: line.cells[at] for at, field in enumerate(dialect.fields)}
        assert places["name"] == called
        applicant = parse(line._replace(cells=_called(line, dialect, "Ana", limit="1000,00")))
        if isinstance(applicant, Applicant):
            told = [getattr(applicant.usage, feature) for feature in FEATURES]
            expected = [*figures[:3], told[3], figures[4]]
            assert all(map(math.isclose, told, expected))
        else:
            assert notation == "1234.56"


def _called(line: Line, dialect: Dialect, called: str, limit: str) -> list[str]:
    instead = {"name": called, "credit_limit": limit}
    pairs = zip(dialect.fields, line.cells, strict=True)
    return [instead.get(field, cell) for field, cell in pairs]


def test_a_quote_within_a_name_is_a_character_like_any_other() -> None:
    _, found = read(csv_of('Ana 5" Silva;1;2;3;4;5', '"Bia\nLima";1;2;3;4;5', "Caio;1;2;3;4;5"))

    assert [line.cells[0] for line in found] == ['Ana 5" Silva', "Bia\nLima", "Caio"]
    assert [line.number for line in found] == [2, 3, 5]


def test_line_numbers_are_those_that_an_editor_shows() -> None:
    content = csv_of('"Ana\nLúcia";1;2;3;4;5', "", ";;;;;", "Bia;1;2;3;4;5")

    _, found = read(content)

    assert [line.number for line in found] == [2, 6]


def test_empty_lines_before_the_header_count_as_lines() -> None:
    _, found = read(b"\n\n" + csv_of("Ana;1;2;3;4;5"))

    assert [line.number for line in found] == [4]


@pytest.mark.parametrize(
    ("cells", "delimiter", "comma"),
    [
        (("1.234", "12", "1", "1", "1"), ";", True),
        (("1.234", "12", "1", "1", "1"), ",", False),
        (("1.234", "12.5", "1", "1", "1"), ";", False),
        (("1.234", "12,5", "1", "1", "1"), ";", True),
    ],
)
def test_an_amount_of_two_readings_is_read_as_the_rest_of_the_file(
    cells: tuple[str, ...], delimiter: str, *, comma: bool
) -> None:
    header, line = HEADER.replace(";", delimiter), delimiter.join(["Ana", *cells])

    dialect, found = read(csv_of(line, header=header))

    assert dialect.decimal_comma is comma
    applicant = lines.reader(dialect)(found[0])
    assert isinstance(applicant, Applicant)
    assert applicant.usage.balance == (1234 if comma else 1.234)


@pytest.mark.parametrize(
    ("cells", "comma", "balance"),
    [
        ((" R$ 1.234,56 ", "R$ 12,00", " R$ -   ", "R$ 900,00", "r$5"), True, 1234.56),
        (("R$\N{NO-BREAK SPACE}900,00", "0", "0", "1", "1"), True, 900),
        (("R$ 1,234.56", "R$ 12.50", "R$ -", "R$ 900.00", "5"), False, 1234.56),
        (("R$ -", "12,50", "0", "900,00", "5"), True, 0),
    ],
)
def test_an_amount_may_be_written_as_a_spreadsheet_shows_money(
    cells: tuple[str, ...], balance: float, *, comma: bool
) -> None:
    header = "Nome;Saldo devedor (R$);Compras (R$);Saques(R$);Limite de crédito (R$);Pagamentos"

    dialect, found = read(csv_of(";".join(["Ana", *cells]), header=header))

    assert dialect.decimal_comma is comma
    applicant = lines.reader(dialect)(found[0])
    assert isinstance(applicant, Applicant)
    assert applicant.usage.balance == balance


@pytest.mark.parametrize(
    ("content", "pointers", "says"),
    [
        (b"", ["#/1"], "O arquivo está vazio"),
        (b"\n\n", ["#/1"], "vazio"),
        (HEADER.encode(), ["#/1"], "pelo menos um cliente"),
        (csv_of(), ["#/1"], "pelo menos um cliente"),
        (
            csv_of("A;1;2;3;4", header="nome;saldo_devedor;compras;saques;limite"),
            ["#/pagamentos"],
            "Falta a coluna “pagamentos”",
        ),
        (csv_of(header=HEADER + ";sexo"), ["#/sexo"], "“sexo” não é aceita"),
        (csv_of(header=HEADER + ";balance"), ["#/balance"], "repete “saldo_devedor”"),
        (csv_of(header=HEADER + ";"), ["#/"], "sem nome na posição 7"),
        (csv_of('"Ana;1;2;3;4;5', "Bia;1;2;3;4;5"), ["#/2"], "Linha 2: há aspas"),
        (b"PK\x03\x04\x14\x00\xc3\xa9\xff\xff\n", ["#/1"], "O arquivo não é um CSV"),
        (csv_of("João;1;2;3;4;5") + b"Jo\xe3o;1;2;3;4;5", ["#/3"], "UTF-8"),
        ("nome".encode("utf-16"), ["#/1"], "CSV UTF-8"),
        (csv_of("Ana;1;2;3;4;5").decode().encode("utf-16-le"), ["#/1"], "CSV UTF-8"),
        (csv_of("Ana;1;2;3;4;5").replace(b"\r\n", b"\r"), ["#/1"], "não pode ser lida como CSV"),
        (b"\n\n" + b"a" * 100_000, ["#/3"], "longa demais"),
        (csv_of("Ana;1;2;3;4;5", "a" * 100_000), ["#/3"], "longa demais"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_why(
    content: bytes, pointers: list[str], says: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read(content)

    assert [fault.pointer for fault in refused.value.fields] == pointers
    assert says in refused.value.fields[0].detail


def test_quotes_that_never_close_are_refused_before_they_fill_the_memory() -> None:
    reader = FileReader()
    reader.feed(csv_of("Ana;1;2;3;4;5", '"Bia;1;2;3;4;5'))

    with pytest.raises(InvalidRequestError) as refused:
        reader.feed(b"x;1;2;3;4;5\n" * 10_000)

    assert refused.value.fields[0].pointer == "#/3"


@pytest.mark.timeout(10)
def test_a_million_empty_lines_before_the_header_are_passed_by_at_once() -> None:
    _, found = read(b"\n" * 1_000_000 + csv_of("Ana;1;2;3;4;5"), pace=65_536)

    assert [line.number for line in found] == [1_000_002]


@settings(deadline=None)
@given(
    text=st.text(st.sampled_from('";,\n\r\0a1é'), max_size=60),
    head=st.sampled_from(["", HEADER + "\r\n"]),
    pace=st.integers(1, 20),
)
def test_any_text_is_refused_in_a_sentence_or_read_the_same_in_whatever_pieces(
    text: str, head: str, pace: int
) -> None:
    content = (head + text).encode()

    assert outcome(content, pace) == outcome(content, len(content) + 1)


def outcome(content: bytes, pace: int) -> tuple[Dialect, list[Line]] | None:
    try:
        return read(content, pace)
    except InvalidRequestError:
        return None


def test_latin_1_with_the_dashes_of_windows_is_read() -> None:
    dialect, found = read(csv_of("D\u2019Ávila \u2013 filho;1;2;3;4;5").decode().encode("cp1252"))

    assert dialect.encoding == "windows-1252"
    assert found[0].cells[0] == "D\u2019Ávila \u2013 filho"


GOOD = {"name": "Ana", **dict.fromkeys(FEATURES, "1,5")}
DIALECT = Dialect("utf-8", ";", True, tuple(GOOD), tuple(GOOD))  # noqa: FBT003 - as msgspec has it


def test_a_line_of_another_width_is_named_as_a_whole() -> None:
    fault = lines.reader(DIALECT)(Line(2, ["Ana", "1", "2"]))

    assert isinstance(fault, Fault)
    assert fault.field is None
    assert "3 colunas" in fault.reason
