"""The form in Chromium through nginx, from images built on this machine."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from evaluation_api.decision.domain import FEATURES
from tests.clients import FIVE_CLIENTS
from tests.stack.conftest import IMAGES, Figures, megabytes
from tests.stack.running import DB, EVALUATION, MODEL, NAME, WEB, Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(900)]

MOST_MEGABYTES = {"web": 250, "evaluation": 250, "portfolio": 600, "model": 600}


@pytest.fixture
def page(stack: Stack, chromium_path: Path) -> Iterator[Page]:
    """Open a browser at the gateway; whatever the page complains about is an error."""
    arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=arguments)
        here = f"http://{NAME}:{stack.port}"
        opened = browser.new_context(base_url=here).new_page()
        complaints: list[str] = []
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(stack.keys("link", "Ana", "--role", "revisor").replace(stack.url, here))
        opened.get_by_role("button", name="Entrar com este link").click()
        expect(opened.locator("[data-who]")).to_contain_text("Ana")
        yield opened
        browser.close()
        assert not complaints


def evaluate(page: Page, amounts: tuple[float, ...], name: str) -> None:
    page.get_by_label("Nome do cliente").fill(name)
    for feature, amount in zip(FEATURES, amounts, strict=True):
        page.locator(f"[name={feature}]").fill(str(amount))
    page.get_by_role("button", name="Avaliar", exact=True).click()


def test_images_are_as_small_as_promised(stack: Stack) -> None:
    sizes = {name: megabytes(stack, name) for name in IMAGES}

    assert all(sizes[name] <= MOST_MEGABYTES[name] for name in IMAGES), sizes


def test_images_say_of_which_release_they_are(stack: Stack) -> None:
    label = '{{index .Config.Labels "org.opencontainers.image.version"}}'
    images = [f"{stack.environment['IMAGE_PREFIX']}{name}:first" for name in IMAGES]

    told = stack.run("docker", "image", "inspect", "-f", label, *images)

    assert told.split() == ["first"] * len(IMAGES)


def test_five_clients_are_evaluated_in_the_form(
    page: Page, figures: Figures, client: httpx.Client
) -> None:
    answered = []
    page.goto("/")

    for amounts, cluster in FIVE_CLIENTS:
        started = time.monotonic()
        evaluate(page, amounts, f"Cliente {cluster}")
        expect(page.locator("[data-answer]")).to_have_attribute("data-state", "answer")
        expect(page.locator("[data-answer]")).to_contain_text(f"Cliente {cluster}")
        answered.append(round(time.monotonic() - started, 3))

    recorded = client.get("/avaliacoes?limite=5").json()["itens"]
    assert [found["cluster"] for found in recorded] == [4, 3, 2, 1, 0]
    figures.note(form_seconds=answered)


def test_without_the_model_the_form_answers_and_the_pending_are_decided_when_it_is_back(
    page: Page, stack: Stack, figures: Figures
) -> None:
    page.goto("/")
    stack.compose("stop", MODEL)
    evaluate(page, FIVE_CLIENTS[4][0], "Espera Silva")
    expect(page.locator("[data-answer]")).to_have_attribute("data-state", "pending", timeout=15_000)
    expect(page.locator("[data-answer]")).to_contain_text("Aguardando o modelo")
    history = page.context.new_page()
    history.goto("/historico.html")
    expect(history.locator("[data-records]")).to_contain_text("Espera Silva")

    started = time.monotonic()
    stack.compose("start", MODEL)

    expect(page.locator("[data-answer]")).to_have_attribute("data-state", "answer", timeout=60_000)
    figures.note(pending_decided_seconds=round(time.monotonic() - started, 1))


def test_every_container_is_unprivileged_with_a_read_only_root(stack: Stack) -> None:
    for service in (WEB, EVALUATION, MODEL, DB):
        found = stack.inspect(stack.containers(service)[0])
        host = found["HostConfig"]

        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["Memory"] > 0, service
        assert found["Config"]["User"] == ("" if service == DB else "10001:10001")
