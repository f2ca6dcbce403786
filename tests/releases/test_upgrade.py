"""A record of the last release, opened by the present code: every page, every command."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.client_files import checked, done, look, send, step
from tests.releases.comparing import lost, lost_of_dossier, lost_of_page, rows
from tests.releases.conftest import NOW, Halves
from tests.releases.databases import asked, columns, copied, make_old
from tests.releases.filling import FEW_LINES, MANY_LINES, Filled, on
from tests.releases.serving import client, command, review, serving, settled
from tests.services import PROJECT, evaluation_server, eventually, free_port, worker_server

pytestmark = pytest.mark.release


#: What stands still while it is compared; the others go on, or have ended.
OVER = ("done", "cancelled")


@pytest.fixture(scope="module")
def upgraded(
    filled: Filled, store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Open a copy of the record by the present service, its model away: what waits goes on to."""
    folder = tmp_path_factory.mktemp("upgraded")
    nobody = f"http://127.0.0.1:{free_port()}"
    environment = on(copied(filled.url, folder), filled.policy)
    server = evaluation_server(folder, nobody, PROJECT, **environment)
    worker = worker_server(server, store, CREDIT_CARD_MODEL_TAG="credit_card_clusters:nenhum")
    with serving(server, worker), client(server) as http:
        eventually(lambda: len(http.get("/lotes").json()["itens"]) == len(filled.files))
        yield http


def test_the_record_is_half_done_as_the_tests_need_it(filled: Filled) -> None:
    halfway = json.loads(filled.pages[f"/lotes/{filled.files['halfway']['id']}"])

    assert 0 < halfway["feitas"] < MANY_LINES
    assert len(filled.waiting) == 5
    versions = asked(filled.url, "SELECT DISTINCT policy_version FROM evaluations")
    assert len({version for (version,) in versions if version}) == 2


def test_every_page_shows_what_the_last_release_showed(
    filled: Filled, upgraded: httpx.Client
) -> None:
    changed = []
    going = [one["id"] for how, one in filled.files.items() if how not in OVER]
    for path, before in filled.pages.items():
        if path == "/lotes" or any(one in path for one in going):
            continue
        answer = upgraded.get(path)
        assert answer.status_code == 200, (path, answer.text)
        if path.endswith("/dossie"):
            own_page = json.loads(filled.pages[path.removesuffix("/dossie")])
            changed += lost_of_dossier(own_page, answer.content)
        else:
            changed += lost_of_page(path, before, answer.content)

    assert [one for one in changed if not one.endswith("linhas_por_segundo: now None")] == []
    listed = {one["id"]: one["nome"] for one in upgraded.get("/lotes").json()["itens"]}
    assert listed == {one["id"]: one["nome"] for one in filled.files.values()}


def test_a_repeat_of_an_old_key_gives_the_old_answer_byte_for_byte(
    filled: Filled, upgraded: httpx.Client
) -> None:
    answers = {key: filled.ask(upgraded, key) for key in filled.bodies}

    assert {key: answers[key].content for key in filled.given} == filled.given
    assert {key: answers[key].headers["location"] for key in filled.waiting} == filled.waiting


def test_a_review_is_added_to_those_of_the_last_release(
    filled: Filled, upgraded: httpx.Client
) -> None:
    path = f"/avaliacoes/{json.loads(filled.given['default-0'])['id']}"
    before = json.loads(filled.pages[path])["revisoes"]

    upgraded.post(f"{path}/revisao", json=review("analise_manual")).raise_for_status()

    now = upgraded.get(path).json()
    assert (lost(before, now["revisoes"][: len(before)]), len(before)) == ([], 2)
    assert now["decisao_final"] == "analise_manual"


def test_what_waited_is_decided_and_files_go_on_or_say_what_to_do(
    filled: Filled, halves: Halves, store: Path, tmp_path: Path
) -> None:
    halfway = filled.files["halfway"]
    result = f"/lotes/{halfway['id']}/resultado.csv"
    rows_before = rows(filled.pages[result])
    ended_before = [row for row in rows_before if row["id"] or row["erro_motivo"]]
    environment = on(copied(filled.url, tmp_path), filled.policy)
    server = evaluation_server(tmp_path, halves.models[NOW].url, PROJECT, **environment)
    with serving(server, worker_server(server, store)), client(server) as http:
        eventually(lambda: len(http.get("/lotes").json()["itens"]) == len(filled.files))
        checked(http, filled.files["untouched"])
        step(http, filled.files["untouched"], "iniciar")
        late = [settled(http, location) for location in filled.waiting.values()]
        ended = {how: done(http, filled.files[how]) for how in ("running", "untouched")}
        half = look(http, halfway)
        results = rows(http.get(result).content)
        left = send(http, http.get(f"/lotes/{halfway['id']}/erros.csv").content, "resto.csv")
        cancelled = look(http, filled.files["cancelled"])

    assert [one["avaliacao"]["cluster"] for one in late] == [0, 1, 2, 3, 4]
    assert ended["running"]["decididas"] == ended["untouched"]["decididas"] == FEW_LINES
    assert [int(row["linha"]) for row in results] == list(range(2, MANY_LINES + 2))
    assert lost(rows_before, results) == []
    assert (half["situacao"], half["feitas"]) == ("cancelado", len(ended_before))
    assert "envie-as como outro arquivo" in half["recusa"]
    assert left["linhas"] == MANY_LINES - half["feitas"]
    assert cancelled["situacao"] == "cancelado"


def test_no_column_that_the_last_release_has_is_dropped(filled: Filled, migrated: str) -> None:
    assert columns(filled.url) - columns(migrated) == set()


def test_every_command_works_on_the_record(
    filled: Filled, migrated: str, halves: Halves, tmp_path: Path
) -> None:
    """One after the other: a replay of what there is, then more, then nothing."""
    url = copied(migrated, tmp_path)
    environment = {**on(url, filled.policy), "EVALUATION_MODEL_URL": halves.models[NOW].url}
    run = partial(command, PROJECT, environment=environment)

    replayed = run("replay", "--all")
    assert (replayed.returncode, replayed.stdout) == (0, ""), replayed.stderr
    ((count,),) = asked(url, "SELECT count(*) FROM evaluations WHERE NOT pending")
    assert f"{count} evaluated again, 0 differences" in replayed.stderr

    moved = run("batch", "--resume", filled.files["halfway"]["id"], "-o", "decisoes.csv")
    assert (moved.returncode, moved.stdout) == (2, "")
    assert "python -m portfolio score FILE -o OUT --record" in moved.stderr

    assert run("audit", "head").returncode == 0
    verified = run("audit", "verify")
    assert (verified.returncode, verified.stdout) == (0, "")
    assert "0 not sealed yet; 0 faults" in verified.stderr

    make_old(url)
    purged = run("purge", "--older-than", "1", "--yes")
    assert purged.returncode == 0, purged.stderr
    for table in ("evaluations", "idempotency_keys", "reviews", "batches", "batch_chunks"):
        assert asked(url, f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608
