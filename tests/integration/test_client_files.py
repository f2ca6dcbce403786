"""Files of clients through the real services, killed and started again."""

import csv
import io
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.processes import Program, Running
from evaluation_api.client_files.files import MAX_BYTES
from evaluation_api.commands import main
from evaluation_api.decision.domain import FEATURES
from tests import commands
from tests.client_files import CSV, clients, csv_of, done, look, send, step
from tests.services import Server, evaluation_server, eventually

pytestmark = pytest.mark.timeout(300)

SECONDS = 60
COMMAND = [sys.executable, "-m", "evaluation_api", "batch"]


@pytest.fixture
def http(evaluation_service: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=evaluation_service.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def own_evaluation(
    model_service: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Start an evaluation service that a test may kill; whoever does starts it again."""
    with evaluation_server(tmp_path_factory.mktemp("own"), model_service.url) as server:
        yield server


@pytest.fixture
def alone(model_service: Server, tmp_path: Path) -> Server:
    """Prepare the database of a service that does not run."""
    server = evaluation_server(tmp_path, model_service.url)
    assert commands.run(main, "migrate", environment=server.environment).returncode == 0
    return server


def result(http: httpx.Client, client_file: dict[str, Any]) -> list[dict[str, str]]:
    answer = http.get(f"/lotes/{client_file['id']}/resultado.csv").raise_for_status()
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    return told


def test_of_a_thousand_lines_fifty_are_faulty_and_the_others_are_decided(
    http: httpx.Client,
) -> None:
    client_file = send(http, pieces(clients(1000, bad_every=20)))
    assert (client_file["situacao"], client_file["linhas"], client_file["feitas"]) == (
        "pronto",
        1000,
        0,
    )
    assert [line["linha"] for line in client_file["amostra"]] == [2, 3, 4, 5, 6]
    step(http, client_file, "iniciar")

    told = done(http, client_file)
    rows = result(http, client_file)

    assert (told["feitas"], told["decididas"], told["com_erro"]) == (1000, 950, 50)
    assert sum(told["resumo"]["decisoes"].values()) == 950
    assert sum(told["resumo"]["perfis"]) == 950
    assert sum(told["resumo"]["confianca"]) == 950
    assert [int(row["linha"]) for row in rows] == list(range(2, 1002))
    faulty = [row for row in rows if row["erro_motivo"]]
    assert [int(row["linha"]) for row in faulty] == list(range(20, 1002, 20))
    assert {(row["id"], row["erro_campo"]) for row in faulty} == {("", "saldo_devedor")}
    assert len({row["id"] for row in rows if row["id"]}) == 950


def test_a_line_is_decided_as_the_same_client_would_be_alone(http: httpx.Client) -> None:
    client_file = send(http, clients(40))
    step(http, client_file, "iniciar")
    done(http, client_file)

    for row in result(http, client_file)[::8]:
        recorded = http.get(f"/avaliacoes/{row['id']}").json()
        alone = http.post("/avaliar", json=recorded["pedido"]).json()
        given = recorded["avaliacao"]
        assert (given["nome"], recorded["situacao"]) == (row["nome"], "concluida")
        assert [given[key] for key in ("cluster", "decisao", "resposta", "politica")] == [
            alone[key] for key in ("cluster", "decisao", "resposta", "politica")
        ]
        assert [reason["frase"] for reason in given["motivos"]] == [
            reason["frase"] for reason in alone["motivos"]
        ]
        assert (row["decisao"], row["perfil"]) == (given["decisao"], given["perfil"]["nome"])
        assert row["simulacao"] == (given["simulacao"] or {"frase": ""})["frase"]


def test_a_line_can_be_reviewed_and_has_its_dossier(http: httpx.Client) -> None:
    client_file = send(http, clients(3))
    step(http, client_file, "iniciar")
    done(http, client_file)
    identity = result(http, client_file)[0]["id"]
    review = {"decisao": "recusado", "justificativa": "Documento vencido.", "revisor": "Ana"}

    http.post(f"/avaliacoes/{identity}/revisao", json=review).raise_for_status()

    assert http.get(f"/avaliacoes/{identity}").json()["decisao_final"] == "recusado"
    dossier = http.get(f"/avaliacoes/{identity}/dossie").raise_for_status().text
    assert "Documento vencido." in dossier
    assert "Cliente 2" in dossier


def test_a_result_keeps_the_separator_and_the_decimals_and_runs_no_formula(
    http: httpx.Client,
) -> None:
    header = ",".join(("payments", "name", *FEATURES[:4]))
    client_file = send(http, csv_of('5651,"=cmd()",1035.5,5788,0,2700', header=header))
    assert client_file["formato"]["separador"] == ","
    assert client_file["formato"]["decimal"] == "."
    step(http, client_file, "iniciar")
    done(http, client_file)

    answer = http.get(f"/lotes/{client_file['id']}/resultado.csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))

    assert rows[0][:3] == ["linha", "payments", "name"]
    assert rows[1][:4] == ["2", "5651", "'=cmd()", "1035.5"]
    assert 0 <= float(rows[1][10]) <= 1
    assert "resultado-clientes.csv" in answer.headers["content-disposition"]


def test_each_line_is_decided_once_though_the_service_is_killed_midway(
    own_evaluation: Server,
) -> None:
    lines = 12_000
    older = dict(ask(own_evaluation, "SELECT id, name FROM evaluations"))
    with httpx.Client(base_url=own_evaluation.url, timeout=30) as http:
        client_file = send(http, clients(lines))
        step(http, client_file, "iniciar")
        eventually(lambda: look(http, client_file)["feitas"] > 0, SECONDS)
    own_evaluation.kill()
    before = ask(own_evaluation, "SELECT id FROM evaluations")
    assert len(before) - len(older) in range(1, lines), "it was to be killed midway"

    own_evaluation.start().wait_until_ready()
    with httpx.Client(base_url=own_evaluation.url, timeout=30) as http:
        told = done(http, client_file)
        rows = result(http, client_file)

    assert told["decididas"] == lines
    decided = dict(ask(own_evaluation, "SELECT id, name FROM evaluations"))
    assert len(decided) == lines + len(older)
    assert {row["id"]: row["nome"] for row in rows} | older == decided
    assert [row["nome"] for row in rows] == [f"Cliente {n}" for n in range(2, lines + 2)]


def test_a_pause_holds_until_it_is_lifted_and_a_cancel_for_good(own_evaluation: Server) -> None:
    with httpx.Client(base_url=own_evaluation.url, timeout=30) as http:
        client_file = send(http, clients(30_000))
        step(http, client_file, "iniciar")
        eventually(lambda: look(http, client_file)["feitas"] > 0, SECONDS)
        step(http, client_file, "pausar")
        time.sleep(0.5)  # what was at the model when the pause came is still recorded
        paused = look(http, client_file)["feitas"]
        time.sleep(1)  # two looks of the worker
        held = look(http, client_file)
        step(http, client_file, "retomar")
        eventually(lambda: look(http, client_file)["feitas"] > paused, SECONDS)
        cancelled = step(http, client_file, "cancelar")
        refused = problem(http.post(f"/lotes/{client_file['id']}/retomar"), 409)
        rows = result(http, client_file)

    assert (held["feitas"], held["situacao"]) == (paused, "pausado")
    assert cancelled["situacao"] == "cancelado"
    assert refused["title"] == "Não é possível agora"
    assert len(rows) == 30_000
    assert rows[0]["decisao"]
    assert not rows[-1]["decisao"]


def test_a_file_with_wrong_columns_is_refused_by_name_and_leaves_nothing(
    http: httpx.Client, evaluation_service: Server
) -> None:
    before = kept(evaluation_service)

    told = problem(http.post("/lotes", content=csv_of("A;F", header="nome;sexo"), headers=CSV), 422)

    pointers = [error["pointer"] for error in told["erros"]]
    assert "#/sexo" in pointers
    assert "#/limite_de_credito" in pointers
    assert kept(evaluation_service) == before


def test_an_upload_that_breaks_off_leaves_nothing(
    http: httpx.Client, evaluation_service: Server
) -> None:
    before = kept(evaluation_service)

    def breaks_off() -> Iterator[bytes]:
        yield from pieces(clients(5000))
        eventually(lambda: kept(evaluation_service) != before, SECONDS)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        http.post("/lotes", content=breaks_off(), headers=CSV)

    eventually(lambda: kept(evaluation_service) == before, SECONDS)


def test_a_file_that_is_announced_too_large_is_refused_at_once(
    evaluation_service: Server,
) -> None:
    with closing(HTTPConnection("127.0.0.1", evaluation_service.port, timeout=30)) as connection:
        announced = {"Content-Length": str(MAX_BYTES + 1), **CSV}
        connection.request("POST", "/lotes", body=clients(5000)[:100_000], headers=announced)
        with connection.getresponse() as answer:
            told = answer.read().decode()

    assert (answer.status, answer.getheader("content-type")) == (413, "application/problem+json")
    assert "200 MB" in told


@pytest.mark.parametrize("name", ["", "  ", "a" * 256, "a\x00b"])
def test_a_file_needs_a_name_that_can_be_read(http: httpx.Client, name: str) -> None:
    answer = http.post("/lotes", params={"nome": name}, content=clients(1), headers=CSV)

    assert problem(answer, 422)["erros"][0]["pointer"] == "#/nome"


@pytest.mark.parametrize("path", ["", "/resultado.csv"])
def test_no_file_is_found_where_there_is_none(http: httpx.Client, path: str) -> None:
    assert problem(http.get(f"/lotes/nenhum{path}"), 404)["title"] == "Arquivo não encontrado"


def test_the_template_can_be_read_by_the_service(http: httpx.Client) -> None:
    template = http.get("/lotes/modelo.csv").raise_for_status()

    client_file = send(http, template.content, "modelo.csv")

    assert (client_file["linhas"], client_file["formato"]["codificacao"]) == (2, "utf-8-sig")
    assert client_file["nome"] in {one["nome"] for one in http.get("/lotes").json()["itens"]}


def test_a_terminal_evaluates_a_file_in_the_same_record(
    own_evaluation: Server, tmp_path: Path
) -> None:
    (tmp_path / "clientes.csv").write_bytes(clients(2500, bad_every=50))

    files = (str(tmp_path / "clientes.csv"), "-o", str(tmp_path / "decisoes.csv"))
    ran = commands.run(main, "batch", *files, environment=own_evaluation.environment)

    assert ran.returncode == 1, ran.stderr
    assert "2450 decided, 50 faulty" in ran.stderr
    rows = list(
        csv.DictReader(
            io.StringIO((tmp_path / "decisoes.csv").read_text("utf-8-sig")), delimiter=";"
        )
    )
    assert len(rows) == 2500
    with httpx.Client(base_url=own_evaluation.url, timeout=30) as http:
        assert http.get(f"/avaliacoes/{rows[-1]['id']}").is_success
        assert http.get("/lotes").json()["itens"][0]["situacao"] == "concluido"


def test_a_terminal_that_is_interrupted_says_how_to_go_on_and_does(
    alone: Server, tmp_path: Path
) -> None:
    (tmp_path / "clientes.csv").write_bytes(clients(12_000))
    output = tmp_path / "decisoes.csv"
    command = [*COMMAND, str(tmp_path / "clientes.csv"), "-o", str(output)]
    with Running(Program(command, environment=alone.environment), alone.log) as begun:
        eventually(lambda: committed_chunks(alone) > 0, SECONDS)
        begun.first.send_signal(signal.SIGINT)
        assert begun.first.wait(SECONDS) == 2
    assert not output.exists()

    ((identity,),) = ask(alone, "SELECT id FROM batches")
    assert f"--resume {identity}" in alone.printed()
    how = ("batch", "--resume", identity, "-o", str(output))
    assert commands.run(main, *how, environment=alone.environment).returncode == 0

    rows = list(csv.DictReader(io.StringIO(output.read_text("utf-8-sig")), delimiter=";"))
    assert [int(row["linha"]) for row in rows] == list(range(2, 12_002))
    assert len({row["id"] for row in rows}) == 12_000
    assert sorted(path.suffix for path in tmp_path.glob("decisoes.csv*")) == [".csv"]


def committed_chunks(server: Server) -> int:
    ((count,),) = ask(server, "SELECT count(*) FROM batch_chunks WHERE settled_at IS NOT NULL")
    return int(count)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.csv"], "missing.csv"),
        (["--resume", "a" * 36], "There is no batch"),
        (["bad.csv"], "Falta a coluna"),
        (["."], "Is a directory"),
        (["bad.csv", "-o", "nowhere/decisoes.csv"], "nowhere: no folder that can be written to"),
        (["bad.csv", "-o", "."], "this is a folder"),
        (["bad.csv", "-o", "older.csv"], "--overwrite"),
        (["bad.csv", "-o", "bad.csv", "--overwrite"], "this is the file to read"),
    ],
)
def test_a_terminal_is_told_in_a_sentence_what_cannot_be_done(
    alone: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    (tmp_path / "bad.csv").write_text("nome;sexo\nAna;F\n")
    (tmp_path / "older.csv").write_text("kept")
    monkeypatch.chdir(tmp_path)

    how = ("batch", "-o", "decisoes.csv", *arguments)
    ran = commands.run(main, *how, environment=alone.environment)

    assert ran.returncode == 2
    assert says in ran.stderr
    assert not (tmp_path / "decisoes.csv").exists()
    assert (tmp_path / "older.csv").read_text() == "kept"
    assert ask(alone, "SELECT * FROM batches") == []


def kept(server: Server) -> list[Any]:
    """Count the files and the chunks of files that a service keeps."""
    return ask(server, "SELECT count(*) FROM batches UNION ALL SELECT count(*) FROM batch_chunks")


def ask(server: Server, query: str) -> list[Any]:
    """Ask the service's database directly."""
    file = server.environment["EVALUATION_DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()
