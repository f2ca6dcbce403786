"""The present code on the tables of the release after it, as a restart in the middle of an update.

And as after `helm rollback`. The successor is two migrations of our own (tests/successor.py).
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evaluation_api.record import database
from tests import successor
from tests.clients import MARIA
from tests.releases.comparing import lost_of_page
from tests.releases.conftest import NOW, Halves
from tests.releases.databases import copied
from tests.releases.filling import Filled, on
from tests.releases.serving import client, command, review, serving
from tests.services import PROJECT, evaluation_server, free_port

pytestmark = pytest.mark.release


def test_a_service_starts_and_serves_on_the_tables_of_its_successor(
    filled: Filled, migrated: str, halves: Halves, tmp_path: Path
) -> None:
    url = _changed(successor.expand, migrated, tmp_path)
    environment = on(url, filled.policy)
    server = evaluation_server(tmp_path, halves.models[NOW].url, PROJECT, **environment)
    lists = [path for path in filled.pages if path.endswith("nome=jose")]

    with serving(server), client(server) as http:
        shown = {path: http.get(path).raise_for_status().content for path in lists}
        given = http.post("/avaliar", json={**MARIA, "name": "Nova"}).raise_for_status()
        location = f"/avaliacoes/{given.json()['id']}"
        http.post(f"{location}/revisao", json=review("recusado")).raise_for_status()
        reviewed = http.get(location).json()

    assert [lost_of_page(path, filled.pages[path], shown[path]) for path in lists] == [[]]
    assert reviewed["decisao_final"] == "recusado"


def test_a_service_says_why_it_does_not_start_once_its_columns_are_gone(
    filled: Filled, migrated: str, tmp_path: Path
) -> None:
    url = _changed(successor.contract, migrated, tmp_path)

    port = {"EVALUATION_PORT": f"{free_port()}"}
    ended = command(PROJECT, environment=on(url, filled.policy) | port)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "9002, of a newer program, readable from 9001 on" in ended.stderr


def _changed(change: Callable[[Engine, Path], None], migrated: str, folder: Path) -> str:
    url = copied(migrated, folder)
    engine = database.connect(url)
    change(engine, folder)
    engine.dispose()
    return url
