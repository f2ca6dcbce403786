"""Files of clients through the real services and a worker, killed and started again."""

import csv
import io
import json
import math
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from deploy.ports import HOST
from evaluation_api.client_files.log import ClientFileLog
from evaluation_api.client_files.routes import MAX_BYTES
from evaluation_api.decision.domain import FEATURES
from evaluation_api.operations import audit
from evaluation_api.operations.commands import main
from evaluation_api.record import database
from evaluation_api.record.chain import ChainLog
from portfolio.files import messages
from tests import commands
from tests.client_files import CSV, HEADER, clients, csv_of, done, look, send, step, upload
from tests.services import Server, evaluation_server, eventually, worker_server

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("worker")]

SECONDS = 60


@pytest.fixture
def http(evaluation_service: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=evaluation_service.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def own_evaluation(
    model_service: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Start an evaluation service without a worker; whoever wants one starts it."""
    with evaluation_server(tmp_path_factory.mktemp("own"), model_service.url) as server:
        yield server


@pytest.fixture
def own_worker(own_evaluation: Server, bentoml_home: Path) -> Iterator[Server]:
    """Start a worker that a test may kill."""
    with worker_server(own_evaluation, bentoml_home) as server:
        yield server


@pytest.fixture
def own(own_evaluation: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=own_evaluation.url, timeout=30) as client:
        yield client


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
    client_file = send(http, pieces(clients(1000, bad_every=20)), repetidas="todas")
    assert (client_file["situacao"], client_file["linhas"], client_file["feitas"]) == (
        "pronto",
        1000,
        0,
    )
    assert [line["linha"] for line in client_file["amostra"]] == list(range(2, 12))
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
    client_file = send(http, clients(40), repetidas="todas")
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
        assert int(row["cluster"]) == given["cluster"]


def test_a_line_can_be_reviewed_and_has_its_dossier(http: httpx.Client) -> None:
    client_file = send(http, clients(3), repetidas="todas")
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
    assert 0 <= float(rows[1][rows[0].index("confianca")]) <= 1
    assert "resultado-clientes.csv" in answer.headers["content-disposition"]


def test_who_sends_a_file_and_takes_its_result_leaves_entries_and_all_of_it_is_sealed(
    http: httpx.Client, evaluation_service: Server
) -> None:
    file = send(http, clients(5), "selado.csv", repetidas="todas")
    step(http, file, "iniciar")
    done(http, file)
    assert len(result(http, file)) == 5
    engine = database.connect(evaluation_service.environment["EVALUATION_DATABASE_URL"])

    def told() -> set[tuple[str, str]]:
        bodies = [json.loads(body) for body in ChainLog(engine).bodies()]
        return {
            (one["kind"], one["what"].get("part", ""))
            for one in bodies
            if one["what"].get("file") == file["id"]
        }

    eventually(lambda: told() == {("file", ""), ("export", "decisoes")}, SECONDS)
    eventually(lambda: not audit.verify(engine).unsealed, SECONDS)
    assert audit.verify(engine).faults == []
    engine.dispose()


def test_each_line_is_decided_once_though_the_worker_is_killed_midway(
    own: httpx.Client, own_evaluation: Server, own_worker: Server
) -> None:
    lines = 60_000
    older = dict(ask(own_evaluation, "SELECT id, name FROM evaluations"))
    client_file = send(own, clients(lines, bad_every=100), repetidas="todas")
    step(own, client_file, "iniciar")
    for least in (0, lines // 3):
        eventually(partial(is_past, own, client_file, least), SECONDS)
        own_worker.kill()
        assert look(own, client_file)["feitas"] < lines, "it was to be killed midway"
        own_worker.start().wait_until_ready()

    told = done(own, client_file)
    rows = result(own, client_file)

    assert (told["feitas"], told["decididas"]) == (lines, lines - lines // 100)
    assert [int(row["linha"]) for row in rows] == list(range(2, lines + 2))
    decided = dict(ask(own_evaluation, "SELECT id, name FROM evaluations"))
    assert {row["id"]: row["nome"] for row in rows if row["id"]} | older == decided
    assert len(decided) == told["decididas"] + len(older)


def test_a_file_goes_on_where_the_evaluation_service_was_killed(
    own: httpx.Client, own_evaluation: Server, own_worker: Server
) -> None:
    assert own_worker.is_ready()
    client_file = send(own, clients(20_000), repetidas="todas")
    step(own, client_file, "iniciar")
    own_evaluation.kill()
    own_evaluation.start().wait_until_ready()

    assert done(own, client_file)["decididas"] == 20_000


def test_two_workers_share_the_files_and_decide_each_line_once(
    own: httpx.Client, own_evaluation: Server, own_worker: Server, bentoml_home: Path
) -> None:
    before = count(own_evaluation)
    with worker_server(own_evaluation, bentoml_home) as other:
        eventually(lambda: own.get("/lotes").json()["trabalhadores"] == 2, SECONDS)
        files = [send(own, clients(8_000), f"{name}.csv", repetidas="todas") for name in "abcd"]
        for client_file in files:
            step(own, client_file, "iniciar")
        told = [done(own, client_file) for client_file in files]
        took_part = [other.printed().count("to=concluido"), own_worker.printed().count("to=concl")]

    assert [one["decididas"] for one in told] == [8_000] * 4
    assert count(own_evaluation) == before + 32_000
    assert all(took_part)


def test_a_worker_that_asks_the_model_service_says_the_same_and_needs_no_store(
    own: httpx.Client,
    own_evaluation: Server,
    model_service: Server,
    bentoml_home: Path,
    tmp_path: Path,
) -> None:
    sent = clients(3_000, bad_every=50)

    def decided(home: Path, model_url: str = "") -> list[dict[str, str]]:
        with worker_server(own_evaluation, home, PORTFOLIO_MODEL_URL=model_url):
            client_file = send(own, sent, repetidas="todas")
            step(own, client_file, "iniciar")
            done(own, client_file)
        return [{**row, "id": ""} for row in result(own, client_file)]

    empty = tmp_path / "no store"
    assert decided(empty, model_service.url) == decided(bentoml_home)
    assert not empty.exists()


def test_a_pause_holds_until_it_is_lifted_and_a_cancel_for_good(
    own: httpx.Client, own_evaluation: Server, own_worker: Server
) -> None:
    assert own_worker.is_ready()
    client_file = send(own, clients(60_000), repetidas="todas")
    step(own, client_file, "iniciar")
    eventually(lambda: look(own, client_file)["feitas"] > 0, SECONDS)
    paused = step(own, client_file, "pausar")["feitas"]
    recorded = count(own_evaluation)
    time.sleep(0.5)  # many slices
    held = look(own, client_file)
    assert count(own_evaluation) == recorded
    step(own, client_file, "retomar")
    eventually(lambda: look(own, client_file)["feitas"] > paused, SECONDS)
    cancelled = step(own, client_file, "cancelar")
    recorded = count(own_evaluation)
    refused = problem(own.post(f"/lotes/{client_file['id']}/retomar"), 409)
    time.sleep(0.5)
    rows = result(own, client_file)

    assert (held["feitas"], held["situacao"]) == (paused, "pausado")
    assert (cancelled["situacao"], count(own_evaluation)) == ("cancelado", recorded)
    assert refused["title"] == "Não é possível agora"
    assert len(rows) == cancelled["feitas"] < 60_000
    assert all(row["decisao"] for row in rows)


def test_while_no_worker_runs_it_is_said_within_seconds(
    own: httpx.Client, own_worker: Server
) -> None:
    eventually(lambda: own.get("/lotes").json()["trabalhadores"] == 1, SECONDS)
    own_worker.kill()

    eventually(lambda: own.get("/lotes").json()["trabalhadores"] == 0, 10)
    client_file = upload(own, clients(3), repetidas="todas")

    assert (client_file["situacao"], client_file["espera"]) == ("conferindo", "trabalhador")
    assert step(own, client_file, "iniciar")["comeca_sozinho"]
    own_worker.start().wait_until_ready()
    assert done(own, client_file)["feitas"] == 3


def test_a_worker_lets_those_go_first_who_wait_for_one_client(own_worker: Server) -> None:
    assert own_worker.running
    worker, behind = own_worker.running.first.pid, os.getpriority(os.PRIO_PROCESS, 0) + 10

    # It answers to probes before.
    eventually(lambda: os.getpriority(os.PRIO_PROCESS, worker) == behind, SECONDS)


def test_who_connects_to_a_worker_and_asks_nothing_keeps_nobody_waiting(own_worker: Server) -> None:
    silent = [socket.create_connection((HOST, own_worker.port)) for _ in range(3)]
    eventually(own_worker.is_ready, SECONDS)
    assert own_worker.running
    own_worker.running.first.send_signal(signal.SIGTERM)
    assert own_worker.running.first.wait(SECONDS) == 0
    for one in silent:
        one.close()


def test_a_worker_that_is_told_to_stop_leaves_its_file_to_others_at_once(
    own: httpx.Client, own_worker: Server
) -> None:
    client_file = send(own, clients(60_000), repetidas="todas")
    step(own, client_file, "iniciar")
    eventually(lambda: look(own, client_file)["feitas"] > 0, SECONDS)
    assert own_worker.running
    own_worker.running.first.send_signal(signal.SIGTERM)

    assert own_worker.running.first.wait(SECONDS) == 0
    assert own.get("/lotes").json()["trabalhadores"] == 0
    step(own, client_file, "cancelar")


def test_what_a_file_does_not_say_is_asked_once_and_remembered_for_its_columns(
    http: httpx.Client,
) -> None:
    header = "CUST_ID,BALANCE,BALANCE_FREQUENCY,PURCHASES,CASH_ADVANCE,CREDIT_LIMIT,PAYMENTS"
    content = csv_of("C10001,40.90,0.8,95.40,0,1000,201.80", header=header)
    client_file = send(http, content, "CC GENERAL.csv")

    (question,) = client_file["perguntas"]
    assert (client_file["situacao"], question["codigo"]) == ("com_perguntas", "colunas")
    assert question["campos"] == ["nome"]
    assert question["opcoes"] == ["CUST_ID", "BALANCE_FREQUENCY"]
    assert client_file["amostra"][0]["valores"][0] == "C10001"
    problem(http.post(f"/lotes/{client_file['id']}/iniciar"), 409)

    address = f"/lotes/{client_file['id']}/respostas"
    answered = http.post(address, json={"colunas": {"nome": "CUST_ID"}}).json()
    again = send(http, content.replace(b"C10001", b"C10002"), "outro.csv")

    assert answered["situacao"] == "pronto"
    assert answered["conferencia"]["colunas_sem_uso"] == ["BALANCE_FREQUENCY"]
    assert answered["formato"]["campos"][:4] == ["name", "balance", "", "purchases"]
    assert answered["amostra"][0]["entendidos"]["saldo_devedor"] == 40.9
    assert (again["situacao"], again["respostas"]["colunas"]) == ("pronto", {"nome": "CUST_ID"})


def test_one_column_is_chosen_for_one_field(http: httpx.Client) -> None:
    client_file = send(http, csv_of("Ana Uma;1,50;1;1;100;5"))

    sent = {"colunas": {"nome": "nome", "compras": "nome", "saques": "nome"}}
    refused = problem(http.post(f"/lotes/{client_file['id']}/respostas", json=sent), 422)

    assert [one["pointer"] for one in refused["erros"]] == ["#/colunas/compras", "#/colunas/saques"]


def test_amounts_that_can_be_read_in_two_ways_are_asked_about(http: httpx.Client) -> None:
    header = f"{HEADER};lida_de_dois_modos"  # what is answered is remembered for its columns
    client_file = send(http, csv_of("Ana;1.234;2.345;0;5.000;1.000;x", header=header))
    (question,) = client_file["perguntas"]
    assert (question["codigo"], question["opcoes"]) == ("decimais", ["virgula", "ponto"])
    assert question["exemplos"] == ["1.234", "2.345", "5.000"]

    address = f"/lotes/{client_file['id']}/respostas"
    answered = http.post(address, json={"decimais": "virgula"}).json()

    assert answered["amostra"][0]["entendidos"]["saldo_devedor"] == 1234


def test_a_file_that_ends_within_a_line_is_warned_of_before_it_is_decided(
    http: httpx.Client,
) -> None:
    whole = csv_of("Ana Inteira;1,50;1;1;100;512")
    told = [send(http, content)["conferencia"] for content in (whole, whole[:-3])]

    assert [one["a_avaliar"] for one in told] == [1, 1]
    assert [one["avisos"] for one in told] == [[], [messages.CUT_SHORT]]


def test_a_corrected_file_counts_nobody_twice_unless_it_is_told_to(http: httpx.Client) -> None:
    first = send(http, csv_of("Ana Um;10,50;1;1;100;5", "Rui Um;x;1;1;100;5"), "primeiro.csv")
    assert [error["linha"] for error in first["conferencia"]["erros"]] == [3]
    assert first["conferencia"]["erros"][0]["valor"] == "x"
    step(http, first, "iniciar")
    done(http, first)
    mended = csv_of("Ana Um;10,50;1;1;100;5", "Rui Um;9,00;1;1;100;5")
    second = send(http, mended, "segundo.csv")

    assert (second["conferencia"]["repetidas"], second["conferencia"]["a_avaliar"]) == (1, 1)
    assert second["conferencia"]["ja_avaliado"]["id"] == first["id"]
    step(http, second, "iniciar")
    told = done(http, second)
    rows = result(http, second)
    third = send(http, mended, "terceiro.csv", repetidas="todas")

    assert (told["decididas"], told["repetidas"], told["com_erro"]) == (1, 1, 0)
    assert (
        rows[0]["erro_motivo"]
        == "Já foi avaliado pelo arquivo “primeiro.csv”, e não é avaliado de novo."
    )
    assert [bool(row["decisao"]) for row in rows] == [False, True]
    assert third["conferencia"]["repetidas"] == 0


def test_faulty_lines_are_taken_apart_mended_and_sent_again(http: httpx.Client) -> None:
    header = "nome;saldo_devedor;compras;saques;limite_de_credito;pagamentos;agência"
    client_file = send(
        http, csv_of("Bia Dois;1,50;1;1;100;5;0001", "Zé Dois;abc;1;1;100;5;0002", header=header)
    )

    faults = http.get(f"/lotes/{client_file['id']}/erros.csv")
    text = faults.content.decode("utf-8-sig")
    assert "erros-clientes.csv" in faults.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(text), delimiter=";")
    assert (row["nome"], row["agência"], row["linha"], row["erro_campo"]) == (
        "Zé Dois",
        "0002",
        "3",
        "saldo_devedor",
    )
    mended = send(http, text.replace("abc", "2,50").encode(), "corrigido.csv")
    assert (mended["situacao"], mended["conferencia"]["a_avaliar"]) == ("pronto", 1)


def as_workbook(frame: pd.DataFrame, into: io.BytesIO) -> None:
    frame.to_excel(into, index=False)


def as_parquet(frame: pd.DataFrame, into: io.BytesIO) -> None:
    frame.to_parquet(into)


@pytest.mark.parametrize(("write", "kind"), [(as_workbook, "planilha"), (as_parquet, "parquet")])
def test_a_workbook_and_a_parquet_file_are_decided_like_their_lines_in_csv(
    http: httpx.Client, write: Callable[[pd.DataFrame, io.BytesIO], None], kind: str
) -> None:
    csv_file = send(http, csv_of("Ana;1.234;2.345;0;5.000;1.000"), repetidas="todas")
    answers = {"decimais": "virgula"}  # which is remembered for these columns
    http.post(f"/lotes/{csv_file['id']}/respostas", json=answers).raise_for_status()
    amounts = [1035.5, 5788.0, 0.0, 2700.0, 5651.0]
    lines = [[f"Cliente {kind}", *amounts], ["Sem saldo", math.nan, *amounts[1:]]]
    content = io.BytesIO()
    write(pd.DataFrame(lines, columns=HEADER.split(";")), content)

    client_file = send(http, content.getvalue(), f"clientes.{kind}", repetidas="todas")
    step(http, client_file, "iniciar")
    done(http, client_file)
    decided, faulty = result(http, client_file)
    same = send(http, csv_of(f"Cliente {kind};1035,50;5788;0;2700;5651"), "clientes.csv")

    assert client_file["formato"]["codificacao"] == kind
    assert (decided["decisao"], faulty["erro_campo"]) == ("aprovado", "saldo_devedor")
    assert same["conferencia"]["repetidas"] == 1
    sent = http.get(f"/lotes/{client_file['id']}/enviado").raise_for_status()
    assert sent.content == content.getvalue()


def test_a_file_of_which_nothing_is_decided_has_no_result(http: httpx.Client) -> None:
    client_file = send(http, clients(2), "sem-resultado.csv", repetidas="todas")
    address = f"/lotes/{client_file['id']}/resultado.csv"

    told = problem(http.get(address), 409)
    step(http, client_file, "iniciar")
    done(http, client_file)

    assert told["codigo"] == "lote_sem_resultado"
    assert http.get(address).status_code == 200


def test_a_file_is_given_back_as_it_was_sent(http: httpx.Client) -> None:
    content = clients(3000) + b"\xff;"
    client_file = send(http, pieces(content), "clientes.csv")

    address = f"/lotes/{client_file['id']}/enviado"
    sent, head = http.get(address), http.head(address)

    assert sent.content == content
    assert sent.headers["content-type"] == "application/octet-stream"
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-disposition"] == sent.headers["content-disposition"]


def test_a_file_that_is_no_table_is_refused_in_a_sentence(http: httpx.Client) -> None:
    client_file = send(http, b"Prezados,\r\nsegue em anexo.\r\n")

    assert client_file["situacao"] == "recusado"
    assert "nomes das colunas" in client_file["recusa"]
    problem(http.post(f"/lotes/{client_file['id']}/iniciar"), 409)


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


def test_a_file_that_is_announced_too_large_is_refused_at_once(evaluation_service: Server) -> None:
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


def test_a_caller_who_knows_no_chunks_has_none_of_them_in_a_file(http: httpx.Client) -> None:
    with socket.create_connection((HOST, http.base_url.port or 0), timeout=20) as caller:
        caller.sendall(b"GET /lotes/any/enviado HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = caller.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 426 ")
    assert b"\r\nupgrade: HTTP/1.1\r\n" in answer
    assert "peça por HTTP/1.1" in answer.decode()


@pytest.mark.parametrize("path", ["", "/resultado.csv"])
def test_no_file_is_found_where_there_is_none(http: httpx.Client, path: str) -> None:
    assert problem(http.get(f"/lotes/nenhum{path}"), 404)["title"] == "Arquivo não encontrado"


def test_the_template_can_be_read_by_the_service(http: httpx.Client) -> None:
    template = http.get("/lotes/modelo.csv").raise_for_status()

    client_file = send(http, template.content, "modelo.csv", repetidas="todas")

    assert (client_file["linhas"], client_file["formato"]["codificacao"]) == (2, "utf-8-sig")
    assert client_file["nome"] in {one["nome"] for one in http.get("/lotes").json()["itens"]}


def is_past(http: httpx.Client, client_file: dict[str, Any], lines: int) -> bool:
    return bool(look(http, client_file)["feitas"] > lines)


def count(server: Server) -> int:
    ((recorded,),) = ask(server, "SELECT count(*) FROM evaluations")
    return int(recorded)


def kept(server: Server) -> list[Any]:
    """Count the files and the pieces of files that a service keeps."""
    counts = "SELECT count(*) FROM client_files UNION ALL SELECT count(*) FROM client_file_parts"
    return ask(server, counts)


def ask(server: Server, query: str) -> list[Any]:
    """Ask the service's database directly."""
    file = server.environment["EVALUATION_DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.usefixtures("own_worker")
def test_a_file_whose_person_was_erased_is_gone_and_not_without_lines(
    own_evaluation: Server, own: httpx.Client
) -> None:
    sent = done(own, step(own, send(own, clients(3), "apagado", repetidas="todas"), "iniciar"))
    decided = result(own, sent)[0]["id"]
    erasing = ("person", "erase", decided, "--yes")
    assert commands.run(main, *erasing, environment=own_evaluation.environment).returncode == 0

    assert [sent["apagado"], look(own, sent)["apagado"]] == [False, True]
    for part in ("resultado.csv", "erros.csv", "enviado"):
        answer = own.get(f"/lotes/{sent['id']}/{part}")
        assert (answer.status_code, answer.json()["codigo"]) == (410, "arquivo_apagado")


def test_a_file_that_goes_while_it_is_taken_does_not_read_as_a_whole_one(
    own_evaluation: Server, own: httpx.Client
) -> None:
    """Larger than what lies between the service and whoever reads slowly."""
    sent = upload(own, bytes(24 * 2**20))
    engine = database.connect(own_evaluation.environment["EVALUATION_DATABASE_URL"])

    with own.stream("GET", f"/lotes/{sent['id']}/enviado") as taken:
        pieces = taken.iter_raw()
        next(pieces)
        ClientFileLog(engine).discard(sent["id"])
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
    engine.dispose()
