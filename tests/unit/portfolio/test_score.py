"""A file in, a file out: every line comes back, decided or named."""

import csv
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation_api.decision.errors import ModelUnavailableError, RecordBusyError
from portfolio import frames, score
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import MOST_COLUMNS, Choices
from portfolio.files.records import Records
from portfolio.frames import Profiler
from tests.evaluations import EARLIER_POLICY, POLICY
from tests.portfolio_files import ANA, BIA, HEADER

POOR = "Cia;900,00;0,00;0,00;1000,00;0,00\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "clients.csv"
    path.write_text(HEADER + ANA + "Errado;x;0;0;0;1\n" + BIA + "\n" + POOR, "utf-8")
    return path


def scored(source: Path, target: Path, profiler: Profiler) -> score.Totals:
    return score.Scoring(POLICY, profiler).run(source, target, Choices({}), None)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def test_every_line_comes_back_as_sent_with_its_decision_or_what_is_wrong(
    source: Path, tmp_path: Path, carried: Profiler
) -> None:
    totals = scored(source, tmp_path / "out.csv", carried)

    rows = rows_of(tmp_path / "out.csv")
    assert [row["linha"] for row in rows] == ["2", "3", "4", "6"]
    assert [row["nome"] for row in rows] == ["Ana", "Errado", "Bia", "Cia"]
    assert [row["saldo_devedor"] for row in rows] == ["1035,00", "x", "1126,00", "900,00"]
    assert [row["decisao"] for row in rows] == ["aprovado", "", "analise_manual", "recusado"]
    assert rows[3]["uso_do_limite"] == "0,9"
    assert rows[3]["motivos"] == (
        "Saldo devedor acima de 30% do limite de crédito."
        " Pagamentos abaixo de 10% do saldo devedor."
    )
    assert rows[1]["erro_campo"] == "saldo_devedor, limite_de_credito"
    assert "escreva um número" in rows[1]["erro_motivo"]
    assert not rows[0]["erro_motivo"]
    assert (totals.lines, totals.faulty, totals.decided.total()) == (4, 1, 3)


def test_no_share_is_rounded_to_what_the_policy_judges_it_by(
    tmp_path: Path, carried: Profiler
) -> None:
    source = tmp_path / "near.csv"
    near = "Ana;17999,99;0,00;0,00;30000,00;8999,99\nBia;600,00;0,00;0,22;1,00;60,00\n"
    source.write_text(HEADER + near + "Cia;30000,00;0,00;6599,99;30000,00;2999,99\n", "utf-8")

    scored(source, tmp_path / "out.csv", carried)

    ana, bia, cia = rows_of(tmp_path / "out.csv")
    assert ana["uso_do_limite"] == _written(17999.99 / 30000)
    assert ana["parte_paga"] == _written(8999.99 / 17999.99)
    assert (bia["parte_paga"], bia["saques_do_limite"]) == ("0,1", "0,22")
    assert cia["parte_paga"] == _written(2999.99 / 30000)
    assert cia["saques_do_limite"] == _written(6599.99 / 30000)


def _written(value: float) -> str:
    return str(value).replace(".", ",")


@pytest.mark.parametrize(("end", "is_cut"), [("", False), ("\n", False), (" ", False), ("x", True)])
def test_a_file_that_ends_within_a_line_is_told_to_be(
    source: Path, tmp_path: Path, carried: Profiler, end: str, *, is_cut: bool
) -> None:
    source.write_text(source.read_text("utf-8") + end, "utf-8")

    assert scored(source, tmp_path / "out.csv", carried).is_cut_short is is_cut


def test_parquet_keeps_the_types(source: Path, tmp_path: Path, carried: Profiler) -> None:
    scored(source, tmp_path / "out.parquet", carried)

    frame = pd.read_parquet(tmp_path / "out.parquet")
    assert frame["linha"].tolist() == [2, 3, 4, 6]
    assert frame["uso_do_limite"].dtype == float
    assert frame["decisao"].isna().tolist() == [False, True, False, False]


