"""The table as a picture: requests/s and p99 by connections, one line a system."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.load.measurements import Measured, Point

_STYLE: Any = {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 10}


def draw(measured: Sequence[Measured], path: Path) -> None:
    """Write an SVG, the same bytes for the same figures."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        throughput, tail = figure.subplots(1, 2)
        for one in measured:
            points = sorted(
                (p for p in one.points if p.rows == 1), key=lambda point: point.connections
            )
            _line(throughput, one.title, points, [p.load.requests_per_second for p in points])
            _line(tail, one.title, points, [p.load.p99_ms for p in points])
        throughput.set_ylabel("requests/s")
        throughput.set_ylim(bottom=0)
        tail.set_ylabel("p99, ms")
        tail.set_yscale("log")
        throughput.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _line(axes: Axes, title: str, points: Sequence[Point], heights: Sequence[float]) -> None:
    connections = [point.connections for point in points]
    axes.plot(connections, heights, marker="o", label=title)
    axes.set_xscale("log", base=4)
    axes.set_xticks(connections, [str(number) for number in connections])
    axes.set_xlabel("connections")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
