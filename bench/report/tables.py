"""Tables of what was measured: Markdown that is readable in a terminal, too."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.load.client_file import Callers, Way
from bench.load.faults import Outcome
from bench.load.measurements import Comparison, Measured, Point
from bench.load.soak import Slice, Soak
from bench.load.stage import Seen
from bench.report.targets import Target

Columns = Mapping[str, Callable[[Any], str]]
"""What a table shows of each thing: a head, and the cell below it."""

_BURST: Columns = {
    "system": lambda one: one.title,
    "burst": lambda one: f"{one.burst.connections} for {one.burst.seconds:g} s",
    "p50 ms fresh": lambda one: f"{one.burst.fresh_p50_ms:.2f}",
    "p50 ms 1 s after": lambda one: f"{one.burst.after_p50_ms:.2f}",
    "ratio": lambda one: f"{one.burst.after_p50_ms / one.burst.fresh_p50_ms:.2f}",
}
_OVERLOAD: Columns = {
    "system": lambda one: one.title,
    "best/s before": lambda one: f"{one.overload.before:,.0f}",
    "offered/s": lambda one: f"{one.overload.load.offered_per_second:,.0f}",
    "good/s": lambda one: f"{one.overload.load.goodput:,.0f}",
    "best/s after": lambda one: f"{one.overload.after:,.0f}",
    "good p50 ms": lambda one: f"{one.overload.load.good_p50_ms:.0f}",
    "good p99 ms": lambda one: f"{one.overload.load.good_p99_ms:.0f}",
    "refused": lambda one: f"{one.overload.load.refused}",
    "refusal p99 ms": lambda one: f"{one.overload.load.refusal_p99_ms:.1f}",
    "refusal max ms": lambda one: f"{one.overload.load.refusal_max_ms:.1f}",
    "surely ms": lambda one: f"{one.overload.load.refusal_surely_ms:.1f}",
    "failed": lambda one: f"{one.overload.load.failed}",
    "unanswered": lambda one: f"{one.overload.load.unanswered}",
    "sent late p99 ms": lambda one: f"{one.overload.load.late_p99_ms:.1f}",
}
_COMPARISONS: Columns = {
    "system": lambda one: one.ours,
    "side by side with": lambda one: one.title,
    "connections": lambda one: f"{one.connections}",
    "rounds": lambda one: f"{one.rounds}",
    "x requests/s": lambda one: f"{one.requests_per_second:.2f}",
    "x p50": lambda one: f"{one.p50:.2f}",
    "x p99": lambda one: f"{one.p99:.2f}",
}
_PROCESSES: Columns = {
    "system": lambda one: one.title,
    "ready s": lambda one: f"{one.seconds_to_ready:.1f}",
    "idle MB": lambda one: _idle(one),  # noqa: PLW0108 - defined below
    "after load MB": lambda one: f"{one.loaded_mb:.0f}",
    "answered": lambda one: _optional(one.answered),
    "recorded": lambda one: _optional(one.recorded),
}
_TARGETS: Columns = {
    "target": lambda one: one.what,
    "goal": lambda one: f"{'<=' if one.at_most else '>='} {_figure(one.goal, one.unit)}",
    "measured": lambda one: _figure(one.measured, one.unit),
    "": lambda one: "met" if one.met else "MISSED",
}


@dataclass(frozen=True)
class Report:
    """One run. against: the keys of the systems that ratios are taken to.

    compared: ratios of loads in turn, where there were any.
    """

    circumstances: str
    measured: Sequence[Measured]
    against: Sequence[str]
    compared: Sequence[Comparison] = ()
    targets: Sequence[Target] = ()

    def text(self) -> str:
        """Format all of it."""
        parts = [
            self._points(),
            of_comparisons(self.compared),
            _table([one for one in self.measured if one.burst], _BURST),
            _table([one for one in self.measured if one.overload], _OVERLOAD),
            _table(self.measured, _PROCESSES),
            of_targets(self.targets),
            self.circumstances,
        ]
        return "\n\n".join(filter(None, parts))

    def _points(self) -> str:
        by_key = {one.key: one for one in self.measured}
        columns: dict[str, Callable[[tuple[Measured, Point]], str]] = {
            "system": lambda one: one[0].title,
            "connections": lambda one: f"{one[1].connections}",
            "rows": lambda one: f"{one[1].rows}",
            "requests/s": lambda one: f"{one[1].load.requests_per_second:,.0f}",
            "rows/s": lambda one: f"{one[1].rows_per_second:,.0f}",
            "p50 ms": lambda one: f"{one[1].load.p50_ms:.2f}",
            "p99 ms": lambda one: f"{one[1].load.p99_ms:.1f}",
            "errors": lambda one: f"{one[1].load.errors}",
            "CPU ms/request": lambda one: f"{one[1].cpu_ms:.2f}",
        }
        for other in (by_key[key] for key in self.against if key in by_key):
            columns[f"x {other.title}"] = lambda one, other=other: _ratio(one[1], other)  # type: ignore[misc]
        return _table([(one, point) for one in self.measured for point in one.points], columns)


def of_comparisons(compared: Sequence[Comparison]) -> str:
    """Return a line for each comparison."""
    return _table(compared, _COMPARISONS)


def of_targets(targets: Sequence[Target]) -> str:
    """Return a line for each target; a missed one stands out."""
    return _table(targets, _TARGETS)


def of_a_file(ways: Sequence[Way], lines: int) -> str:
    """Return a line for each way to decide a file: medians, and the ratio to the script."""
    script = ways[0].median
    columns: dict[str, Callable[[Way], str]] = {
        "a file, from its start to its result": lambda way: way.name,
        "rounds": lambda way: f"{len(way.seconds)}",
        "seconds": lambda way: f"{way.median:.1f}",
        "from to": lambda way: f"{min(way.seconds):.1f} {max(way.seconds):.1f}",
        "rows/s": lambda way: f"{lines / way.median:,.0f}",
        "x script": lambda way: f"{script / way.median:.2f}",
        "peak MB": lambda way: f"{way.peak_mb:.0f}" if way.peak_mb else "-",
        "others wait, p99 longest ms": lambda way: _waits(way.waits),
        "bytes a row": lambda way: f"{way.row_bytes:.0f}" if way.row_bytes else "-",
    }
    return _table(ways, columns)


def of_callers(callers: Callers) -> str:
    """Return a line for those who ask for one client, alone and beside a file."""
    columns: Columns = {
        "one client at a time": lambda one: one[0],
        "asked/s": lambda one: f"{one[1].offered_per_second:.0f}",
        "good": lambda one: f"{one[1].good}",
        "refused or failed": lambda one: f"{one[1].refused + one[1].failed}",
        "sent late, p99 ms": lambda one: f"{one[1].late_p99_ms:.2f}",
        "p50 ms": lambda one: f"{one[1].good_p50_ms:.2f}",
        "p99 ms": lambda one: f"{one[1].good_p99_ms:.2f}",
        "x p99": lambda one: f"{one[1].good_p99_ms / callers.alone.good_p99_ms:.2f}",
    }
    return _table([("alone", callers.alone), ("beside the page's file", callers.beside)], columns)


def _waits(seconds: Sequence[float]) -> str:
    in_order = sorted(seconds) or [0.0]
    p99 = in_order[int(0.99 * (len(in_order) - 1))]
    return f"{1000 * p99:.0f} {1000 * in_order[-1]:.0f}" if seconds else "-"


def of_faults(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each fault: what callers saw, and what the record holds."""
    columns: dict[str, Callable[[Outcome], str]] = {
        "fault": lambda one: one.fault,
        "asked": lambda one: f"{one.seen.sent}",
        "callers saw (slowest)": lambda one: _answers(one.seen),
        "back after": lambda one: _seconds(one.seen.back_seconds),
        "recorded": lambda one: f"{one.held.recorded}",
        "lost": lambda one: f"{one.held.lost}",
        "doubled": lambda one: f"{one.held.doubled}",
        "unversioned": lambda one: f"{one.held.unversioned}",
    }
    return _table(outcomes, columns)