def test_what_is_decided_of_parquet_opens_in_excel(tmp_path: Path, carried: Profiler) -> None:
    cells = {"nome": "Ana", "saldo_devedor": Decimal("1035.50"), "compras": 5788.5, "saques": 0}
    frame = pd.DataFrame([{**cells, "limite_de_credito": 2700.0, "pagamentos": 5651.25}])
    frame.to_parquet(tmp_path / "in.parquet")

    scored(tmp_path / "in.parquet", tmp_path / "out.csv", carried)

    [row] = rows_of(tmp_path / "out.csv")
    assert row["saldo_devedor"] == "1035,50"
    assert row["pagamentos"] == "5651,25"
    assert row["uso_do_limite"] == "0,3835"


def test_a_policy_from_before_facts_gives_no_reasons(
    source: Path, tmp_path: Path, carried: Profiler
) -> None:
    score.Scoring(EARLIER_POLICY, carried).run(source, tmp_path / "out.csv", Choices({}), None)

    assert "motivos" not in rows_of(tmp_path / "out.csv")[0]


@pytest.mark.parametrize(
    "name", ["=1+1", "+55 11", "-Ana", "@SUM(1)", " =1+1", "\uff1d1+1", '"=HYPERLINK(""x"")"']
)
def test_what_a_spreadsheet_would_run_is_marked_as_text(
    name: str, tmp_path: Path, carried: Profiler
) -> None:
    (tmp_path / "in.csv").write_text(HEADER + ANA.replace("Ana", name), "utf-8")

    scored(tmp_path / "in.csv", tmp_path / "out.csv", carried)

    assert rows_of(tmp_path / "out.csv")[0]["nome"].startswith("'")


def test_a_negative_amount_is_no_formula(tmp_path: Path, carried: Profiler) -> None:
    lines = ANA.replace("1035,00", "-1035,00") + ANA.replace("1035,00", "=1+1")
    (tmp_path / "in.csv").write_text(HEADER + lines, "utf-8")

    scored(tmp_path / "in.csv", tmp_path / "out.csv", carried)

    assert [row["saldo_devedor"] for row in rows_of(tmp_path / "out.csv")] == ["-1035,00", "'=1+1"]


def test_columns_that_decide_nothing_come_back_and_take_no_name_of_ours(
    tmp_path: Path, carried: Profiler
) -> None:
    content = HEADER.replace("\n", ";decisao\n") + ANA.replace("\n", ";ligar\n")
    (tmp_path / "in.csv").write_text(content, "utf-8")

    scored(tmp_path / "in.csv", tmp_path / "out.csv", carried)

    row = rows_of(tmp_path / "out.csv")[0]
    assert (row["decisao"], row["decisao_"]) == ("ligar", "aprovado")


def test_names_of_columns_are_marked_as_text_too_and_known_again_as_they_were(
    tmp_path: Path, carried: Profiler
) -> None:
    content = (
        HEADER.replace("\n", ";=1+1;@x\n")
        + ANA.replace("\n", ";a;b\n")
        + BIA.replace(";0,00;", ";x;").replace("\n", ";;\n")
    )
    (tmp_path / "in.csv").write_text(content.replace("compras", "=compras"), "utf-8")
    choices = Choices({"purchases": "=compras"})

    for source in ("in.csv", "out.csv"):
        scoring = score.Scoring(POLICY, carried)
        scoring.run(tmp_path / source, tmp_path / f"{source}.csv", choices, None)
        (tmp_path / f"{source}.csv").replace(tmp_path / "out.csv")

        rows = rows_of(tmp_path / "out.csv")
        assert [name for name in rows[0] if "1+1" in name or "@" in name] == ["'=1+1", "'@x"]
        assert rows[0]["'=compras"] == "5788,00"
        assert rows[0]["decisao" if source == "in.csv" else "decisao_"] == "aprovado"
    assert rows[1]["erro_campo"] == "'=compras"


def test_names_that_repeat_are_counted_and_no_file_takes_long_for_it(
    tmp_path: Path, carried: Profiler
) -> None:
    extra = MOST_COLUMNS - 6
    content = HEADER.replace("\n", ";c" * extra + "\n") + ANA.replace("\n", ";x" * extra + "\n")
    (tmp_path / "in.csv").write_text(content, "utf-8")

    scored(tmp_path / "in.csv", tmp_path / "out.csv", carried)

    names = [name for name in rows_of(tmp_path / "out.csv")[0] if name[:2] in ("c", "c_")]
    assert names == ["c", "c_", *(f"c_{number}" for number in range(2, extra))]


