"""One table of what was measured, for people; and the same as JSON, for whatever comes next."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load.measurements import Comparison, Measured, Point
from bench.report.machine import Machine
from bench.report.targets import Target


@dataclass(frozen=True)
class Report:
    """One run. against: the keys of the systems that ratios are taken to.

    compared: ratios of loads in turn, where there were any.
    """

    name: str
    machine: Machine
    settings: dict[str, object]
    measured: Sequence[Measured]
    against: Sequence[str]
    targets: Sequence[Target]
    compared: Sequence[Comparison] = ()

    def text(self) -> str:
        """Format all of it in Markdown, readable in a terminal too."""
        parts = [self._points()]
        if self.compared:
            parts.append(table(comparison_rows(self.compared)))
        parts += [*self._stress(), self._processes()]
        if self.targets:
            parts.append(table(_target_rows(self.targets)))
        return "\n\n".join([*parts, self._circumstances()])

    def write_json(self, path: Path) -> None:
        """Write all of it, whether the targets are met included."""
        whole = asdict(self)
        for target, judged in zip(whole["targets"], self.targets, strict=True):
            target["met"] = judged.met
        path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")

    def _points(self) -> str:
        titles = {one.key: one.title for one in self.measured}
        against = [key for key in self.against if key in titles]
        head = ["system", "connections", "rows", "requests/s", "rows/s", "p50 ms", "p99 ms"]
        head += ["errors", "CPU ms/request", *(f"x {titles[key]}" for key in against)]
        rows = [head]
        for one in self.measured:
            rows += [
                [one.title, *_point_cells(point), *self._ratios(point, against)]
                for point in one.points
            ]
        return table(rows)

    def _ratios(self, point: Point, against: Sequence[str]) -> Iterator[str]:
        by_key = {one.key: one for one in self.measured}
        for key in against:
            there = by_key[key].at(point.connections, point.rows)
            rate = there.load.requests_per_second if there else 0.0
            yield f"{point.load.requests_per_second / rate:.2f}" if rate else "-"

    def _stress(self) -> Iterator[str]:
        burst_rows = [["system", "burst", "p50 ms fresh", "p50 ms 1 s after", "ratio"]]
        overload_rows = [
            [
                *("system", "best/s before", "offered/s", "good/s", "best/s after"),
                *("good p50 ms", "good p99 ms", "refused"),
                *("refusal p99 ms", "refusal max ms", "failed", "unanswered", "sent late p99 ms"),
            ]
        ]
        burst_rows += [_burst_cells(one) for one in self.measured if one.burst]
        overload_rows += [_overload_cells(one) for one in self.measured if one.overload]
        batch_rows = [["system", "batches", "requests a batch", "of several", "largest up to"]]
        batch_rows += [_batch_cells(one) for one in self.measured if one.batches]
        for rows in (burst_rows, overload_rows, batch_rows):
            if len(rows) > 1:
                yield table(rows)

    def _processes(self) -> str:
        head = ["system", "ready s", "idle MB", "after load MB", "answered", "recorded"]
        rows = [
            [
                one.title,
                f"{one.seconds_to_ready:.1f}",
                _idle(one),
                f"{one.loaded_mb:.0f}",
                _optional(one.answered),
                _optional(one.recorded),
            ]
            for one in self.measured
        ]
        return table([head, *rows])

    def _circumstances(self) -> str:
        machine = self.machine
        versions = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return (
            f"{machine.cores} cores of {machine.cpu}, {machine.memory_gb} GB, Linux"
            f" {machine.kernel}, {machine.busy_percent:.0f} % busy before; Python"
            f" {machine.python}, {machine.wrk}, {versions}.\n"
            f"Started {machine.started_at}; {settings}."
        )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align a head and its rows as a Markdown table, the first column left, the others right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(row, widths) for row in [rows[0], rule, *rows[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return f"| {' | '.join(cells)} |"


def _point_cells(point: Point) -> list[str]:
    load = point.load
    return [
        str(point.connections),
        str(point.rows),
        f"{load.requests_per_second:,.0f}",
        f"{point.rows_per_second:,.0f}",
        f"{load.p50_ms:.2f}",
        f"{load.p99_ms:.1f}",
        str(load.errors),
        f"{point.cpu_ms:.2f}",
    ]


def comparison_rows(compared: Sequence[Comparison]) -> list[list[str]]:
    """Return a head, and a row for each comparison."""
    head = ["system", "side by side with", "connections", "rounds"]
    rows = [[*head, "x requests/s", "x p50", "x p99"]]
    for one in compared:
        ratios = (one.requests_per_second, one.p50, one.p99)
        cells = [one.ours, one.title, str(one.connections), str(one.rounds)]
        rows.append([*cells, *(f"{ratio:.2f}" for ratio in ratios)])
    return rows


def _burst_cells(one: Measured) -> list[str]:
    if one.burst is None:
        return []
    burst = one.burst
    return [
        one.title,
        f"{burst.connections} for {burst.seconds:g} s",
        f"{burst.fresh_p50_ms:.2f}",
        f"{burst.after_p50_ms:.2f}",
        f"{burst.after_p50_ms / burst.fresh_p50_ms:.2f}",
    ]


def _overload_cells(one: Measured) -> list[str]:
    if one.overload is None:
        return []
    load = one.overload.load
    return [
        one.title,
        f"{one.overload.before:,.0f}",
        f"{load.offered_per_second:,.0f}",
        f"{load.goodput:,.0f}",
        f"{one.overload.after:,.0f}",
        f"{load.good_p50_ms:.0f}",
        f"{load.good_p99_ms:.0f}",
        str(load.refused),
        f"{load.refusal_p99_ms:.1f}",
        f"{load.refusal_max_ms:.1f}",
        str(load.failed),
        str(load.unanswered),
        f"{load.late_p99_ms:.1f}",
    ]


def _batch_cells(one: Measured) -> list[str]:
    if one.batches is None:
        return []
    return [
        one.title,
        str(one.batches.count),
        f"{one.batches.mean_requests:.2f}",
        f"{one.batches.share_of_several:.0%}",
        f"{one.batches.largest_at_most:g}",
    ]


def _idle(one: Measured) -> str:
    """Name the services' own share where a runner was measured with them."""
    if not one.services_mb:
        return f"{one.idle_mb:.0f}"
    return f"{one.services_mb:.0f} + runner {one.idle_mb - one.services_mb:.0f}"


def _optional(count: int | None) -> str:
    return "-" if count is None else str(count)


def _target_rows(targets: Sequence[Target]) -> list[list[str]]:
    rows = [["target", "goal", "measured", ""]]
    for target in targets:
        sign = "<=" if target.at_most else ">="
        measured = _figure(target.measured, target.unit)
        goal = f"{sign} {_figure(target.goal, target.unit)}"
        rows.append([target.what, goal, measured, "met" if target.met else "MISSED"])
    return rows


def _figure(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f}x"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"  # noqa: PLR2004
