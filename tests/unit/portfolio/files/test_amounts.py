"""Amounts by columns are those that are read one by one."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.files import amounts
from portfolio.files.amounts import Grammar, Mark

CELLS = st.one_of(
    st.text("0123456789.,-()R$r \u00a0+eE", max_size=18),
    st.from_regex(r"[0-9]{1,3}([.,][0-9]{0,4})?[eE][+-]?[0-9]{1,4}", fullmatch=True),
    st.from_regex(
        r" {0,2}(R\$ ?)?[0-9]{1,3}([.,][0-9]{3}){0,3}([.,][0-9]{0,5})? ?", fullmatch=True
    ),
    st.sampled_from(
        [
            "R$ -",
            " r$-  ",
            "R$ R$ 5",
            "-",
            "R$ -5,00",
            "1.234",
            "1,234",
            "1.234.567,891",
            "1.23",
            "12.345,6789",
        ]
    ),
)
GRAMMARS = st.builds(Grammar, st.sampled_from(Mark), st.booleans())


def one_by_one(cell: str, grammar: Grammar) -> float | None:
    try:
        return amounts.read(cell, grammar)
    except amounts.NotAnAmountError:
        return None


@given(st.lists(CELLS, min_size=1, max_size=8), GRAMMARS)
def test_what_is_read_at_once_is_what_is_read_one_by_one(
    cells: list[str], grammar: Grammar
) -> None:
    read, others = amounts.columns(pa.array(cells, pa.string()), grammar)

    at_once = set(range(len(cells))) - set(others.tolist())
    assert {at: read[at] for at in at_once} == {
        at: one_by_one(cells[at], grammar) for at in at_once
    }


@pytest.mark.parametrize(
    "cell",
    [
        "12",
        "1,5",
        "1,2345",
        "1,234",
        "1,5,55",
        "1,",
        ",5",
        "",
        "x",
        "1 ",
        "9" * 400,
        f"0,{400 * '0'}1",
    ],
)
@pytest.mark.parametrize("grammar", [Grammar(Mark.COMMA, told) for told in (False, True)])
def test_a_cell_behind_plain_ones_is_read_as_by_itself(cell: str, grammar: Grammar) -> None:
    read, others = amounts.columns(pa.array(["7", "8", "1,25", "3", cell])[2:], grammar)

    expected = one_by_one(cell, grammar)
    assert read[:2].tolist() == [1.25, 3]
    assert others.tolist() == [2] or read[2] == expected


@given(st.lists(CELLS, max_size=12))
def test_what_cells_say_of_the_mark_at_once_is_what_they_say_one_by_one(cells: list[str]) -> None:
    assert amounts.evidence_in(pa.array(cells, pa.string())) == amounts.evidence_of(cells)


@pytest.mark.parametrize(
    "cell", ["3000", "3000,5", "3.000,00", "1.234.567", " R$ 1.234,50 ", "R$ -  "]
)
def test_amounts_as_spreadsheets_in_brazil_write_them_are_read_at_once(cell: str) -> None:
    grammar = Grammar(Mark.COMMA, three_decimals=False)

    read, others = amounts.columns(pa.array([cell, "mil", None]), grammar)

    assert others.tolist() == [1, 2]
    assert read[0] == one_by_one(cell, grammar)


def test_a_zero_of_parquet_has_no_sign() -> None:
    read, _ = amounts.columns(pa.array([-0.0, 5.0]), Grammar(Mark.COMMA, three_decimals=True))

    assert [str(amount) for amount in read] == ["0.0", "5.0"]
