"""The evaluation service over HTTP, in front of the real model service."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin

import httpx
import jsonschema_rs
import pytest

from evaluation_api.decision.domain import FEATURES
from evaluation_api.record import database
from evaluation_api.record.chain import ChainLog
from model_store import features
from tests.clients import BAD_REQUESTS, FIVE_CLIENTS, MARIA, Bad, asked
from tests.services import CERTIFICATES, PROJECT, Server, eventually

PROBLEM = "application/problem+json"
JSON = {"Content-Type": "application/json"}
NO_LIMITS = httpx.Limits(max_connections=None)


@pytest.fixture
def http(evaluation_service: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=evaluation_service.url, timeout=20) as client:
        yield client


def chunked(body: bytes) -> Iterator[bytes]:
    """Send a body in pieces, so that no Content-Length announces it."""
    for start in range(0, len(body), 4096):
        yield body[start : start + 4096]


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == response.headers["x-request-id"]
    return problem


@pytest.mark.parametrize(("amounts", "cluster"), FIVE_CLIENTS)
def test_a_client_of_each_profile_is_placed_in_it(
    http: httpx.Client, amounts: tuple[float, ...], cluster: int
) -> None:
    answer = http.post("/avaliar", json=asked(amounts, "João"))

    assert answer.status_code == 200
    assert (answer.json()["nome"], answer.json()["cluster"]) == ("João", cluster)


def test_a_decision_says_why_and_can_be_read_again_byte_for_byte(http: httpx.Client) -> None:
    answer = http.post("/avaliar", json=asked(FIVE_CLIENTS[0][0]))

    given = answer.json()
    assert given["decisao"] == "recusado"
    assert len(given["motivos"]) == len(FEATURES)
    assert given["simulacao"]["campo"] != "credit_limit"
    recorded = http.get(f"/avaliacoes/{given['id']}")
    assert answer.content in recorded.content
    assert recorded.json()["decisao_final"] == "recusado"
    assert recorded.headers["Cache-Control"] == "no-store"


def test_who_reads_a_case_or_searches_leaves_an_entry_without_names(
    http: httpx.Client, evaluation_service: Server
) -> None:
    given = http.post("/avaliar", json=asked(FIVE_CLIENTS[1][0], "Quirina Lida")).json()
    for path in (f"/avaliacoes/{given['id']}", f"/avaliacoes/{given['id']}/dossie"):
        http.get(path).raise_for_status()
    http.post("/avaliacoes/busca", json={"nome": "quirina"}).raise_for_status()
    engine = database.connect(evaluation_service.environment["EVALUATION_DATABASE_URL"])

    def noted(*kinds: str) -> list[Any]:
        bodies = [json.loads(body) for body in ChainLog(engine).bodies()]
        return [one for one in bodies if one["kind"] in kinds]

    eventually(lambda: len([e for e in noted("read") if given["id"] in str(e["what"])]) == 2)
    eventually(lambda: {"by": ["nome"], "found": 1} in [e["what"] for e in noted("search")])
    assert {e["from"] for e in noted("read", "search")} == {"127.0.0.1"}
    assert noted("policy")
    assert noted("model")
    assert not any("uirina" in body for body in ChainLog(engine).bodies())
    engine.dispose()


def test_the_change_that_a_refusal_names_would_be_approved(http: httpx.Client) -> None:
    refused = asked(FIVE_CLIENTS[0][0])
    change = http.post("/avaliar", json=refused).json()["simulacao"]

    answer = http.post("/avaliar", json={**refused, change["campo"]: change["para"]}).json()

    assert (answer["decisao"], answer["cluster"]) == ("aprovado", change["cluster"])


@pytest.mark.parametrize("bad", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_bad_request_is_refused_by_field_and_the_next_one_is_answered(
    http: httpx.Client, bad: Bad
) -> None:
    refusal = http.post("/avaliar", content=bad.body, headers=JSON)

    problem = assert_problem(refusal, bad.status)
    assert {error["pointer"] for error in problem.get("erros", [])} == set(bad.pointers)
    assert http.post("/avaliar", json=MARIA).json()["cluster"] == 4


def test_a_body_of_a_megabyte_is_refused_with_its_length_announced(http: httpx.Client) -> None:
    assert_problem(http.post("/avaliar", content=b" " * 1_000_000, headers=JSON), 413)
    assert http.post("/avaliar", json=MARIA).is_success


def test_a_chunked_body_is_counted_as_it_comes(http: httpx.Client) -> None:
    assert_problem(http.post("/avaliar", content=chunked(b" " * 70_000), headers=JSON), 413)
    assert http.post("/avaliar", json=MARIA).is_success


def test_a_body_of_64_kilobytes_is_read(http: httpx.Client) -> None:
    client = httpx.Request("POST", "/avaliar", json=MARIA).content

    answer = http.post("/avaliar", content=chunked(client.ljust(64 * 1024)), headers=JSON)

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/nada", "/avaliar/nada", "/docs/nada", "/avaliacoes/nada"])
def test_an_address_with_nothing_there_is_a_problem(http: httpx.Client, path: str) -> None:
    assert_problem(http.get(path), 404)


@pytest.mark.parametrize("path", ["/avaliarr", "/avaliar/", "/AVALIAR", "/vendor"])
def test_who_sends_to_an_address_with_nothing_there_is_told_so(
    http: httpx.Client, path: str
) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert_problem(http.request(method, path, json=MARIA), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/avaliar", "POST"),
        ("POST", "/criterios.html", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/avaliar", "POST"),
        ("POST", "/avaliacoes", "GET, HEAD"),
        ("PUT", "/politica", "GET, HEAD"),
        ("GET", "/avaliacoes/0/revisao", "POST"),
    ],
)
def test_a_method_that_an_address_does_not_take_is_a_problem(
    http: httpx.Client, method: str, path: str, allowed: str
) -> None:
    refusal = http.request(method, path)

    assert_problem(refusal, 405)
    assert refusal.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("limite=0&perfil=5", {"#/limite", "#/perfil"}),
        ("limite=x", {"#/limite"}),
        ("cursor=x", {"#/cursor"}),
        ("de=2026-11-22&ate=2026-11-21", {"#/ate"}),
        ("depois_de=x", {"#/depois_de"}),
        ("depois_de=0&cursor=01a203b4-6136-7000-8000-000000000000", {"#/depois_de"}),
        (f"depois_de={10**18}", {"#/depois_de"}),
        ("depois_de=٣", {"#/depois_de"}),
        ("decisao=talvez", {"#/decisao"}),
        ("de=ontem", {"#/de"}),
        ("de=0", {"#/de"}),
        ("ate=9999-12-31", {"#/ate"}),
        ("ordem=nome", {"#/ordem"}),
        ("nome=%00", {"#/nome"}),
    ],
)
def test_a_bad_query_is_refused_by_field(
    http: httpx.Client, query: str, pointers: set[str]
) -> None:
    asked = http.get(f"/avaliacoes?{query}")
    sent = http.post("/avaliacoes/busca", json=dict(parse_qsl(query)))

    for refusal in (asked, sent):
        problem = assert_problem(refusal, 422)
        assert {error["pointer"] for error in problem["erros"]} == pointers


def test_a_search_by_body_finds_what_a_search_by_address_does(http: httpx.Client) -> None:
    made = [http.post("/avaliar", json=MARIA | {"name": "Buscada"}).json() for _ in range(2)]
    body = {"nome": "buscada", "perfil": made[0]["cluster"], "limite": 1}

    first = http.post("/avaliacoes/busca", json=body)
    second = http.post("/avaliacoes/busca", json=body | {"cursor": first.json()["proximo"]})

    assert first.json() == http.get("/avaliacoes", params=body).json()
    found = [item["id"] for page in (first, second) for item in page.json()["itens"]]
    assert found == [one["id"] for one in reversed(made)]
    assert first.headers["cache-control"] == "no-store"


def test_an_evaluation_is_found_by_the_protocol_that_its_record_and_the_list_have(
    http: httpx.Client,
) -> None:
    made = http.post("/avaliar", json=MARIA).json()
    record = http.get(f"/avaliacoes/{made['id']}").json()

    (found,) = http.get("/avaliacoes", params={"nome": record["protocolo"]}).json()["itens"]

    assert found["id"] == made["id"]
    assert found["protocolo"] == record["protocolo"]
    report = http.get(f"/avaliacoes/{made['id']}/dossie").text
    assert f"data-protocol>{record['protocolo']}<" in report


def test_whoever_reads_on_gets_each_evaluation_once(http: httpx.Client) -> None:
    made = [http.post("/avaliar", json=MARIA | {"name": "Seguida"}).json() for _ in range(3)]
    query = {"nome": "seguida", "limite": "2", "depois_de": "0"}

    pages = [http.get("/avaliacoes", params=query).json()]
    for _ in range(2):
        pages.append(
            http.get("/avaliacoes", params=query | {"depois_de": pages[-1]["proximo"]}).json()
        )

    assert [[item["id"] for item in page["itens"]] for page in pages] == [
        [made[0]["id"], made[1]["id"]],
        [made[2]["id"]],
        [],
    ]
    assert pages[2]["proximo"] == pages[1]["proximo"]


def test_a_request_keeps_the_id_it_came_with(http: httpx.Client) -> None:
    answer = http.post("/avaliar", json=MARIA, headers={"X-Request-ID": "pedido-7"})

    assert answer.headers["x-request-id"] == "pedido-7"


@pytest.mark.parametrize("unfit", ["", "a" * 129, "caf\u00e9"])
def test_a_request_without_a_fit_id_is_given_one(http: httpx.Client, unfit: str) -> None:
    answer = http.get("/politica", headers=[(b"X-Request-ID", unfit.encode())])

    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/", "/politica", "/docs/", "/nada"])
def test_every_answer_carries_the_security_headers(http: httpx.Client, path: str) -> None:
    headers = http.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy


def test_files_are_compressed_and_answers_are_spared_the_time(http: httpx.Client) -> None:
    for path in ("/", "/style.css", "/docs/swagger-ui/swagger-ui.css"):
        assert http.get(path).headers["content-encoding"] == "gzip", path
    assert "content-encoding" not in http.get("/politica").headers


def test_the_interactive_page_needs_no_other_host(http: httpx.Client) -> None:
    page = http.get("/docs/").text

    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    for address in addresses:
        assert "//" not in address
        assert http.get(urljoin("/docs/", address)).is_success, address


def test_the_contract_is_described_as_openapi_3_1(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    described = document["components"]["schemas"]
    answer = http.post("/avaliar", json=MARIA).json()
    validator = jsonschema_rs.validator_for(
        {"$ref": "#/components/schemas/Avaliacao", "components": {"schemas": described}}
    )
    validator.validate(answer)


def test_concurrent_callers_each_get_their_own_answer(evaluation_service: Server) -> None:
    """Of fewer than may be in flight under a lasting load, so that a slow machine refuses none."""
    wanted = [FIVE_CLIENTS[i % 5] for i in range(200)]

    async def ask(client: httpx.AsyncClient, number: int) -> httpx.Response:
        if number % 10 == 9:
            return await client.post("/avaliar", json={**MARIA, "balance": -1})
        return await client.post("/avaliar", json=asked(wanted[number][0], f"Cliente {number}"))

    async def ask_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=evaluation_service.url, verify=CERTIFICATES, timeout=60, limits=NO_LIMITS
        ) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(200)))

    for number, answer in enumerate(asyncio.run(ask_all())):
        if number % 10 == 9:
            assert_problem(answer, 422)
        else:
            assert answer.status_code == 200, answer.text
            given = answer.json()
            expected = (f"Cliente {number}", wanted[number][1])
            assert (given["nome"], given["cluster"]) == expected


def test_health_says_that_every_part_is_well(http: httpx.Client) -> None:
    for path in ("/health", "/health/ready"):
        assert http.get(path).json() == {
            "situacao": "ok",
            "partes": {"banco": "ok", "modelo": "ok", "lugares": "ok"},
            "avisos": [],
        }
    assert http.get("/health/live").json()["situacao"] == "ok"


def test_both_sides_of_the_process_boundary_name_the_same_features(http: httpx.Client) -> None:
    assert features.FEATURES == FEATURES
    model = http.get("/modelo").json()
    assert tuple(model["caracteristicas"]) == FEATURES
    assert len(model["ficha"]["dados"]["sha256"]) == 64
    assert model["ficha"]["publicado_por"]
    assert model["ficha"]["estabilidade"]["least"] > 0.9
    assert all(one["no_minimo"] or one["no_maximo"] for one in model["ficha"]["limites"])


def test_the_evaluation_service_loads_nothing_of_the_model() -> None:
    program = (
        "import sys, evaluation_api.app\n"
        "heavy = {'sklearn', 'joblib', 'bentoml', 'numpy', 'pandas', 'model_store'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )

    printed = subprocess.check_output(
        [sys.executable, "-c", program], cwd=PROJECT, text=True, timeout=60
    )

    assert printed.strip() == "[]"


def test_a_review_stands_beside_the_decision_in_order(http: httpx.Client) -> None:
    given = http.post("/avaliar", json=asked(FIVE_CLIENTS[0][0])).json()
    address = f"/avaliacoes/{given['id']}"
    for outcome in ("analise_manual", "aprovado"):
        review = {"decisao": outcome, "justificativa": "Renda comprovada.", "revisor": "Ana"}
        assert http.post(f"{address}/revisao", json=review).status_code == 201

    recorded = http.get(address).json()

    assert [review["decisao"] for review in recorded["revisoes"]] == ["analise_manual", "aprovado"]
    assert recorded["avaliacao"]["decisao"] == "recusado"
    assert recorded["decisao_final"] == "aprovado"


def test_a_review_says_why_by_a_code_that_is_counted(http: httpx.Client) -> None:
    given = http.post("/avaliar", json=asked(FIVE_CLIENTS[0][0])).json()
    address = f"/avaliacoes/{given['id']}/revisao"
    review = {"decisao": "aprovado", "justificativa": "Renda comprovada.", "revisor": "Ana"}
    before = reviews_by_income(http)
    for sent in (review, {**review, "motivo": "renda"}):
        http.post(address, json=sent).raise_for_status()

    told = [one["motivo"] for one in http.get(address.removesuffix("/revisao")).json()["revisoes"]]
    assert told == ["outro", "renda"]
    assert reviews_by_income(http) == before + 1
    unknown = http.post(address, json={**review, "motivo": "sorte"})
    assert assert_problem(unknown, 422)["erros"][0]["pointer"] == "#/motivo"


def reviews_by_income(http: httpx.Client) -> float:
    counter = 'evaluation_reviews_total{outcome="aprovado",reason="renda"} '
    lines = http.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(counter)) for line in lines if line.startswith(counter))


def test_the_dossier_escapes_what_a_caller_sent(http: httpx.Client) -> None:
    given = http.post("/avaliar", json={**MARIA, "name": "<script>alert(1)</script>"}).json()

    page = http.get(f"/avaliacoes/{given['id']}/dossie").text

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert given["politica"] in page


def test_a_port_in_use_ends_the_start(evaluation_service: Server, tmp_path: Path) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "evaluation_api"],
        cwd=PROJECT,
        env={**evaluation_service.environment, "PATH": "/usr/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert second.returncode != 0
    assert "Address already in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_the_criteria_say_facts_promise_and_earlier_versions(http: httpx.Client) -> None:
    http.post("/avaliar", json=MARIA).raise_for_status()

    criteria = http.get("/politica").json()

    assert criteria["fatos"]["uso_alto"] == 60
    assert {reason["codigo"] for reason in criteria["motivos"]} >= {"uso_alto", "pouco_pago"}
    assert criteria["promessa"]["vale"] is True
    assert criteria["promessa"]["fronteiras"] == []
    assert criteria["versao"] in {used["versao"] for used in criteria["versoes"]}
    earlier = http.get("/politica", params={"versao": criteria["versao"]}).json()
    assert earlier["perfis"] == criteria["perfis"]
    assert_problem(http.get("/politica?versao=000000000000"), 404)
    assert_problem(http.get("/politica?versao=%00"), 422)  # which PostgreSQL keeps in no text


def test_the_model_that_decided_is_described_as_it_was_met(http: httpx.Client) -> None:
    tag = http.post("/avaliar", json=MARIA).json()["modelo"]

    eventually(lambda: http.get("/modelo", params={"versao": tag}).is_success, 10)

    assert http.get("/modelo", params={"versao": tag}).json() == http.get("/modelo").json()
    assert_problem(http.get("/modelo?versao=credit_card_clusters:000000000000"), 404)
    assert_problem(http.get("/modelo?versao=%00"), 422)


def test_what_is_refused_is_refused_though_it_behaves_ten_times_worse(http: httpx.Client) -> None:
    refused = asked(FIVE_CLIENTS[0][0])
    worse = {**refused, "balance": 2400, "cash_advance": 5040, "payments": 53.9}

    decisions = [http.post("/avaliar", json=body).json() for body in (refused, worse)]

    assert [decision["decisao"] for decision in decisions] == ["recusado", "recusado"]
    assert all(1 <= len(decision["motivos_principais"]) <= 3 for decision in decisions)


def test_head_is_answered_as_get_is_without_a_body(http: httpx.Client) -> None:
    made = http.post("/avaliar", json=MARIA).json()
    document = http.get("/openapi.json").json()
    paths = [path for path, operations in document["paths"].items() if "get" in operations]
    paths = [path.replace("{evaluation_id}", made["id"]) for path in paths]

    for path in [*paths, "/", "/docs/", "/docs/problemas", "/openapi.json", "/metrics"]:
        head, got = http.head(path), http.get(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type"] == got.headers["content-type"], path


def test_an_id_is_found_in_any_case(http: httpx.Client) -> None:
    made = http.post("/avaliar", json=MARIA).json()

    assert http.get(f"/avaliacoes/{made['id'].upper()}").json()["id"] == made["id"]


def test_two_keys_are_refused(http: httpx.Client) -> None:
    headers = [("Idempotency-Key", "um"), ("Idempotency-Key", "dois")]
    refused = assert_problem(http.post("/avaliar", json=MARIA, headers=headers), 422)

    assert [error["pointer"] for error in refused["erros"]] == ["Idempotency-Key"]


def test_a_name_is_the_same_request_in_every_form_and_zero_has_no_sign(http: httpx.Client) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    composed = {**MARIA, "name": "José", "cash_advance": 0.0}
    split = {**MARIA, "name": "Jose\u0301", "cash_advance": -0.0}

    first = http.post("/avaliar", json=composed, headers=key)
    again = http.post("/avaliar", json=split, headers=key)

    assert again.status_code == 200
    assert again.content == first.content
    assert not re.search(r"-0(\.0)?[,}\]]|-0,00", http.post("/avaliar", json=split).text)


def test_the_last_page_names_no_next_one_though_it_is_full(http: httpx.Client) -> None:
    name = "".join(chr(ord("a") + byte % 26) for byte in uuid.uuid4().bytes)
    for _ in range(4):
        http.post("/avaliar", json={**MARIA, "name": name}).raise_for_status()

    def ask(cursor: str | None) -> dict[str, Any]:
        page: dict[str, Any] = http.post(
            "/avaliacoes/busca", json={"nome": name, "limite": 2, "cursor": cursor}
        ).json()
        return page

    first = ask(None)
    last = ask(first["proximo"])
    assert (len(first["itens"]), len(last["itens"]), last["proximo"]) == (2, 2, None)


def test_an_address_in_raw_utf_8_is_a_problem(evaluation_service: Server) -> None:
    url = httpx.URL(evaluation_service.url)
    with socket.create_connection((url.host, url.port), timeout=10) as caller:
        asked = "GET /avaliacoes?nome=João HTTP/1.1\r\nHost: localhost\r\n\r\n"
        caller.sendall(asked.encode())
        head, _, body = caller.makefile("rb").read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert PROBLEM.encode() in head
    assert json.loads(body)["codigo"] == "pedido_ilegivel"
    assert "Jo%C3%A3o" in json.loads(body)["detail"]


def test_a_review_is_made_once_and_with_the_others_in_view(http: httpx.Client) -> None:
    made = http.post("/avaliar", json=MARIA).json()
    address = f"/avaliacoes/{made['id']}/revisao"
    sent = {"decisao": "recusado", "justificativa": "Sem comprovante de renda.", "revisor": "Ana"}
    key = {"Idempotency-Key": f"review-{made['id']}"}

    first, again = (
        http.post(address, json=sent | {"revisoes_vistas": 0}, headers=key) for _ in range(2)
    )
    unseen = http.post(address, json=sent | {"revisoes_vistas": 0, "revisor": "Bia"})
    other = http.post(address, json=sent | {"revisor": "Bia"}, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    problem = assert_problem(unseen, 409)
    assert problem["revisoes"] == [first.json()]
    assert_problem(other, 422)
    assert http.get(f"/avaliacoes/{made['id']}").json()["revisoes"] == [first.json()]