def test_a_file_has_so_many_columns_and_no_more(tmp_path: Path, carried: Profiler) -> None:
    extra = MOST_COLUMNS - 5
    content = HEADER.replace("\n", ";c" * extra + "\n") + ANA.replace("\n", ";x" * extra + "\n")
    (tmp_path / "in.csv").write_text(content, "utf-8")

    with pytest.raises(UnreadableFileError, match=r"Linha 1: há 1\.001 colunas"):
        scored(tmp_path / "in.csv", tmp_path / "out.csv", carried)


def test_a_result_is_its_owners_whatever_the_umask(
    source: Path, tmp_path: Path, carried: Profiler
) -> None:
    scored(source, tmp_path / "out.csv", carried)

    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600


def test_a_planted_link_is_not_followed(source: Path, tmp_path: Path, carried: Profiler) -> None:
    (tmp_path / f".out.csv.{os.getpid()}.part").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(FileExistsError):
        scored(source, tmp_path / "out.csv", carried)

    assert not (tmp_path / "elsewhere").exists()


_KILLED = (
    "import os, sys; from pathlib import Path; from portfolio.files import writing\n"
    "with writing.result(Path(sys.argv[1]), ';', None): os.kill(os.getpid(), 9)"
)


def test_what_a_run_that_was_killed_has_left_goes_with_the_next_run(
    source: Path, tmp_path: Path, carried: Profiler
) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, tmp_path / "out.csv"], check=False)
    left = list(tmp_path.glob(".out.csv.*.part"))
    ours = tmp_path / f".out.csv.{os.getpid()}.part"  # a container's processes have few numbers
    ours.touch()
    with (tmp_path / ".out.csv.still-written.part").open("wb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)

        scored(source, tmp_path / "out.csv", carried)

        assert (killed.returncode, len(left)) == (-signal.SIGKILL, 1)
        assert [str(one) for one in tmp_path.glob(".out.csv.*.part")] == [written.name]


class Failing:
    """Fails at its second block."""

    def __init__(self, profiler: Profiler) -> None:
        self.model, self._profiler, self._asked = profiler.model, profiler, 0

    def profiles(self, amounts: frames.Floats) -> frames.Profiles:
        self._asked += 1
        if self._asked > 1:
            raise ModelUnavailableError("gone")
        return self._profiler.profiles(amounts)


def test_what_breaks_off_leaves_no_result_and_nothing_unfinished(
    tmp_path: Path, carried: Profiler
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(HEADER + ANA * 50_000, "utf-8")

    with pytest.raises(ModelUnavailableError):
        scored(source, tmp_path / "out.csv", Failing(carried))

    assert list(tmp_path.iterdir()) == [source]


def test_a_line_that_ends_the_reading_leaves_no_result(tmp_path: Path, carried: Profiler) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes((HEADER + ANA * 50_000).encode() + b"\xc3\xa9;1\n\xff;1\n")

    with pytest.raises(UnreadableFileError, match=r"mistura codificações"):
        scored(source, tmp_path / "out.csv", carried)

    assert list(tmp_path.iterdir()) == [source]


def test_what_is_read_ahead_comes_in_order_and_ends_with_the_reading() -> None:
    read: list[int] = []

    def records() -> Iterator[Records]:
        for line in range(5):
            read.append(line)
            yield Records(np.array([line]), [], [])
        raise UnreadableFileError("half a line", 5)

    seen = [one for one, _ in zip(score.ahead(records()), range(4), strict=False)]

    assert [int(one.lines[0]) for one in seen] == read[:4]
    with pytest.raises(UnreadableFileError, match="half a line"):
        list(score.ahead(records()))


def test_nothing_behind_a_call_that_failed_is_done_and_its_reason_is_told() -> None:
    may_fail, done = threading.Event(), list[int]()

    def fail() -> None:
        assert may_fail.wait(10)
        raise RecordBusyError("locked")

    def submit_all() -> None:
        with score.in_order() as submit:
            for call in (partial(done.append, 1), fail, partial(done.append, 2)):
                submit(call)
            may_fail.set()

    with pytest.raises(RecordBusyError, match="locked"):
        submit_all()
    assert done == [1]
