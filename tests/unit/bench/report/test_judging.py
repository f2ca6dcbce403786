"""The ratios, the verdicts and the table."""

import json
from dataclasses import replace
from pathlib import Path

from bench.load.measurements import Burst, Comparison, Measured, Overload, Point
from bench.load.open_loop import OpenLoad
from bench.load.wrk import Load
from bench.report import plot, targets
from bench.report.machine import Machine
from bench.report.tables import Report, table
from bench.report.targets import Target

MACHINE = Machine("cpu", 2, 8.0, "6", "3.11", "wrk 4", {"numpy": "2"}, "2026-01-01", 1.0)
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
    late_p99_ms=1,
)


def point(connections: int, rate: float, p50: float, p99: float, rows: int = 1) -> Point:
    load = Load(1.0, int(rate), 0, 0, p50, p99, p99, p99)
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


def test_each_target_is_judged_by_the_ratio_it_names() -> None:
    assert verdicts(targets.of_systems([MONOLITH, OURS, CEILING])) == {
        ("64 connections: requests/s against the monolith", 3.0): (3.0, True),
        ("64 connections: requests/s against the ceiling", 0.6): (0.6, True),
        ("64 connections: p99 against own p50", 2.0): (2.05, False),
        ("64 connections: p99 against the monolith's", 0.1): (0.029, True),
        ("1 connection: p50 against the monolith's", 1.2): (1.1, True),
        ("1 connection: p50 against the monolith's", 1.0): (1.1, False),
        ("p50 1 s after a burst against fresh", 1.5): (1.25, True),
        ("goodput at twice the best load against it", 0.9): (0.95, True),
        ("slowest of 60000 refusals at twice the load", 100): (101, False),
        ("idle memory of both services", 350): (330.0, True),
        ("ready after the start", 6): (5.0, True),
    }


def test_ratios_of_loads_in_turn_are_judged_too() -> None:
    compared = [
        Comparison(
            "ours", "monolith", "the monolith", 1, 9, requests_per_second=0.9, p50=1.1, p99=1.2
        ),
        Comparison(
            "ours", "monolith", "the monolith", 64, 9, requests_per_second=6.0, p50=0.2, p99=0.15
        ),
        Comparison(
            "ours", "ceiling", "the ceiling", 64, 9, requests_per_second=0.7, p50=1.3, p99=1.4
        ),
    ]

    assert verdicts(list(targets.of_comparisons(compared))) == {
        ("side by side, 1 connection: p50 against the monolith's", 1.2): (1.1, True),
        ("side by side, 1 connection: p50 against the monolith's", 1.0): (1.1, False),
        ("side by side, 64 connections: requests/s against the monolith", 3.0): (6.0, True),
        ("side by side, 64 connections: p99 against the monolith's", 0.1): (0.15, False),
        ("side by side, 64 connections: requests/s against the ceiling", 0.6): (0.7, True),
    }
    text = replace(report(), compared=compared).text()
    assert " the monolith |" in text
    assert "0.15" in text


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


def report() -> Report:
    measured = [MONOLITH, OURS, CEILING]
    judged = targets.of_systems(measured)
    return Report("system", MACHINE, {"seconds": 5}, measured, ["monolith", "ceiling"], judged)


def test_the_table_shows_ratios_to_the_same_load_of_another_system() -> None:
    lines = report().text().splitlines()

    row = next(line for line in lines if line.startswith("| system") and " 64 " in line)
    assert [cell.strip() for cell in row.split("|")[-3:-1]] == ["3.00", "0.60"]
    alone = next(line for line in lines if line.startswith("| system") and " 600 " in line)
    assert [cell.strip() for cell in alone.split("|")[-3:-1]] == ["0.86", "-"]


def test_a_missed_target_stands_out() -> None:
    missed = [line for line in report().text().splitlines() if "MISSED" in line]

    assert len(missed) == 3


def test_columns_line_up() -> None:
    printed = table([["a", "b"], ["long name", "1"], ["x", "1,000"]])

    assert printed == (
        "| a         |     b |\n| --------- | ----: |\n| long name |     1 |\n| x         | 1,000 |"
    )


def test_the_json_says_what_was_measured_and_what_was_met(tmp_path: Path) -> None:
    report().write_json(tmp_path / "results.json")

    whole = json.loads((tmp_path / "results.json").read_text())
    assert whole["measured"][1]["points"][1]["load"]["p99_ms"] == 41
    assert [one["met"] for one in whole["targets"]].count(False) == 3


def test_the_plot_is_the_same_for_the_same_figures(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        plot.draw([MONOLITH, OURS], tmp_path / name)

    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    assert "monolith" in drawn
