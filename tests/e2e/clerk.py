"""What somebody with a file of clients does, as steps."""

from playwright.sync_api import FilePayload, Page, expect

from tests.batches import csv_of

#: Three clients that can be evaluated, and two of whom something is wrong.
FILE = csv_of(
    "Ana Lúcia;1.035,00;5788;0;2.700,00;5651",
    "Bruno <script>alert(1)</script>;1126;0;504;1200;599",
    "Célia;mil;0;0;1000;0",
    "Diego;6;0;20;500;32",
    ";6;0;20;500;32",
)


def choose(page: Page, content: bytes = FILE, name: str = "clientes de março.csv") -> None:
    """Choose a file on the page of a new batch."""
    page.goto("/lote.html")
    payload: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": content}
    page.set_input_files("#arquivo", payload)


def send(page: Page) -> None:
    """Send the chosen file."""
    page.click("[data-upload]")


def ready(page: Page) -> None:
    """Send a file, and wait until it shows how it was read."""
    choose(page)
    send(page)
    expect(page.locator("[data-preview] table")).to_be_visible()


def start(page: Page) -> None:
    """Start the batch that is shown."""
    page.click("[data-iniciar]")


def in_state(page: Page, words: str) -> None:
    """Wait until the batch that is shown is in a state."""
    expect(page.locator("[data-batch-state]")).to_contain_text(words)
