"""What axe found on each page in each state, as a table that outlives the tests."""

from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


class AxeTable:
    """Violations of every look at every state, in the order in which they were looked at."""

    def __init__(self) -> None:
        """Begin without any."""
        self._axe = Axe()
        self._counts: dict[str, dict[str, int]] = {}

    def look(self, page: Page, state: str, look: str) -> list[str]:
        """Have axe look at a page, and give what it finds: the rule and the first element."""
        found = self._axe.run(page).response["violations"]
        self._counts.setdefault(state, {})[look] = len(found)
        return [f"{look}: {rule['id']}: {rule['nodes'][0]['html']}" for rule in found]

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
