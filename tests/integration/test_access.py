"""Keys of systems at the real services: made, used and revoked on two replicas of one record."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from evaluation_api.operations.commands import main
from tests import client_files, commands
from tests.access import SECRET
from tests.clients import MARIA
from tests.services import Server, evaluation_server, eventually, worker_server

REVIEW = {"decisao": "aprovado", "justificativa": "Renda comprovada.", "revisor": "Ana"}


@dataclass(frozen=True)
class Replicas:
    """Two evaluation services on one record, and their environment."""

    one: Server
    other: Server
    opened: list[httpx.Client] = field(default_factory=list)

    def keys(self, *arguments: str) -> str:
        """Run the command; return what it printed."""
        done = commands.run(main, "keys", *arguments, environment=self.one.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def corrected(self, identity: str) -> str:
        """Correct an evaluation; return where the one in its place is."""
        command = ("person", "correct", identity, "--name", "Maria Corrigida")
        done = commands.run(main, *command, environment=self.one.environment)
        assert done.returncode == 0, done.stderr
        return f"/avaliacoes/{json.loads(done.stdout)['id']}"

    def callers(self, **roles: str) -> list[httpx.Client]:
        """Make keys by name and role, and what asks with each once both replicas know them all."""
        made = [self._caller(name, role) for name, role in roles.items()]
        eventually(lambda: all(self.statuses(asking) == {200} for asking in made))
        return made

    def _caller(self, name: str, role: str) -> httpx.Client:
        header = {"Authorization": f"Bearer {self.keys('create', name, '--role', role)}"}
        self.opened.append(httpx.Client(base_url=self.one.url, headers=header))
        return self.opened[-1]

    def statuses(self, asking: httpx.Client) -> set[int]:
        urls = [f"{server.url}/politica" for server in (self.one, self.other)]
        return {asking.get(url).status_code for url in urls}


@pytest.fixture(scope="module")
def replicas(model_service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("access")

    def replica() -> Server:
        return evaluation_server(folder, model_service.url, EVALUATION_ACCESS_SECRET=SECRET)

    with replica() as one, replica() as other:
        both = Replicas(one, other)
        yield both
        for client in both.opened:
            client.close()


def test_a_system_reads_what_it_asked_for_itself_and_nothing_else(replicas: Replicas) -> None:
    sales, others, auditor = replicas.callers(
        vendas="integracao", parceiro="integracao", auditoria="auditor"
    )

    made = f"/avaliacoes/{sales.post('/avaliar', json=MARIA).json()['id']}"

    for path in (made, f"{made}/dossie"):
        assert sales.get(path).status_code == 200
        assert auditor.get(path).status_code == 200
        assert others.get(path).status_code == 404
    assert sales.get("/avaliacoes").status_code == 403


def test_nobody_reviews_what_they_asked_for_themselves(replicas: Replicas) -> None:
    maker, other = replicas.callers(autora="revisor", outra="revisor")

    made = f"/avaliacoes/{maker.post('/avaliar', json=MARIA).json()['id']}"

    refused = maker.post(f"{made}/revisao", json=REVIEW)
    assert (refused.status_code, refused.json()["codigo"]) == (403, "avaliacao_propria")
    review = other.post(f"{made}/revisao", json={**REVIEW, "revisor": "Outro Nome"})
    assert (review.status_code, review.json()["revisor"]) == (201, "outra")


def test_callers_share_no_keys_and_learn_nothing_of_each_others(replicas: Replicas) -> None:
    one, other = replicas.callers(um="integracao", dois="integracao")
    key = {"Idempotency-Key": "proposta-1"}

    given = [asking.post("/avaliar", json=MARIA, headers=key) for asking in (one, other)]
    again = [asking.post("/avaliar", json=MARIA, headers=key) for asking in (one, other)]
    reused = other.post("/avaliar", json={**MARIA, "name": "Bia"}, headers=key)

    assert [answer.content for answer in again] == [answer.content for answer in given]
    ids = [answer.json()["id"] for answer in given]
    assert ids[0] != ids[1]
    assert other.get(f"/avaliacoes/{ids[1]}").status_code == 200
    assert (reused.status_code, reused.json()["codigo"]) == (422, "chave_ja_usada")


def test_a_file_with_a_key_is_its_senders_alone(replicas: Replicas) -> None:
    one, other = replicas.callers(tres="analista", quatro="analista")
    headers = {**client_files.CSV, "Idempotency-Key": "arquivo-1"}

    def sent(asking: httpx.Client, lines: int) -> httpx.Response:
        content = client_files.clients(lines)
        return asking.post("/lotes?nome=a.csv", content=content, headers=headers)

    ids = [sent(asking, 2).json()["id"] for asking in (one, other, one)]
    assert (ids[0] != ids[1], ids[2]) == (True, ids[0])
    assert sent(other, 3).json()["codigo"] == "chave_ja_usada"


def test_a_correction_is_its_makers_as_what_it_corrects_is(replicas: Replicas) -> None:
    maker, system, stranger = replicas.callers(
        corrigida="revisor", pediu="integracao", alheio="integracao"
    )
    given = {asking: asking.post("/avaliar", json=MARIA).json()["id"] for asking in (maker, system)}
    made = {asking: replicas.corrected(identity) for asking, identity in given.items()}

    refused = maker.post(f"{made[maker]}/revisao", json=REVIEW)
    assert (refused.status_code, refused.json()["codigo"]) == (403, "avaliacao_propria")
    assert system.get(made[system]).json()["pedido"]["name"] == "Maria Corrigida"
    assert stranger.get(made[system]).status_code == 404


def test_nobody_reviews_the_clients_of_a_file_that_they_sent_answered_or_started_themselves(
    replicas: Replicas, bentoml_home: Path
) -> None:
    """Amounts of three decimals are thousands or not, as whoever answers says."""
    sender, answerer, starter, other = replicas.callers(
        remetente="revisor", quem_responde="revisor", quem_comeca="revisor", outro="revisor"
    )

    with worker_server(replicas.one, bentoml_home):
        sent = client_files.send(sender, client_files.csv_of("Ana;1.234;5.788;0;2.700;0.651"))
        assert sent["situacao"] == "com_perguntas"
        answers = {"decimais": "virgula"}
        answerer.post(f"/lotes/{sent['id']}/respostas", json=answers).raise_for_status()
        client_files.checked(sender, sent)
        client_files.step(starter, sent, "iniciar")
        client_files.done(sender, sent)
    (newest,) = sender.get("/avaliacoes?limite=1").json()["itens"]
    address = f"/avaliacoes/{newest['id']}/revisao"

    for own in (sender, answerer, starter):
        assert own.post(address, json=REVIEW).json()["codigo"] == "avaliacao_propria"
    assert other.post(address, json=REVIEW).status_code == 201


def test_who_looks_at_anothers_file_without_columns_names_is_noted_as_one_who_read_of_a_client(
    replicas: Replicas, bentoml_home: Path
) -> None:
    """Its first client stands where the names of columns are told."""
    clerk, auditor = replicas.callers(balcao="analista", externo="auditor")
    with worker_server(replicas.one, bentoml_home):
        sent = client_files.send(clerk, b"Maria Souza;1035,00;5788,00;0,00;2700,00;5651,00\r\n")
    shown = client_files.look(auditor, sent)
    assert ("Maria Souza" in shown["formato"]["colunas"], shown["amostra"]) == (True, [])

    def noted() -> bool:
        exported = commands.run(main, "audit", "export", environment=replicas.one.environment)
        told = [json.loads(line) for line in exported.stdout.splitlines()]
        return any(one["kind"] == "file_read" and one["who"] == "chave:externo" for one in told)

    eventually(noted, seconds=6)


def test_what_is_asked_of_a_file_is_in_the_chain_with_who_asked_once(
    replicas: Replicas, bentoml_home: Path
) -> None:
    clerk, auditor = replicas.callers(escriturario="analista", fiscal="auditor")
    columns = {"colunas": {"nome": "nome"}, "decimais": "ponto"}

    with worker_server(replicas.one, bentoml_home):
        sent = client_files.send(clerk, client_files.clients(2))
        again = {"Idempotency-Key": "respostas-1"}
        for _ in range(2):
            asked = clerk.post(f"/lotes/{sent['id']}/respostas", json=columns, headers=again)
            asked.raise_for_status()
        client_files.checked(clerk, sent)
    for step in ("iniciar", "pausar", "retomar", "cancelar"):  # nobody ends it meanwhile
        client_files.step(clerk, sent, step)
    assert clerk.post(f"/lotes/{sent['id']}/pausar").status_code == 409

    for _ in range(3):
        assert client_files.look(auditor, sent)["amostra"]
        assert auditor.get("/lotes").status_code == 200

    def noted(who: str = "chave:escriturario") -> list[tuple[str, dict[str, object]]]:
        exported = commands.run(main, "audit", "export", environment=replicas.one.environment)
        told = [json.loads(line) for line in exported.stdout.splitlines()]
        return [
            (one["kind"], one["what"])
            for one in told
            if one.get("who") == who and one["what"].get("file") == sent["id"]
        ]

    of_file = {"file": sent["id"]}
    expected = [
        ("file_answer", {**of_file, "columns": ["name"], "decimals": "ponto"}),
        *((f"file_{step}", of_file) for step in ("start", "pause", "resume", "cancel")),
    ]
    eventually(lambda: len(noted()) > len(expected))
    told = noted()
    told.remove(("file", of_file))  # noted behind the answer, at the latest when the others are
    assert told == expected
    eventually(lambda: noted("chave:fiscal") == [("file_read", of_file)])


def test_a_key_lets_in_on_every_replica_until_seconds_after_it_is_revoked(
    replicas: Replicas,
) -> None:
    (asking,) = replicas.callers(passageiro="auditor")

    replicas.keys("revoke", "passageiro")

    # Within 5 s, which record/test_credentials.py shows; here, that it comes to it at all.
    eventually(lambda: replicas.statuses(asking) == {401}, seconds=20)


def test_a_key_is_in_no_log_no_list_and_not_in_the_record(replicas: Replicas) -> None:
    (asking,) = replicas.callers(discreto="auditor")

    secret = asking.headers["authorization"].partition(" ")[2]
    folder = replicas.one.log.parent
    for file in folder.iterdir():
        assert secret.encode() not in file.read_bytes()
    listed = replicas.keys("list")
    assert "discreto" in listed
    assert secret not in listed
