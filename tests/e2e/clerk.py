"""What somebody with a file of clients does, as steps."""

import csv
import io
from itertools import count
from pathlib import Path

from playwright.sync_api import FilePayload, Page, expect

from tests.client_files import csv_of

#: Three clients that can be evaluated, and two of whom something is wrong.
FILE = csv_of(
    "Ana Lúcia;1.035,00;5788;0;2.700,00;5651",
    "Bruno <script>alert(1)</script>;1126;0;504;1200;539",
    "Célia;mil;0;0;1000;0",
    "Diego;6;0;20;500;32",
    ";6;0;20;500;32",
)


_numbers = count()


def fresh() -> bytes:
    """Return FILE with a column that nothing is decided by, and that no file before had so."""
    number = next(_numbers)
    lines = FILE.decode().splitlines()
    return "\r\n".join([f"{lines[0]};lote", *(f"{one};{number}" for one in lines[1:])]).encode()


def choose(page: Page, content: bytes | None = None, name: str = "clientes de março.csv") -> None:
    """Choose a file on the page of a new batch."""
    page.goto("/lote.html")
    payload: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": content or fresh()}
    page.set_input_files("#arquivo", payload)


#: Drop so many files of one text on an element, as a browser tells of it.
DROP = """([selector, text, count]) => {
    const carried = new DataTransfer();
    for (let i = 0; i < count; i += 1) carried.items.add(new File([text], "clientes.csv"));
    for (const type of ["dragover", "drop"]) {
        const event = new DragEvent(type, {
            bubbles: true, cancelable: true, dataTransfer: carried,
        });
        const refused = document.querySelector(selector).dispatchEvent(event);
        if (refused) throw new Error(`the browser would open the file after ${type}`);
    }
}"""


def drop(page: Page, selector: str, files: int = 1) -> None:
    """Drop files on a part of the page of a new batch."""
    expect(page.locator("[data-upload]")).to_be_enabled()
    page.evaluate(DROP, [selector, fresh().decode(), files])


def send(page: Page) -> None:
    """Send the chosen file."""
    page.click("[data-upload]")


def ready(page: Page) -> None:
    """Send a file, and wait until it shows how it was read."""
    choose(page)
    send(page)
    expect(page.locator("[data-preview] table")).to_be_visible()


def exported(first: int = 10_001) -> bytes:
    """Return clients as a program in English exports them, its debts under a name of its own."""
    header = "CUST_ID,OWED,BALANCE_FREQUENCY,PURCHASES,CASH_ADVANCE,CREDIT_LIMIT,PAYMENTS,TENURE"
    lines = (f"C{first + i},{1040 + i}.9007,0.8,95.4,0,3000,201.8,{12 - i}" for i in range(3))
    return "\n".join([header, *lines]).encode()


def use_choices(page: Page) -> None:
    """Send what was chosen for what the file does not say."""
    page.click("[data-choices] [type=submit]")


def start(page: Page) -> None:
    """Start the batch that is shown."""
    page.click("[data-iniciar]")


def in_state(page: Page, words: str) -> None:
    """Wait until the batch that is shown is in a state."""
    expect(page.locator("[data-batch-state]")).to_contain_text(words)


def result(page: Page, folder: Path, delimiter: str = ";") -> list[dict[str, str]]:
    """Download the result of the batch that is shown, and read it as a spreadsheet would."""
    name = page.inner_text("[data-batch-name]")
    with page.expect_download() as download:
        page.click("[data-result]")
    assert download.value.suggested_filename == f"resultado-{name}"
    path = folder / "resultado.csv"
    download.value.save_as(path)
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig")), delimiter=delimiter))