def _answers(seen: Seen) -> str:
    """Name each kind of answer, how often it came, and how long the slowest took."""
    return ", ".join(
        f"{times} x {what} ({seen.slowest_ms[what]:.0f} ms)"
        for what, times in sorted(seen.statuses.items())
    )


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.2f} s"


def of_a_soak(seen: Soak) -> str:
    """Return a line for each part of a soak, and the slopes."""
    columns: dict[str, Callable[[Slice], str]] = {
        "after s": lambda one: f"{one.at_seconds:.1f}",
        "memory MB": lambda one: f"{one.memory_mb:.1f}",
        "p50 ms": lambda one: f"{one.p50_ms:.2f}",
        "p99 ms": lambda one: f"{one.p99_ms:.1f}",
        "not good": lambda one: f"{one.not_good}",
    }
    memory, p50, p99 = (seen.trend(of).per_hour for of in ("memory_mb", "p50_ms", "p99_ms"))
    slopes = f"an hour: memory {memory:+.1f} MB, p50 {p50:+.2f} ms, p99 {p99:+.2f} ms"
    return f"{_table(seen.slices, columns)}\n\n{seen.per_second:,.0f} requests/s; {slopes}"


def align(rows: Sequence[Sequence[str]]) -> str:
    """Align a head and its rows as a Markdown table, the first column left, the others right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(row, widths) for row in [rows[0], rule, *rows[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return f"| {' | '.join(cells)} |"


def _table(things: Iterable[object], columns: Columns) -> str:
    """Return a table with a row for each thing; nothing for no things."""
    rows = [[cell(one) for cell in columns.values()] for one in things]
    return align([list(columns), *rows]) if rows else ""


def _ratio(point: Point, other: Measured) -> str:
    there = other.at(point.connections, point.rows)
    rate = there.load.requests_per_second if there else 0.0
    return f"{point.load.requests_per_second / rate:.2f}" if rate else "-"


def _idle(one: Measured) -> str:
    """Name the services' own share where a runner was measured with them."""
    if not one.services_mb:
        return f"{one.idle_mb:.0f}"
    return f"{one.services_mb:.0f} + runner {one.idle_mb - one.services_mb:.0f}"


def _optional(count: int | None) -> str:
    return "-" if count is None else str(count)


def _figure(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f}x"
    is_round = not unit or value >= 100  # noqa: PLR2004
    return f"{value:,.0f} {unit}".rstrip() if is_round else f"{value:.1f} {unit}"
