"""Model and policy by number: on a new record alone, which programs without numbers refuse."""

from pathlib import Path

import pytest

from evaluation_api.record import database, digests, schema, tables
from evaluation_api.record.versions import Versions
from tests.clients import MARIA
from tests.releases.conftest import NOW, Halves
from tests.releases.databases import asked, copied, new_database, told
from tests.releases.filling import Filled, on
from tests.releases.serving import client, command, serving
from tests.services import PROJECT, evaluation_server, free_port

pytestmark = pytest.mark.release

STORED = "SELECT count(model_tag), count(version) FROM evaluations WHERE NOT pending"
COUNT = "SELECT count(*) FROM evaluations WHERE NOT pending"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a record that the present program has made."""
    server = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    url = new_database(server, tmp_path)
    environment = {"EVALUATION_DATABASE_URL": url}
    assert command(PROJECT, "migrate", environment=environment).returncode == 0
    return url


def test_the_last_release_refuses_a_record_with_numbers_in_a_sentence(
    new: str, release: Path
) -> None:
    for arguments in ((), ("migrate",)):
        ended = command(release, *arguments, environment={"EVALUATION_DATABASE_URL": new})

        assert (ended.returncode, ended.stdout) == (2, "")
        assert f"its tables are at {schema.HEAD}, of a newer program" in ended.stderr


def test_a_record_of_the_last_release_goes_on_with_names(
    filled: Filled, migrated: str, halves: Halves, tmp_path: Path
) -> None:
    url = copied(migrated, tmp_path)
    server = evaluation_server(tmp_path, halves.models[NOW].url, PROJECT, **on(url, filled.policy))

    with serving(server), client(server) as http:
        http.post("/avaliar", json=MARIA).raise_for_status()

    ((count,),) = asked(url, COUNT)
    assert asked(url, STORED) == [(count, 0)]
    assert asked(url, "SELECT value FROM marks WHERE name = 'readable_by'") == [("0005",)]


def test_every_page_and_command_shows_a_record_by_number_as_with_names(
    filled: Filled, migrated: str, halves: Halves, tmp_path: Path
) -> None:
    url = copied(migrated, tmp_path)
    with_names = shown(url, filled, halves, tmp_path)
    ((count,),) = asked(url, COUNT)

    number_all(url)

    assert asked(url, STORED) == [(0, count)]
    assert shown(url, filled, halves, tmp_path) == with_names


def shown(url: str, filled: Filled, halves: Halves, folder: Path) -> dict[str, object]:
    """Return what the present pages and commands show of a record."""
    nobody = f"http://127.0.0.1:{free_port()}"
    environment = on(url, filled.policy)
    server = evaluation_server(folder, nobody, PROJECT, **environment)
    with serving(server), client(server) as http:
        found: dict[str, object] = {
            path: http.get(path).raise_for_status().content
            for path in filled.pages
            if path.startswith("/avaliacoes")
        }
    environment |= {"EVALUATION_MODEL_URL": halves.models[NOW].url}
    verified = command(PROJECT, "audit", "verify", environment=environment)
    assert verified.returncode == 0, verified.stderr
    assert "; 0 faults" in verified.stderr
    found["replay"] = command(PROJECT, "replay", "--all", environment=environment)
    found["export"] = asked(url, "SELECT * FROM decisoes ORDER BY avaliacao")
    return found


def number_all(url: str) -> None:
    """Make of a record with names one that has numbers."""
    told(url, f"UPDATE marks SET value = '{schema.HEAD}' WHERE name = '{tables.READABLE_BY}'")  # noqa: S608
    engine = database.connect(url)
    versions, columns = Versions(engine), ", ".join(digests.NAMES)
    query = f"SELECT DISTINCT {columns} FROM evaluations WHERE NOT pending"  # noqa: S608
    for names in asked(url, query):
        where = " AND ".join(
            f"{name} = '{value}'" for name, value in zip(digests.NAMES, names, strict=True)
        )
        empty = ", ".join(f"{name} = NULL" for name in digests.NAMES)
        number = versions.number(tuple(names))
        told(url, f"UPDATE evaluations SET {empty}, version = {number} WHERE {where}")  # noqa: S608
    engine.dispose()
