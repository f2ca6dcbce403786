"""The ratios, the verdicts and the table."""

from dataclasses import replace
from pathlib import Path

from bench.load.checks import Held
from bench.load.faults import Outcome
from bench.load.measurements import Burst, Comparison, Measured, Overload, Point
from bench.load.open_loop import OpenLoad
from bench.load.stage import Seen
from bench.load.wrk import Load
from bench.report import plot, tables, targets
from bench.report.tables import Report
from bench.report.targets import Target

OVERLOAD = OpenLoad(
    offered_per_second=6000,
    seconds=20,
    goodput=2850,
    good=57_000,
    refused=60_000,
    failed=0,
    mixed_up=0,
    unanswered=0,
    good_p50_ms=300,
    good_p99_ms=400,
    refusal_p99_ms=20,
    refusal_max_ms=101,
    refusal_surely_ms=99,
    late_p99_ms=1,
)


def point(connections: int, rate: float, p50: float, p99: float, rows: int = 1) -> Point:
    load = Load(1.0, int(rate), 0, 0, p50, p99)
    return Point(connections, rows, load, cpu_ms=0.5)


def system(key: str, *points: Point) -> Measured:
    return Measured(key, key, 5.0, 350.0, 330.0, 400.0, list(points))


MONOLITH = system("monolith", point(1, 700, 1.4, 3), point(64, 1000, 58, 1400))
CEILING = system("ceiling", point(64, 5000, 12, 20))
OURS = replace(
    system("system", point(1, 600, 1.54, 3), point(64, 3000, 20, 41)),
    burst=Burst(256, 3, fresh_p50_ms=2.0, after_p50_ms=2.5),
    overload=Overload(OVERLOAD, before=3400, after=2600),
)


def verdicts(judged: list[Target]) -> dict[tuple[str, float], tuple[float, bool]]:
    return {(one.what, one.goal): (round(one.measured, 3), one.met) for one in judged}


def test_each_target_is_judged_by_the_figure_it_names() -> None:
    monolith = replace(MONOLITH, points=[*MONOLITH.points, point(256, 900, 250, 3000)])
    ours = replace(OURS, points=[*OURS.points, point(256, 3000, 80, 150)])

    assert verdicts(targets.of_systems([monolith, ours, CEILING])) == {
        ("64 connections: p99 against own p50", 2.0): (2.05, False),
        ("256 connections: p99 against own p50", 2.0): (1.875, True),
        ("256 connections: p99 against the monolith's", 0.1): (0.05, True),
        ("p50 1 s after a burst against fresh", 1.5): (1.25, True),
        ("goodput at twice the best load against it", 0.9): (0.95, True),
        ("slowest of 60000 refusals at twice the load", 100): (101, False),
        ("idle memory of both services", 350): (330.0, True),
        ("ready after the start", 6): (5.0, True),
    }


def beside(key: str, connections: int, rate: float, p50: float, p99: float) -> Comparison:
    return Comparison("this system", key, f"the {key}", connections, 9, rate, p50, p99)


def test_ratios_are_judged_where_systems_were_driven_in_turn() -> None:
    compared = [
        beside("monolith", 1, 0.9, 1.1, 1.2),
        beside("monolith-async", 1, 0.7, 1.6, 1.5),
        beside("monolith", 64, 6.0, 0.2, 0.15),
        beside("monolith-async", 64, 2.9, 0.3, 0.15),
        beside("ceiling", 64, 0.7, 1.3, 1.4),
    ]

    many, one = "side by side, 64 connections", "side by side, 1 connection"
    stronger = "against the stronger monolith (async def)"
    assert verdicts(list(targets.of_comparisons(compared))) == {
        (f"{many}: requests/s of this system {stronger}", 3.0): (2.9, False),
        (f"{one}: p50 of this system {stronger}", 1.8): (1.6, True),
        (f"{many}: requests/s of this system against the monolith", 3.0): (6.0, True),
        (f"{many}: p99 of this system against the monolith", 0.1): (0.15, False),
        (f"{one}: p50 of this system against the monolith", 1.0): (1.1, False),
        (f"{many}: requests/s of this system against the ceiling", 0.6): (0.7, True),
    }
    text = replace(report(), compared=compared).text()
    assert " the monolith-async |" in text
    assert "0.15" in text


