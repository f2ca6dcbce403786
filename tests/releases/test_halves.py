"""Each half is rolled by itself: an evaluation service before a model service of another release.

What is compared is the model service's doing: a client is decided by an evaluation service as the
same one decides with the model service of its own release.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client_files import clients, done, send, step
from tests.clients import FIVE_CLIENTS, MARIA, asked
from tests.releases.comparing import decided, lost, rows
from tests.releases.conftest import BEFORE, NOW, Halves
from tests.releases.databases import copied, told
from tests.releases.serving import client, command, settled
from tests.services import PROJECT, Server

pytestmark = pytest.mark.release

#: A chunk of as many lines as one call takes, and another.
LINES = 1100
#: Hardly any profile's, and outside of what the model has seen.
UNCERTAIN = [(1000, 1000, 1000, 1000, 1000), (9e6, 0, 0, 1, 0), (0, 0, 0, 100, 0)]
#: Of the profiles whose clients are told what would get them approved.
REFUSED = [0, 2]
#: What the present evaluation service says with the model's promise, or looks for within limits:
#: the model service of the last release knows of neither.
UNTOLD = ("decisao", "observacoes", "resposta", "simulacao")


@dataclass(frozen=True)
class Mixed:
    """An evaluation service before a model service of another release.

    alike: one of the same release before a model service of that too. waiting: where the answer
    will be to what it accepted before its model service ever answered.
    """

    project: Path
    evaluation: Server
    http: httpx.Client
    alike: httpx.Client
    waiting: str

    @property
    def is_promised(self) -> bool:
        """Whether the model service says what its model lets a policy promise."""
        return self.project != PROJECT

    def of_the_model(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Leave out of an answer what belongs to its occasion, or hangs on promise and limits."""
        untold = () if self.is_promised else UNTOLD
        return {field: value for field, value in decided(answer).items() if field not in untold}

    def as_far_as_promised(self, outcome: str) -> str:
        """Say what becomes of a decision where nothing is promised."""
        unpromised = {"recusado": "analise_manual"}
        return outcome if self.is_promised else unpromised.get(outcome, outcome)


@pytest.fixture(
    params=[(NOW, BEFORE), (BEFORE, NOW)],
    ids=["evaluation-now-model-before", "evaluation-before-model-now"],
)
def mixed(request: pytest.FixtureRequest, halves: Halves, release: Path) -> Iterator[Mixed]:
    pair = request.param
    server, alike = halves.evaluations[pair], halves.evaluations[pair[0], pair[0]]
    project = PROJECT if pair[0] == NOW else release
    with client(server) as http, client(alike) as other:
        yield Mixed(project, server, http, other, halves.waiting[pair])


def test_what_was_accepted_without_the_model_is_decided_when_it_comes(mixed: Mixed) -> None:
    late = settled(mixed.http, mixed.waiting)

    alone = mixed.alike.post("/avaliar", json=MARIA).json()
    assert late["degradada"]
    assert lost(mixed.of_the_model(alone), decided(late["avaliacao"])) == []


@pytest.mark.parametrize(
    "amounts", [*(amounts for amounts, _ in FIVE_CLIENTS), *UNCERTAIN], ids=str
)
def test_a_client_is_decided_as_with_a_model_service_of_the_same_release(
    mixed: Mixed, amounts: tuple[float, ...]
) -> None:
    other = mixed.alike.post("/avaliar", json=asked(amounts)).raise_for_status().json()

    answer = mixed.http.post("/avaliar", json=asked(amounts)).raise_for_status().json()

    assert lost(mixed.of_the_model(other), decided(answer)) == []
    assert answer["decisao"] == mixed.as_far_as_promised(other["decisao"])
    assert answer["motivos"]


@pytest.mark.parametrize("profile", REFUSED)
def test_a_simulation_comes_through_and_keeps_its_promise(mixed: Mixed, profile: int) -> None:
    body = asked(FIVE_CLIENTS[profile][0])

    simulated = mixed.http.post("/avaliar", json=body).json()["simulacao"]

    changed = {**body, simulated["campo"]: simulated["para"]}
    answer = mixed.http.post("/avaliar", json=changed).json()
    assert (answer["cluster"], answer["decisao"]) == (simulated["cluster"], "aprovado")


def test_a_file_of_clients_is_decided_as_with_a_model_service_of_the_same_release(
    mixed: Mixed,
) -> None:
    content = clients(LINES, bad_every=100)
    files = {http: send(http, content, "clientes.csv") for http in (mixed.http, mixed.alike)}
    for http, file in files.items():
        step(http, file, "iniciar")

    ended = {http: done(http, file) for http, file in files.items()}
    mine, others = (
        [
            mixed.of_the_model(row)
            for row in rows(http.get(f"/lotes/{file['id']}/resultado.csv").content)
        ]
        for http, file in files.items()
    )

    assert ended[mixed.http]["decididas"] == LINES - 11
    assert lost(others, mine) == []
    assert not mixed.is_promised or any(row["simulacao"] for row in mine)


def test_both_halves_are_well_and_the_model_is_described(mixed: Mixed) -> None:
    health = mixed.http.get("/health/ready").json()

    assert health["situacao"] == "ok"
    assert set(health["partes"].values()) == {"ok"}
    assert mixed.is_promised or health["avisos"]
    described = mixed.alike.get("/modelo").json()
    if not mixed.is_promised:
        assert described.pop("ficha")["publicado_por"]  # the last release's model has no card
    assert lost(described, mixed.http.get("/modelo").json()) == []


def test_a_replay_finds_all_as_recorded_and_names_a_model_version_that_is_gone(
    mixed: Mixed, tmp_path: Path
) -> None:
    environment = mixed.evaluation.environment
    body = {**MARIA, "name": "Sem modelo"}
    identity = mixed.http.post("/avaliar", json=body).raise_for_status().json()["id"]
    record = copied(environment["EVALUATION_DATABASE_URL"], tmp_path)
    told(record, "UPDATE evaluations SET model_tag = 'clusters:dead' WHERE name = 'Sem modelo'")

    replayed = command(
        mixed.project,
        "replay",
        "--all",
        environment={**environment, "EVALUATION_DATABASE_URL": record},
    )

    assert replayed.returncode == 1, replayed.stderr
    gone, *others = sorted(replayed.stdout.splitlines(), key=lambda line: "is gone" not in line)
    assert gone.startswith(f"{identity}: model clusters:dead is gone")
    # A file is decided by its worker's release, and the last one's model finds other changes.
    assert mixed.is_promised or all(": simulacao: " in line for line in others)
    assert not (mixed.is_promised and others)
