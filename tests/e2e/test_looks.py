"""Every page in every state: accessible, within the screen, and kept as a picture to look at."""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page

from tests.e2e import states
from tests.e2e.axe_table import AxeTable
from tests.e2e.conftest import Opener

pytestmark = pytest.mark.browser

DESK, TELEPHONE = 1280, 320
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
EVERY_STATE = [*states.WITH_MODEL, *states.WITHOUT_MODEL, *states.WITHOUT_WORKER]

SCROLLS_SIDEWAYS = """() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth;
}"""

Reach = Callable[[states.Site], None]


@pytest.fixture(scope="module")
def axe_table(artifacts_directory: Path) -> Iterator[AxeTable]:
    """Keep what axe finds, beside the pictures."""
    table = AxeTable()
    yield table
    table.write(artifacts_directory / "axe.md")


@pytest.fixture(params=EVERY_STATE, ids=lambda reach: reach.__name__)
def reach(request: pytest.FixtureRequest) -> Reach:
    """Go through the states."""
    way: Reach = request.param
    return way


@pytest.fixture
def page_in_state(
    reach: Reach, site: str, site_without_model: str, site_without_worker: str, open_page: Opener
) -> Page:
    """Bring a page into a state."""
    address = site if reach in states.WITH_MODEL else site_without_model
    if reach in states.WITHOUT_WORKER:
        address = site_without_worker
    page = open_page(address)
    reach(states.Site(page, address))
    return page


def test_a_look_sees_what_is_not_accessible_or_does_not_fit(page: Page) -> None:
    page.set_content('<img src="data:," width="3000">')

    assert page.evaluate(SCROLLS_SIDEWAYS)
    assert any("image-alt" in violation for violation in AxeTable().look(page, "none", "desk"))


def test_a_page_in_any_state_is_accessible_and_fits_a_desk_and_a_telephone(
    page_in_state: Page, reach: Reach, axe_table: AxeTable, artifacts_directory: Path
) -> None:
    page, state = page_in_state, reach.__name__
    violations: list[str] = []
    for scheme, width in product(SCHEMES, (DESK, TELEPHONE)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=artifacts_directory / f"{state}-{scheme}-{width}.png", full_page=True)
        assert not page.evaluate(SCROLLS_SIDEWAYS), f"at {width} px"
        violations += axe_table.look(page, state, f"{scheme}, {width} px")
    page.emulate_media(color_scheme="dark", forced_colors="active")
    page.screenshot(path=artifacts_directory / f"{state}-forced-{TELEPHONE}.png", full_page=True)
    page.emulate_media(forced_colors="none")
    assert violations == []