def test_keys_are_judged_beside_the_same_system_without_and_no_other() -> None:
    keyed = replace(beside("postgres", 64, 0.8, 1.2, 1.2), ours="PostgreSQL, with keys")
    file = replace(keyed, ours="SQLite")

    (target,) = targets.of_comparisons([keyed, file])

    assert ("of PostgreSQL, with keys" in target.what, target.met) == (True, False)


def test_the_floor_holds_with_access_keys_too() -> None:
    ours = "this system, with access keys"
    many = replace(beside("monolith-async", 64, 2.9, 0.3, 0.1), ours=ours)
    one = replace(beside("monolith-async", 1, 0.5, 1.7, 0.1), ours=ours)

    assert [(t.goal, t.met) for t in targets.of_comparisons([many, one])] == [
        (3.0, False),
        (1.8, True),
    ]


def test_a_fault_may_lose_nothing_decide_nothing_twice_and_keep_nobody_waiting() -> None:
    seen = Seen(sent=100, accepted_ms=[250.0], slowest_ms={"503": 1500.0}, back_seconds=4.0)
    outcome = Outcome("hole", seen, Held(101, lost=1, doubled=2, unversioned=3))

    assert verdicts(list(targets.of_a_fault(outcome))) == {
        ("hole: lost", 0): (1, False),
        ("hole: doubled", 0): (2, False),
        ("hole: unversioned", 0): (3, False),
        ("hole: answered twice in different words", 0): (0, True),
        ("hole: back after", 5): (4.0, True),
        ("hole: slowest 503", 1000): (1500.0, False),
        ("hole: p99 of the 202 answers", 200): (250.0, False),
    }


def test_what_was_not_measured_is_not_judged() -> None:
    assert targets.of_systems([MONOLITH, CEILING]) == []
    assert {one.unit for one in targets.of_systems([system("system", point(1, 9, 1, 1))])} == {
        "MB",
        "s",
    }


def test_the_model_service_is_judged_beside_mlserver_and_by_rows() -> None:
    ours = system("model1", point(64, 3000, 20, 60), point(8, 300, 20, 30, rows=1024))
    mlserver = system("mlserver", point(64, 1000, 40, 200))

    assert verdicts(targets.of_models([ours, mlserver])) == {
        ("1 worker, 64 connections: requests/s against MLServer", 2.5): (3.0, True),
        ("1 worker, 64 connections: p99 against MLServer", 0.3): (0.3, True),
        ("model1: 1,024 rows a request", 300_000): (307_200, True),
    }


def test_columns_are_judged_beside_mlserver_with_as_many_rows() -> None:
    mlserver = system("mlserver", point(8, 200, 40, 200, rows=1024))
    ours = system("model1-columns", point(8, 200, 20, 30, rows=64), point(8, 290, 9, 9, rows=1024))

    assert verdicts(targets.of_models([ours, mlserver])) == {
        ("model1-columns: 1,024 rows a request, against MLServer", 1.5): (1.45, False)
    }
    assert targets.of_models([ours]) == []


def report() -> Report:
    measured = [MONOLITH, OURS, CEILING]
    judged = targets.of_systems(measured)
    return Report("2 cores", measured, ["monolith", "ceiling"], targets=judged)


def test_the_table_shows_ratios_to_the_same_load_of_another_system() -> None:
    lines = report().text().splitlines()

    row = next(line for line in lines if line.startswith("| system") and " 64 " in line)
    assert [cell.strip() for cell in row.split("|")[-3:-1]] == ["3.00", "0.60"]
    alone = next(line for line in lines if line.startswith("| system") and " 600 " in line)
    assert [cell.strip() for cell in alone.split("|")[-3:-1]] == ["0.86", "-"]


def test_a_missed_target_stands_out() -> None:
    missed = [line for line in report().text().splitlines() if "MISSED" in line]

    assert len(missed) == 2


def test_columns_line_up() -> None:
    printed = tables.align([["a", "b"], ["long name", "1"], ["x", "1,000"]])

    assert printed == (
        "| a         |     b |\n| --------- | ----: |\n| long name |     1 |\n| x         | 1,000 |"
    )


def test_the_plot_is_the_same_for_the_same_figures(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        plot.draw([MONOLITH, OURS], tmp_path / name)

    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    assert "monolith" in drawn
