"""What axe found on each page in each state, as a table that outlives the tests."""

from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

#: The package's own call injects axe again for every look and brings home all that is in order.
IS_THERE = "() => 'axe' in window"
VIOLATIONS = """() => axe.run({ resultTypes: ["violations"] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`))"""


class AxeTable:
    """Violations of every look at every state, in the order in which they were looked at."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}

    def look(self, page: Page, state: str, look: str) -> list[str]:
        """Have axe look at a page, and return what it finds: the rule and the first element."""
        if not page.evaluate(IS_THERE):
            page.evaluate(AXE_SCRIPT)
        found: list[str] = page.evaluate(VIOLATIONS)
        self._counts.setdefault(state, {})[look] = len(found)
        return [f"{look}: {violation}" for violation in found]

    def write(self, path: Path) -> None:
        """Write the table as Markdown."""
        path.write_text("\n".join([*self._lines(), ""]), encoding="utf-8")

    def _lines(self) -> Iterator[str]:
        looks = list(dict.fromkeys(look for counts in self._counts.values() for look in counts))
        yield _row("state", *looks)
        yield _row(*["---"] * (1 + len(looks)))
        for state, counts in self._counts.items():
            yield _row(state, *(str(counts.get(look, "not seen")) for look in looks))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
