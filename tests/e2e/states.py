"""Every page in every state that an analyst may find it in, and how it comes to that."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.client_files import HEADER, clients, csv_of
from tests.e2e import analyst, clerk


@dataclass(frozen=True)
class Site:
    """The page to bring into a state, on a site with a model or on one without."""

    page: Page
    address: str


def empty(site: Site) -> None:
    """Open the form, with nothing typed."""
    site.page.goto("/")
    analyst.state(site.page, "empty")


def mistakes(site: Site) -> None:
    """Make a mistake in every field, and an amount that can be read in two ways."""
    site.page.goto("/")
    texts = {"balance": "-5", "purchases": "1.234", "cash_advance": "mil", "credit_limit": "0"}
    for field, text in texts.items():
        site.page.fill(f"#{field}", text)
    analyst.ask(site.page)
    expect(site.page.locator("[data-error-summary]")).to_be_focused()


def approved(site: Site) -> None:
    """Have the example answered, with the figures unfolded."""
    site.page.goto("/")
    site.page.click("[data-example]")
    analyst.ask(site.page)
    analyst.answer(site.page)
    analyst.unfold(site.page)
    site.page.click("[data-neighbourhood] summary")


def refused(site: Site) -> None:
    """Have a client of a long name refused."""
    site.page.goto("/")
    analyst.enter(site.page, "Wanderley" * 13, analyst.IN_DEBT)
    analyst.ask(site.page)
    analyst.answer(site.page)


def left_to_a_person(site: Site) -> None:
    """Ask about amounts outside of the training range."""
    site.page.goto("/")
    analyst.enter(site.page, "Fábio Nunes", (10_000_000, 500, 100, 3_000, 9_000_000))
    analyst.ask(site.page)
    analyst.answer(site.page)


def pending(site: Site) -> None:
    """Ask while the model is away."""
    site.page.goto("/")
    site.page.click("[data-example]")
    analyst.ask(site.page)
    analyst.state(site.page, "pending")


def problem(site: Site) -> None:
    """Ask while the network is gone."""
    site.page.goto("/")
    site.page.click("[data-example]")
    site.page.context.set_offline(True)
    analyst.ask(site.page)
    analyst.state(site.page, "problem")


def history(site: Site) -> None:
    """List clients of several profiles, one of them reviewed."""
    clients = {
        "Ana Lúcia Prates": analyst.USES_LITTLE,
        "Bruno Sá": analyst.BUYS_AND_PAYS,
        "Célia Antunes": analyst.PREFERS_CASH,
        "Diego Ramos": analyst.IN_DEBT,
    }
    given = [analyst.evaluated(site.address, *client) for client in clients.items()]
    analyst.reviewed(site.address, given[-1]["id"], "aprovado", "Dívida quitada em novembro.")
    site.page.goto("/historico.html")
    expect(site.page.locator("[data-record]").nth(3)).to_be_visible()


def nothing_found(site: Site) -> None:
    """Filter by a name that nobody has."""
    site.page.goto("/historico.html?nome=ninguém")
    expect(site.page.locator("[data-none]")).to_be_visible()


def evaluation(site: Site) -> None:
    """Read an evaluation that was reviewed twice."""
    site.page.goto(f"/historico.html?id={_reviewed_client(site)}")
    analyst.answer(site.page)
    expect(site.page.locator("[data-review]")).to_have_count(2)


def bad_review(site: Site) -> None:
    """Send a review without anything in it."""
    site.page.goto(f"/historico.html?id={_reviewed_client(site)}")
    analyst.answer(site.page)
    site.page.click("[data-send-review]")
    expect(site.page.locator("[data-error-summary]")).to_be_focused()


def pending_evaluation(site: Site) -> None:
    """Read an evaluation that waits for the model."""
    kept = analyst.evaluated(site.address, "Olga", analyst.IN_DEBT, Prefer="respond-async")
    site.page.goto(f"/historico.html?id={kept['id']}")
    analyst.state(site.page, "pending")


def not_found(site: Site) -> None:
    """Follow an address that names no evaluation."""
    site.page.goto("/historico.html?id=nenhuma")
    analyst.state(site.page, "problem")


def new_batch(site: Site) -> None:
    """Earlier batches stand beside the form."""
    clerk.ready(site.page)
    site.page.goto("/lote.html")
    expect(site.page.locator("[data-earlier-batch]").first).to_be_visible()


def bad_file(site: Site) -> None:
    """Send a file that lacks what it needs."""
    clerk.choose(site.page, b"nome;sexo\r\nAna;F\r\n")
    clerk.send(site.page)
    clerk.in_state(site.page, "Recusado")


def asked_batch(site: Site) -> None:
    """Have a file ask for columns, and choose none."""
    clerk.choose(site.page, clerk.exported().replace(b"OWED", b"DEBT"))
    clerk.send(site.page)
    clerk.in_state(site.page, "Com perguntas")
    clerk.use_choices(site.page)
    expect(site.page.locator("[data-choices] [data-error-summary]")).to_be_focused()


def ambiguous_batch(site: Site) -> None:
    """Have a file ask for its decimal mark."""
    clerk.choose(site.page, csv_of("Ana;1.234;2.500;0;5.000;1.000", header=f"{HEADER};z"))
    clerk.send(site.page)
    clerk.in_state(site.page, "Com perguntas")


def repeated_batch(site: Site) -> None:
    """Send a file twice, and unfold what may be changed."""
    content = clerk.fresh()
    for _ in range(2):
        clerk.choose(site.page, content)
        clerk.send(site.page)
        clerk.in_state(site.page, "Pronto para começar")
        if site.page.locator("[data-iniciar]").is_visible():
            clerk.start(site.page)
            clerk.in_state(site.page, "Concluído")
    site.page.click("[data-changes] summary")


def worker_away(site: Site) -> None:
    """Send a file that nobody looks at."""
    clerk.choose(site.page)
    clerk.send(site.page)
    clerk.in_state(site.page, "Em conferência")


def nobody_works(site: Site) -> None:
    """Look at the files while nobody works on any."""
    site.page.goto("/lote.html")
    expect(site.page.locator("[data-earlier]")).to_contain_text("está parado")


def batch_ready(site: Site) -> None:
    """Have a file read, waiting for somebody to start."""
    clerk.ready(site.page)


def batch_done(site: Site) -> None:
    """Have a file evaluated, faulty lines and all."""
    clerk.choose(site.page, clients(300, bad_every=20))
    clerk.send(site.page)
    clerk.start(site.page)
    clerk.in_state(site.page, "Concluído")


def batch_running(site: Site) -> None:
    """Have a file wait for the model."""
    clerk.ready(site.page)
    clerk.start(site.page)
    clerk.in_state(site.page, "Em andamento")


def criteria(site: Site) -> None:
    """Read the policy, with the figures unfolded."""
    site.page.goto("/criterios.html")
    expect(site.page.locator("[data-profile]")).to_have_count(5)
    site.page.click("summary")


def dossier(site: Site) -> None:
    """Read everything about one evaluation."""
    site.page.goto(f"/avaliacoes/{_reviewed_client(site)}/dossie")
    expect(site.page.get_by_role("button", name="Imprimir")).to_be_visible()


def pending_dossier(site: Site) -> None:
    """Read what is known of one that waits."""
    kept = analyst.evaluated(site.address, "Otto", analyst.IN_DEBT, Prefer="respond-async")
    site.page.goto(f"/avaliacoes/{kept['id']}/dossie")
    expect(site.page.get_by_role("button", name="Imprimir")).to_be_visible()


def _reviewed_client(site: Site) -> str:
    identity = str(analyst.evaluated(site.address, "Paula Brito", analyst.IN_DEBT)["id"])
    analyst.reviewed(site.address, identity, "analise_manual", "Falta um documento.\nPedido hoje.")
    analyst.reviewed(site.address, identity, "aprovado", "Renda comprovada por holerite.")
    return identity


WITH_MODEL: list[Callable[[Site], None]] = [
    empty,
    mistakes,
    approved,
    refused,
    left_to_a_person,
    problem,
    history,
    nothing_found,
    evaluation,
    bad_review,
    not_found,
    new_batch,
    bad_file,
    asked_batch,
    ambiguous_batch,
    repeated_batch,
    batch_ready,
    batch_done,
    criteria,
    dossier,
]
WITHOUT_MODEL: list[Callable[[Site], None]] = [
    pending,
    pending_evaluation,
    pending_dossier,
    batch_running,
]
WITHOUT_WORKER: list[Callable[[Site], None]] = [worker_away, nobody_works]
