"""What the pages show of an evaluation that was corrected: that another one counts, and the way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from playwright.sync_api import Page, expect

from evaluation_api.operations.commands import main
from tests import commands
from tests.e2e import analyst
from tests.e2e.conftest import Opener
from tests.services import Server, evaluation_server

pytestmark = pytest.mark.browser

NAME = "Carla Corrigida"


@pytest.fixture(scope="module")
def server(model_service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start pages over a record of their own."""
    with evaluation_server(tmp_path_factory.mktemp("corrected"), model_service.url) as server:
        yield server


@pytest.fixture(scope="module")
def ids(server: Server) -> tuple[str, str]:
    """Return an evaluation that was refused, and the one in its place."""
    wrong = analyst.evaluated(server.url, NAME, analyst.IN_DEBT)["id"]
    correcting = ("person", "correct", wrong, "--balance", "10")
    run = partial(commands.run, main, *correcting, environment=server.environment)
    with ThreadPoolExecutor(1) as beside:  # the browser's loop runs in this thread
        assert beside.submit(run).result().returncode == 0
    return wrong, httpx.get(f"{server.url}/avaliacoes/{wrong}").json()["corrigida_por"]


@pytest.fixture
def page(open_page: Opener, server: Server) -> Page:
    return open_page(server.url)


def test_the_page_leads_to_the_one_that_counts_and_takes_no_review(
    page: Page, ids: tuple[str, str]
) -> None:
    wrong, right = ids
    # An address that somebody kept; it leads on while it loads.
    page.goto(f"/?id={wrong}", wait_until="commit")

    expect(page.locator("[data-corrections]")).to_contain_text("Esta decisão não vale mais")
    expect(page.locator("[data-answer][data-state=answer]")).to_contain_text("Recusado")
    expect(page.locator("[data-review-form]")).to_be_hidden()
    page.get_by_role("link", name="Ver a avaliação que vale").click()
    expect(page.locator("[data-answer][data-state=answer]")).to_contain_text("Aprovado")
    expect(page.locator("[data-review-form]")).to_be_visible()
    assert right in page.url
    expect(page.get_by_role("link", name="Ver a avaliação que esta corrigiu")).to_be_visible()


def test_the_list_and_the_reports_say_so_too(page: Page, ids: tuple[str, str]) -> None:
    wrong, right = ids
    page.goto("/historico.html")
    expect(page.locator(f"[data-record='{wrong}']")).to_contain_text("corrigida: não vale mais")
    expect(page.locator(f"[data-record='{right}']")).not_to_contain_text("corrigida")

    page.goto(f"/avaliacoes/{wrong}/dossie")
    expect(page.locator("[data-corrected]")).to_contain_text("esta decisão não vale mais")
    page.locator("[data-corrected] a").click()
    expect(page.locator("[data-corrects]")).to_contain_text("vale no lugar da do protocolo")


def test_a_review_of_what_was_corrected_is_refused(server: Server, ids: tuple[str, str]) -> None:
    review = {"decisao": "aprovado", "justificativa": "Mostrou o holerite.", "revisor": "Ana"}
    refused = httpx.post(f"{server.url}/avaliacoes/{ids[0]}/revisao", json=review)

    assert (refused.status_code, refused.json()["codigo"]) == (409, "avaliacao_corrigida")
    assert "Retry-After" not in refused.headers
