"""Where a run goes: docs/performance.md and its plot when it is a whole one, else var/bench/.

A quick run, or one of some systems only, must not replace figures that somebody may cite.
"""

import argparse

from bench.report import plot
from bench.report.tables import Report
from deploy.processes import ROOT

PAGE = ROOT / "docs/performance.md"
_LEAST_SECONDS = 5


def publish(report: Report, arguments: argparse.Namespace) -> None:
    """Draw the plot, and put the tables of a whole run into the page."""
    name, whole = arguments.experiment, is_whole(arguments)
    path = ROOT / f"docs/bench-{name}.svg" if whole else ROOT / f"var/bench/{name}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.draw(report.measured, path)
    if whole:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_section(page, name, report.text()), encoding="utf-8")


def is_whole(arguments: argparse.Namespace) -> bool:
    """Tell whether a run measured everything, and long enough."""
    everything = not (arguments.only or arguments.connections)
    return everything and arguments.seconds >= _LEAST_SECONDS


def with_section(page: str, name: str, text: str) -> str:
    """Put the text between a page's `<!-- bench NAME -->` and the next `<!-- end -->`.

    Raises ValueError when the page has no such place.
    """
    mark = f"<!-- bench {name} -->\n"
    before, found, rest = page.partition(mark)
    _, ended, after = rest.partition("<!-- end -->")
    if not (found and ended):
        raise ValueError(f"The page has no place for {name}: {mark.strip()} ... <!-- end -->")
    return f"{before}{mark}\n{text}\n\n{ended}{after}"
