"""Replicas of both releases on one record, as they are for the length of an update."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from evaluation_api.operations import audit
from evaluation_api.record import database
from tests.client_files import clients, done, send, step
from tests.clients import MARIA
from tests.releases.comparing import lost_of_dossier, lost_of_page
from tests.releases.conftest import BEFORE, NOW, Halves
from tests.releases.databases import asked, copied
from tests.releases.filling import FAULTY, MANY_LINES, Filled, on
from tests.releases.serving import client, command, review, serving
from tests.services import PROJECT, evaluation_server, eventually, free_port, worker_server

pytestmark = pytest.mark.release

KEYS = 60


@pytest.fixture(scope="module")
def record(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Copy the record of the last release."""
    return copied(filled.url, tmp_path_factory.mktemp("record"))


@pytest.fixture(scope="module")
def together(
    filled: Filled,
    record: str,
    halves: Halves,
    release: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Have replicas of both releases at work on one copy of the record, the present one second."""
    folder = tmp_path_factory.mktemp("together")
    environment = on(record, filled.policy)
    before = evaluation_server(folder, halves.models[BEFORE].url, release, **environment)
    now = evaluation_server(folder, halves.models[NOW].url, PROJECT, **environment)
    worker = worker_server(now, Path(halves.models[NOW].environment["BENTOML_HOME"]))
    with serving(before), serving(now, worker), client(before) as one, client(now) as other:
        yield one, other


def test_a_key_that_races_across_releases_has_one_answer(
    together: tuple[httpx.Client, httpx.Client],
) -> None:
    start = Barrier(2)

    def ask(http: httpx.Client) -> list[bytes]:
        answers = []
        for number in range(KEYS):
            start.wait(20)
            body, headers = {**MARIA, "balance": number}, {"Idempotency-Key": f"race-{number}"}
            answers.append(
                http.post("/avaliar", json=body, headers=headers).raise_for_status().content
            )
        return answers

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(ask, together)

    assert one == other
    assert len({json.loads(answer)["id"] for answer in one}) == KEYS


def test_an_old_key_gives_the_same_bytes_by_either_release(
    filled: Filled, together: tuple[httpx.Client, httpx.Client]
) -> None:
    for http in together:
        assert {key: filled.ask(http, key).content for key in filled.given} == filled.given


@pytest.mark.parametrize("writer", [0, 1], ids=["written-before", "written-now"])
def test_what_one_release_writes_the_other_shows(
    together: tuple[httpx.Client, httpx.Client], writer: int
) -> None:
    http, other = together[writer], together[1 - writer]
    answer = http.post("/avaliar", json={**MARIA, "name": "Íris"}).raise_for_status()
    path = f"/avaliacoes/{answer.json()['id']}"
    http.post(f"{path}/revisao", json=review("recusado")).raise_for_status()

    shown = other.get(path).raise_for_status()
    assert answer.content in shown.content
    assert shown.json()["decisao_final"] == "recusado"
    assert lost_of_dossier(shown.json(), other.get(f"{path}/dossie").content) == []
    assert path.rpartition("/")[2] in {
        item["id"] for item in other.get("/avaliacoes?nome=iris").json()["itens"]
    }
    last, present = (one.get(path).content for one in together)  # which may say more
    assert lost_of_page(path, last, present) == []


def test_each_release_decides_its_own_files_and_a_worker_takes_over_those_of_the_last(
    together: tuple[httpx.Client, httpx.Client],
) -> None:
    """They have tables of their own, so that neither decides a line of the other's."""
    files = [send(http, clients(MANY_LINES, bad_every=100), "cada.csv") for http in together]
    for http, file in zip(together, files, strict=True):
        step(http, file, "iniciar")

    ended = [done(http, file) for http, file in zip(together, files, strict=True)]

    for one in ended:
        assert (one["decididas"], one["com_erro"]) == (MANY_LINES - FAULTY, FAULTY)
    page = f"/lotes/{files[0]['id']}/resultado.csv"
    eventually(lambda: together[1].get(page).status_code == httpx.codes.OK, 60)
    assert lost_of_page(page, together[0].get(page).content, together[1].get(page).content) == []


def test_what_both_releases_wrote_is_sealed_and_reads_as_unchanged(
    together: tuple[httpx.Client, httpx.Client], record: str
) -> None:
    """Rows of the last release have no digest until the sealer comes by."""
    for http in together:
        answer = http.post("/avaliar", json={**MARIA, "name": "Selada"}).raise_for_status()
        path = f"/avaliacoes/{answer.json()['id']}/revisao"
        http.post(path, json=review("recusado")).raise_for_status()
    engine = database.connect(record)

    eventually(lambda: not audit.verify(engine).unsealed, 180)

    found = audit.verify(engine)
    engine.dispose()
    assert found.faults == []
    assert found.evaluations == asked(record, "SELECT count(outcome) FROM evaluations")[0][0]


def test_the_last_release_starts_on_the_upgraded_tables_or_says_that_they_are_newer(
    filled: Filled, migrated: str, release: Path, tmp_path: Path
) -> None:
    """It starts only on tables of its own version; a replica of it that runs goes on."""
    environment = on(migrated, filled.policy)
    if _version(migrated) == _version(filled.url):
        nobody = f"http://127.0.0.1:{free_port()}"
        server = evaluation_server(tmp_path, nobody, release, **environment)
        with serving(server), client(server) as http:
            assert {path: http.get(path).content for path in filled.pages} == filled.pages
    else:
        ended = command(release, environment=environment)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert f"{_version(migrated)}, of a newer program" in ended.stderr


def _version(url: str) -> str:
    ((version,),) = asked(url, "SELECT version_num FROM alembic_version")
    return str(version)
