"""Every page in every state: accessible, within the screen, and kept as a picture to look at."""

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.e2e import states
from tests.e2e.conftest import Opener

pytestmark = pytest.mark.browser

DESK, TELEPHONE = 1280, 320
EVERY_STATE = [*states.WITH_MODEL, *states.WITHOUT_MODEL]

SCROLLS_SIDEWAYS = """() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth;
}"""

Reach = Callable[[states.Site], None]


@pytest.fixture(params=EVERY_STATE, ids=lambda reach: reach.__name__)
def reach(request: pytest.FixtureRequest) -> Reach:
    """Go through the states."""
    way: Reach = request.param
    return way


@pytest.fixture(params=["light", "dark"])
def page_in_state(
    request: pytest.FixtureRequest,
    reach: Reach,
    site: str,
    site_without_model: str,
    open_page: Opener,
) -> Page:
    """Bring a page into a state, in light and in dark colours."""
    address = site if reach in states.WITH_MODEL else site_without_model
    page = open_page(address, color_scheme=request.param)
    reach(states.Site(page, address))
    return page


def test_a_page_in_any_state_is_accessible_and_fits_a_desk_and_a_telephone(
    page_in_state: Page, request: pytest.FixtureRequest, artifacts_directory: Path
) -> None:
    picture = request.node.callspec.id
    for width in (DESK, TELEPHONE):
        page_in_state.set_viewport_size({"width": width, "height": 900})
        path = artifacts_directory / f"{picture}-{width}.png"
        page_in_state.screenshot(path=path, full_page=True)
        assert not page_in_state.evaluate(SCROLLS_SIDEWAYS), f"at {width} px"
        assert violations(page_in_state) == [], f"at {width} px"


def violations(page: Page) -> list[str]:
    """Have axe look at a page, and give what it finds: the rule and the first element."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['html']}" for rule in found]
