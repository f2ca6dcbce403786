"""A record as the last release leaves it: filled by its own services, then left by all."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.client_files import clients, done, look, send, step
from tests.clients import FIVE_CLIENTS, asked
from tests.releases.serving import WAITING, client, review, serving
from tests.services import Server, evaluation_server, eventually, free_port

#: Chunks of 1,024 lines, so many that the file is paused before it is done.
MANY_LINES = 8_000
FAULTY = MANY_LINES // 100
FEW_LINES = 40
NAMES = ["Maria", "José da Conceição", "Ana", "João", "Zoë O'Neil <b>"]
FILTERS = [
    "limite=3",
    "limite=100",
    *(f"decisao={outcome}" for outcome in ("aprovado", "analise_manual", "recusado")),
    *(f"perfil={cluster}" for cluster in range(5)),
    "nome=jose",
    "nome=maria&decisao=aprovado&limite=2",
    "de=2000-01-01&ate=2999-12-30",
    "de=2999-01-01",
    "ate=2000-01-01",
]


@dataclass
class Filled:
    """A record of the last release, and what its callers were told.

    bodies, given: by Idempotency-Key. waiting: where what is pending will be, by key. files: by how
    far each is. pages: what the last release showed last, by path.
    """

    url: str
    policy: Path
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    given: dict[str, bytes] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)

    def ask(self, http: httpx.Client, key: str) -> httpx.Response:
        """Ask a service, for the first time or again, what this key stands for."""
        headers = {**WAITING, "Idempotency-Key": key}
        return http.post("/avaliar", json=self.bodies[key], headers=headers).raise_for_status()


def on(url: str, policy: Path) -> dict[str, str]:
    """Name a record and a policy to a service or a command."""
    return {"EVALUATION_DATABASE_URL": url, "EVALUATION_POLICY_PATH": str(policy)}


def fill(url: str, folder: Path, release: Path, model: Server) -> Filled:
    """Fill an empty database by the services of the last release."""
    filled = Filled(url, folder / "politica.toml")
    default = next((release / "evaluation_api").rglob("politica.toml"))
    filled.policy.write_text(default.read_text().replace('"recusado"', '"analise_manual"'))
    nobody = f"http://127.0.0.1:{free_port()}"
    one = evaluation_server(folder, model.url, release, **on(url, default))
    other, alone = (
        evaluation_server(folder, where, release, **on(url, filled.policy))
        for where in (model.url, nobody)
    )
    with serving(one), client(one) as http:
        _evaluate(filled, http, "default")
        # Gone before there are files: two that share one commit its lines in any order, by which
        # the present release lists them, and not by their ids.
        with serving(other), client(other) as second:
            _evaluate(filled, second, "other")
        _files(filled, http)
        _review(filled, http)
    with serving(alone), client(alone) as http:
        _wait(filled, http)
        _show(filled, http)
    return filled


def _evaluate(filled: Filled, http: httpx.Client, prefix: str) -> None:
    """Evaluate a client of each profile with a key, and one that the model knows nothing of."""
    for (amounts, cluster), name in zip(FIVE_CLIENTS, NAMES, strict=True):
        _post(filled, http, f"{prefix}-{cluster}", asked(amounts, name))
    _post(filled, http, f"{prefix}-outside", asked((9e6, 0, 0, 1, 0), "Fora"))


def _post(filled: Filled, http: httpx.Client, key: str, body: dict[str, Any]) -> None:
    filled.bodies[key] = body
    answer = filled.ask(http, key)
    if answer.status_code == httpx.codes.ACCEPTED:
        filled.waiting[key] = answer.headers["location"]
    else:
        filled.given[key] = answer.content


def _files(filled: Filled, http: httpx.Client) -> None:
    """Leave a file done, one half done, one cancelled and one untouched."""
    files = filled.files
    files["halfway"] = send(http, clients(MANY_LINES, bad_every=100), "metade.csv")
    files["done"] = send(http, clients(FEW_LINES, bad_every=10), "feito.csv")
    files["cancelled"] = send(http, clients(FEW_LINES), "cancelado.csv")
    files["untouched"] = send(http, clients(FEW_LINES), "intacto.csv")
    step(http, files["cancelled"], "cancelar")
    step(http, files["done"], "iniciar")
    done(http, files["done"])
    step(http, files["halfway"], "iniciar")
    eventually(lambda: look(http, files["halfway"])["feitas"] > 0, 30)
    step(http, files["halfway"], "pausar")


def _review(filled: Filled, http: httpx.Client) -> None:
    """Review one evaluation twice, and one of the other policy once."""
    for key, outcome in [
        ("default-0", "aprovado"),
        ("default-0", "recusado"),
        ("other-4", "recusado"),
    ]:
        identity = httpx.Response(200, content=filled.given[key]).json()["id"]
        path = f"/avaliacoes/{identity}/revisao"
        http.post(path, json=review(outcome)).raise_for_status()


def _wait(filled: Filled, http: httpx.Client) -> None:
    """Leave evaluations and a file that wait for the model."""
    for amounts, cluster in FIVE_CLIENTS:
        _post(filled, http, f"waiting-{cluster}", asked(amounts, "Espera"))
    filled.files["running"] = send(http, clients(FEW_LINES), "esperando.csv")
    step(http, filled.files["running"], "iniciar")


def _show(filled: Filled, http: httpx.Client) -> None:
    """Read every page, as the last release shows it last."""
    newest = http.get("/avaliacoes?limite=3").json()
    paths = ["/avaliacoes", *(f"/avaliacoes?{query}" for query in FILTERS), "/politica", "/lotes"]
    paths += [f"/avaliacoes?limite=3&cursor={newest['proximo']}"]
    paths += [f"/avaliacoes/{one}{page}" for one in _evaluations(http) for page in ("", "/dossie")]
    files = [one["id"] for one in filled.files.values()]
    paths += [f"/lotes/{one}" for one in files]
    paths += [f"/lotes/{one}/resultado.csv" for one in files]
    for path in paths:
        filled.pages[path] = http.get(path).raise_for_status().content


def _evaluations(http: httpx.Client) -> list[str]:
    """Return the ids of what was asked one by one, and of some lines of files."""
    listed = [
        http.get(f"/avaliacoes?limite=100&nome={name}").json()
        for name in (*NAMES, "Fora", "Espera", "Cliente 123")
    ]
    return [item["id"] for page in listed for item in page["itens"]]
