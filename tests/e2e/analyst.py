"""What an analyst does, as steps: enter a client, ask, review; and what the answer says."""

from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

from evaluation_api.decision.domain import FEATURES
from tests.clients import FIVE_CLIENTS, asked
from tests.services import CERTIFICATES

#: The five clients of the profiles, in their order.
IN_DEBT, WITHDRAWS_AND_PAYS, PREFERS_CASH, USES_LITTLE, BUYS_AND_PAYS = (
    amounts for amounts, _ in FIVE_CLIENTS
)

#: A way that an analyst writes an amount of a thousand and more.
WRITTEN = {1126: "1.126,00", 10500: "10500", 20740: "R$ 20.740,00", 2271: "2271.00"}


def enter(page: Page, name: str, amounts: tuple[float, ...]) -> None:
    """Type a client into the form, amounts in the order of FEATURES."""
    page.fill("#name", name)
    for feature, amount in zip(FEATURES, amounts, strict=True):
        page.fill(f"#{feature}", WRITTEN.get(int(amount), f"{amount:.2f}".replace(".", ",")))


def ask(page: Page) -> None:
    """Send the form."""
    page.click("[data-submit]")


def answer(page: Page) -> Locator:
    """Wait until the answer is there, its plot too."""
    expect(page.locator("[data-answer][data-state=answer]")).to_be_visible()
    expect(page.locator("[data-neighbourhood]")).to_be_attached()
    return page.locator("[data-answer]")


def identity(page: Page) -> str:
    """Return the id of the evaluation that is shown, from under the technical details."""
    return page.locator("[data-evaluation-id]").text_content() or ""


def unfold(page: Page) -> None:
    """Open the technical details of the answer that is shown."""
    page.click("[data-technical] > summary")


def state(page: Page, name: str) -> Locator:
    """Wait until the place of the answer is in this state."""
    panel = page.locator(f"[data-answer][data-state={name}]")
    expect(panel).to_be_visible()
    return panel


def review(page: Page, decision: str, justification: str, reviewer: str) -> None:
    """Record a person's decision on the page of an evaluation, and wait until it is listed."""
    before = page.locator("[data-review]").count()
    page.check(f"[data-review-form] [value={decision}]")
    page.fill("#justificativa", justification)
    page.fill("#revisor", reviewer)
    page.click("[data-send-review]")
    expect(page.locator("[data-review]")).to_have_count(before + 1)


def evaluated(site: str, name: str, amounts: tuple[float, ...], **headers: str) -> dict[str, Any]:
    """Have a client evaluated before the story begins, and return the answer."""
    told = httpx.post(
        f"{site}/avaliar",
        json=asked(amounts, name),
        headers=headers,
        timeout=20,
        verify=CERTIFICATES,
    )
    given: dict[str, Any] = told.raise_for_status().json()
    return given


def reviewed(site: str, evaluation_id: str, decision: str, justification: str) -> None:
    """Have an evaluation reviewed before the story begins."""
    said = {"decisao": decision, "justificativa": justification, "revisor": "Ana Prado"}
    address = f"{site}/avaliacoes/{evaluation_id}/revisao"
    httpx.post(address, json=said, verify=CERTIFICATES).raise_for_status()
