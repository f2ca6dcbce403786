"""A person's rights from a terminal, on a record that the real services wrote."""

import json

import httpx
import pytest
from sqlalchemy import text

from evaluation_api.operations.commands import main
from evaluation_api.record import database
from tests import commands
from tests.clients import FIVE_CLIENTS, asked
from tests.commands import Finished
from tests.services import Server, evaluation_server


@pytest.fixture(scope="module")
def written(
    model_service: Server, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], list[str]]:
    """Return the environment that names a record, and the ids of the five in it."""
    server = evaluation_server(tmp_path_factory.mktemp("persons"), model_service.url)
    with server, httpx.Client(base_url=server.url) as http:
        bodies = [asked(amounts, f"Pessoa {cluster}") for amounts, cluster in FIVE_CLIENTS]
        given = [
            http.post("/avaliar", json=body, headers={"Idempotency-Key": f"ref-{at}"}).json()["id"]
            for at, body in enumerate(bodies)
        ]
    return server.environment, given


def run(written: tuple[dict[str, str], list[str]], *arguments: str) -> Finished:
    return commands.run(main, *arguments, environment=written[0])


def test_all_that_is_held_is_handed_out(written: tuple[dict[str, str], list[str]]) -> None:
    _, ids = written
    exported = run(written, "person", "export", ids[0], ids[1][-8:], "ref-2")

    assert exported.returncode == 0, exported.stderr
    held = json.loads(exported.stdout)
    assert [one["id"] for one in held] == ids[:3]
    assert (held[0]["pedido"]["name"], held[0]["chaves"]) == ("Pessoa 0", ["ref-0"])
    assert held[0]["avaliacao"]["motivos"]
    assert held[0]["arquivos"] == []


def test_a_correction_is_evaluated_anew_and_checked_as_a_request_is(
    written: tuple[dict[str, str], list[str]],
) -> None:
    _, ids = written
    corrected = run(written, "person", "correct", ids[1], "--name", "Pessoa Um", "--balance", "10")
    assert corrected.returncode == 0, corrected.stderr
    made = json.loads(corrected.stdout)
    assert made["nome"] == "Pessoa Um"

    refused = run(written, "person", "correct", ids[2], "--balance", "-1")
    again = run(written, "person", "correct", ids[1], "--name", "Outra")
    same = run(written, "person", "correct", ids[2], "--name", " Pessoa 2 ")
    assert (refused.returncode, again.returncode, same.returncode) == (2, 2, 2)
    assert "nothing is told otherwise" in same.stderr
    assert refused.stderr == "#/balance: Saldo devedor: o valor não pode ser negativo.\n"
    assert made["id"] in again.stderr
    for named in (ids[1], made["id"]):
        held = json.loads(run(written, "person", "export", named).stdout)
        assert [one["id"] for one in held] == [ids[1], made["id"]]
        assert held[0]["corrigida_por"] == made["id"]


def test_who_is_erased_is_gone_and_replay_and_verify_go_on(
    written: tuple[dict[str, str], list[str]],
) -> None:
    _, ids = written
    refused = run(written, "person", "erase", ids[3])
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)

    made = json.loads(run(written, "person", "correct", ids[3], "--balance", "10").stdout)["id"]

    erased = run(written, "person", "erase", ids[3], "ref-4", "--yes")

    assert erased.returncode == 0, erased.stderr
    replayed = run(written, "replay", "--all")
    assert (replayed.returncode, sorted(replayed.stdout.splitlines())) == (
        0,
        sorted(f"{one}: apagado" for one in (*ids[3:], made)),
    )
    assert run(written, "replay", ids[3]).stderr.endswith("0 evaluated again\n")
    verified = run(written, "audit", "verify")
    assert (verified.returncode, verified.stdout) == (0, "")
    assert run(written, "person", "export", "ref-4").returncode == 2
    engine = database.connect(written[0]["EVALUATION_DATABASE_URL"])
    with engine.connect() as connection:
        shown = connection.execute(
            text("SELECT nome, compras, decisao FROM decisoes WHERE avaliacao = :of"), {"of": made}
        ).one()
    engine.dispose()
    assert (shown.nome, shown.compras, bool(shown.decisao)) == ("apagado", None, True)
