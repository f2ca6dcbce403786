"""The operator's commands, on a record that the real services wrote."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import NullPool, QueuePool, create_engine, text

from evaluation_api import app
from evaluation_api.client_files.client_file import Answers
from evaluation_api.client_files.log import ClientFileLog
from evaluation_api.decision import policy_file
from evaluation_api.operations.commands import main
from evaluation_api.record.database import connect
from evaluation_api.record.outage import Outage
from evaluation_api.record.schema import HEAD, migrate
from evaluation_api.settings import Settings
from portfolio import worker
from tests import commands
from tests.access import SECRET
from tests.clients import FIVE_CLIENTS, asked
from tests.commands import Finished
from tests.services import (
    CERTIFICATES,
    ENVIRONMENT,
    PROJECT,
    Server,
    evaluation_server,
    free_port,
    locked_for,
)

MANY = 300
LATIN = {"PYTHONIOENCODING": "ascii"}
_OF_1970 = "00000000-0001-7000-8000-000000000000"


def run(*arguments: str, environment: dict[str, str]) -> Finished:
    return commands.run(main, *arguments, environment=environment)


def run_apart(
    *arguments: str,
    environment: dict[str, str],
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, at a terminal or wherever."""
    return subprocess.run(
        [sys.executable, "-m", "evaluation_api", *arguments],
        cwd=PROJECT,
        env={**ENVIRONMENT, **environment},
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def written(
    model_service: Server, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """Return a database with some hundred decisions, and the environment that names it."""
    folder = tmp_path_factory.mktemp("written")
    server = evaluation_server(folder, model_service.url)

    async def evaluate_many() -> None:
        async with httpx.AsyncClient(
            base_url=server.url, verify=CERTIFICATES, timeout=60
        ) as client:
            for start in range(0, MANY, 50):
                bodies = [asked(FIVE_CLIENTS[i % 5][0], f"Cliente {start + i}") for i in range(50)]
                answers = await asyncio.gather(*(client.post("/avaliar", json=b) for b in bodies))
                assert all(answer.status_code == 200 for answer in answers)

    with server:
        asyncio.run(evaluate_many())
    return folder / "evaluations.db", server.environment


@pytest.fixture
def record(written: tuple[Path, dict[str, str]], tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Return a copy of that database which a test may spoil, and its environment."""
    copy = tmp_path / "evaluations.db"
    with sqlite3.connect(written[0]) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    return copy, {**written[1], "EVALUATION_DATABASE_URL": f"sqlite:///{copy}"}


def ids(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM evaluations ORDER BY id")]


def test_recorded_decisions_are_evaluated_again_without_a_difference(
    record: tuple[Path, dict[str, str]],
) -> None:
    replayed = run("replay", "--all", environment=record[1])

    assert (replayed.returncode, replayed.stdout) == (0, ""), replayed.stderr
    assert f"{MANY} evaluated again, 0 differences" in replayed.stderr


def test_a_terminal_that_knows_fewer_letters_is_told_all_the_same(
    record: tuple[Path, dict[str, str]],
) -> None:
    database, environment = record
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE evaluations SET answer = replace(answer, 'nome', 'não')")

    replayed = run_apart("replay", ids(database)[0], environment=environment | LATIN)

    assert (replayed.returncode, replayed.stderr) == (1, "1 evaluated again, 4 differences\n")
    assert ": n\\xe3o: recorded" in replayed.stdout


def test_a_reader_who_leaves_ends_a_command_quietly(record: tuple[Path, dict[str, str]]) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    migrated = run_apart("migrate", environment=record[1], stdout=writer)

    os.close(writer)
    assert (migrated.returncode, migrated.stderr) == (-signal.SIGPIPE, "")


def test_an_output_that_is_full_is_one_sentence(record: tuple[Path, dict[str, str]]) -> None:
    with Path("/dev/full").open("w") as full:
        migrated = run_apart("migrate", environment=record[1], stdout=full.fileno())

    assert migrated.returncode == 2
    assert migrated.stderr == "No space left on device\n"


def test_what_was_tampered_with_is_reported_by_field(record: tuple[Path, dict[str, str]]) -> None:
    database, environment = record
    with sqlite3.connect(database) as connection:
        approved = "SELECT id, answer FROM evaluations WHERE outcome = 'aprovado' LIMIT 1"
        victim, answer = connection.execute(approved).fetchone()
        changed = json.dumps({**json.loads(answer), "decisao": "recusado"})
        connection.execute("UPDATE evaluations SET answer = ? WHERE id = ?", [changed, victim])

    replayed = run("replay", "--all", environment=environment)

    assert replayed.returncode == 1
    assert replayed.stdout == f"{victim}: decisao: recorded 'recusado', now 'aprovado'\n"


def test_the_policy_of_the_day_decides_again_and_not_the_one_in_force(
    record: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    stricter = tmp_path / "politica.toml"
    stricter.write_text(policy_file.DEFAULT.read_text().replace('"aprovado"', '"recusado"'))
    environment = {**record[1], "EVALUATION_POLICY_PATH": str(stricter)}

    assert run("replay", "--all", environment=environment).returncode == 0


def test_a_model_version_that_is_gone_is_named(record: tuple[Path, dict[str, str]]) -> None:
    database, environment = record
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE evaluations SET model_tag = 'credit_card_clusters:00000000dead'")

    replayed = run("replay", ids(database)[0], ids(database)[1], environment=environment)

    assert replayed.returncode == 1
    assert "and 1 more: model credit_card_clusters:00000000dead is gone" in replayed.stdout


def test_an_id_that_nobody_has_is_named(record: tuple[Path, dict[str, str]]) -> None:
    replayed = run("replay", ids(record[0])[0], "nobody", environment=record[1])

    assert replayed.returncode == 1
    assert replayed.stdout == "nobody: no decided evaluation has this id\n"


def test_a_replay_without_the_model_ends_in_one_sentence(
    record: tuple[Path, dict[str, str]],
) -> None:
    environment = {**record[1], "EVALUATION_MODEL_URL": f"http://127.0.0.1:{free_port()}"}

    replayed = run("replay", "--all", environment=environment)

    assert replayed.returncode == 2
    sentence = "The model service at EVALUATION_MODEL_URL gives no predictions: "
    assert replayed.stderr.startswith(sentence)
    assert replayed.stderr.count("\n") == 1


def test_a_purge_that_was_broken_off_is_finished_by_another_one(
    record: tuple[Path, dict[str, str]],
) -> None:
    database, environment = record
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO marks VALUES ('purge_begun', '')")

    finished = run("purge", "--older-than", "7", environment=environment)
    again = run("purge", "--older-than", "7", environment=environment)

    assert "broken off had deleted is wiped" in finished.stdout
    assert "wiped" not in again.stdout
    assert len(ids(database)) == MANY


def test_a_purge_needs_somebody_to_say_yes(record: tuple[Path, dict[str, str]]) -> None:
    database, environment = record
    make_older(database, days=10)

    refused = run("purge", "--older-than", "7", environment=environment)

    assert refused.returncode == 2
    assert f"{MANY} evaluations" in refused.stdout
    assert "--yes" in refused.stderr
    assert len(ids(database)) == MANY


@pytest.mark.parametrize(("reply", "left"), [(b"yes\n", 0), (b"no\n", MANY)])
def test_a_purge_asks_on_a_terminal(
    record: tuple[Path, dict[str, str]], reply: bytes, left: int
) -> None:
    database, environment = record
    make_older(database, days=10)
    master, terminal = pty.openpty()
    os.write(master, reply)

    purged = run_apart("purge", "--older-than", "7", environment=environment, stdin=terminal)

    os.close(terminal)
    os.close(master)
    assert purged.returncode == 0
    assert len(ids(database)) == left


def test_a_purge_takes_a_file_that_was_never_evaluated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'evaluations.db'}"
    engine = connect(url)
    migrate(engine)
    ClientFileLog(engine).open(_OF_1970, "clientes.csv", Answers())
    engine.dispose()

    purged = run(
        "purge", "--older-than", "7", "--yes", environment={"EVALUATION_DATABASE_URL": url}
    )

    assert purged.returncode == 0
    assert "0 evaluations and 1 files" in purged.stdout
    assert "and the files" in purged.stdout


def test_a_purge_deletes_what_is_older_and_nothing_else(
    record: tuple[Path, dict[str, str]],
) -> None:
    database, environment = record
    make_older(database, days=10, but=40)

    purged = run("purge", "--older-than", "7", "--yes", environment=environment)

    assert purged.returncode == 0
    assert f"{MANY - 40} deleted" in purged.stdout
    assert len(ids(database)) == 40


def make_older(database: Path, days: int, but: int = 0) -> None:
    """Move evaluations, but for the newest few, into the past: their ids begin with the time."""
    with sqlite3.connect(database) as connection:
        for old in ids(database)[: MANY - but]:
            milliseconds = int(old[:8] + old[9:13], 16) - days * 86_400_000
            moved = f"{milliseconds:012x}"
            new = f"{moved[:8]}-{moved[8:]}{old[13:]}"
            connection.execute("UPDATE evaluations SET id = ? WHERE id = ?", [new, old])


def test_migrate_makes_the_tables_of_an_empty_database(tmp_path: Path) -> None:
    database = tmp_path / "new" / "evaluations.db"

    migrated = run("migrate", environment={"EVALUATION_DATABASE_URL": f"sqlite:///{database}"})

    assert (migrated.returncode, migrated.stdout) == (0, f"The tables are at {HEAD}.\n")
    assert ids(database) == []


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"EVALUATION_PORT": "0"}, "EVALUATION_PORT: Input should be greater than or equal to 1\n"),
        ({"EVALUATION_PORT": "eighty"}, "EVALUATION_PORT: "),
        ({"EVALUATION_LOG_LEVEL": "LOUD"}, "EVALUATION_LOG_LEVEL: "),
        (
            {"EVALUATION_MODEL_URL": "localhost:8001"},
            "EVALUATION_MODEL_URL: is no address such as ",
        ),
        ({"EVALUATION_ALLOWED_HOSTS": ""}, "EVALUATION_ALLOWED_HOSTS: is no list such as "),
        ({"EVALUATION_ALLOWED_HOSTS": "a:80"}, "EVALUATION_ALLOWED_HOSTS: is no list such as "),
        ({"EVALUATION_MODEL_URL": "http://localhost:model"}, "EVALUATION_MODEL_URL: is no address"),
        ({"EVALUATION_MODEL_URL": "http://:8001"}, "EVALUATION_MODEL_URL: is no address such as "),
        ({"EVALUATION_MODEL_URL": "http://[::1"}, "EVALUATION_MODEL_URL: is no address such as "),
        ({"EVALUATION_MODEL_URL": "http://a..b"}, "EVALUATION_MODEL_URL: is no address such as "),
        (
            {"EVALUATION_MODEL_URL": f"http://{'a' * 64}"},
            "EVALUATION_MODEL_URL: is no address such as ",
        ),
        ({"EVALUATION_HOST": "192.0.2.1", "EVALUATION_ACCESS_SECRET": SECRET}, "192.0.2.1 port "),
        ({"EVALUATION_HOST": "192.0.2.1"}, "EVALUATION_HOST: at 192.0.2.1 anybody who reaches it"),
        ({"EVALUATION_HOST": "::"}, "EVALUATION_HOST: at :: anybody who reaches it"),
        ({"EVALUATION_ACCESS_SECRET": "short"}, "EVALUATION_ACCESS_SECRET: has fewer than 32"),
        ({"EVALUATION_PUBLIC_URL": "https://a.example/cards"}, "EVALUATION_PUBLIC_URL: has a path"),
        (
            {"EVALUATION_OIDC_DISCOVERY_URL": "https://a.example/b", "EVALUATION_OIDC_ROLES": "{}"},
            (
                "EVALUATION_OIDC_CLIENT_ID: is needed with EVALUATION_OIDC_DISCOVERY_URL; "
                "EVALUATION_OIDC_ROLES: is needed with EVALUATION_OIDC_DISCOVERY_URL\n"
            ),
        ),
        (
            {"EVALUATION_OIDC_CLIENT_ID": "evaluation", "EVALUATION_OIDC_ROLES": '{"a": []}'},
            (
                "EVALUATION_OIDC_CLIENT_ID: does nothing without EVALUATION_OIDC_DISCOVERY_URL; "
                "EVALUATION_OIDC_ROLES: does nothing without EVALUATION_OIDC_DISCOVERY_URL\n"
            ),
        ),
        ({"EVALUATION_ACCESS_SECRET": " " * 40}, "EVALUATION_ACCESS_SECRET: has fewer than 32"),
        ({"EVALUATION_GATEWAYS": "gateway"}, "EVALUATION_GATEWAYS: is no list such as 10.0.0.5"),
        ({"EVALUATION_GATEWAYS": "10.0.0.1/8"}, "EVALUATION_GATEWAYS: is no list such as "),
        ({"EVALUATION_PUBLIC_URL": "https://a b"}, "EVALUATION_PUBLIC_URL: is no address such as "),
        ({"EVALUATION_RATE_PER_SECOND": "inf"}, "EVALUATION_RATE_PER_SECOND: "),
        ({"EVALUATION_OIDC_ROLES": "{credito"}, "EVALUATION_OIDC_ROLES: Invalid JSON"),
        ({"EVALUATION_OIDC_SCOPE": "email"}, "EVALUATION_OIDC_SCOPE: has no openid"),
        (
            {
                "EVALUATION_OIDC_DISCOVERY_URL": "https://a.example/b",
                "EVALUATION_OIDC_CLIENT_ID": "evaluation",
                "EVALUATION_OIDC_ROLES": '{"credito": ["analista"]}',
            },
            "EVALUATION_OIDC_DISCOVERY_URL: without EVALUATION_ACCESS_SECRET everybody",
        ),
        ({"EVALUATION_DATABASE_URL": "sqlite://"}, "The database cannot be used: sqlite:///"),
        (
            {"EVALUATION_DATABASE_URL": "postgresql+psycopg://a:secret@localhost:port/a"},
            "The database cannot be used: the port in its address is no number",
        ),
        ({"MODEL_SERVICE_TOKEN": "short"}, "MODEL_SERVICE_TOKEN: has fewer than 32"),
        ({"EVALUATION_DATABASE_URL": "nonsense"}, "The database cannot be used: "),
        ({"EVALUATION_DATABASE_URL": "sqlite:////proc/no/file.db"}, "The database cannot be used"),
        (
            {"EVALUATION_DATABASE_URL": "sqlite:////proc/file.db"},
            (
                "The database cannot be used: (sqlite3.OperationalError)"
                " unable to open database file: /proc/file.db\n"
            ),
        ),
        ({"EVALUATION_DATABASE_URL": "oracle://localhost"}, "The database cannot be used: "),
        ({"EVALUATION_POLICY_PATH": "/nowhere.toml"}, "/nowhere.toml: cannot be read"),
        ({"EVALUATION_FRONTEND_PATH": "/nowhere"}, "EVALUATION_FRONTEND_PATH: /nowhere"),
    ],
)
def test_a_start_that_cannot_be_ends_in_one_sentence(
    tmp_path: Path, environment: dict[str, str], says: str
) -> None:
    default = record_in(tmp_path)

    ended = run(environment={**default, **environment})

    assert ended.returncode == 2
    assert ended.stderr.startswith(says)
    assert ended.stderr.count("\n") == 1


def test_a_setting_that_nobody_reads_is_named_at_the_start(tmp_path: Path) -> None:
    mistyped = {"EVALUATION_RATEPERSECOND": "5", "EVALUATION_POLICY_PATH": "/nowhere.toml"}

    ended = run(environment={**record_in(tmp_path), **mistyped})

    warning, _ = ended.stderr.splitlines()
    assert "unknown_settings" in warning
    assert warning.endswith("names=EVALUATION_RATEPERSECOND")


def test_a_setting_that_no_worker_reads_is_named_at_its_start(tmp_path: Path) -> None:
    mistyped = {"PORTFOLIO_METRICSPORT": "1", "EVALUATION_POLICY_PAHT": "/nowhere.toml"}
    refused = {"EVALUATION_POLICY_PATH": "/nowhere.toml", **mistyped}

    ended = commands.run(worker.main, environment={**record_in(tmp_path), **refused})

    assert ended.returncode == worker.REFUSED
    warning, _ = ended.stderr.splitlines()
    assert warning.endswith("names=EVALUATION_POLICY_PAHT PORTFOLIO_METRICSPORT")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"PORTFOLIO_METRICS_PORT": "x"},
            "PORTFOLIO_METRICS_PORT: Input should be a valid",
        ),
        ({"PORTFOLIO_MODEL_URL": "model:8001"}, "PORTFOLIO_MODEL_URL: is no address such as http"),
        ({"EVALUATION_LOG_LEVEL": "x"}, "EVALUATION_LOG_LEVEL: String should match"),
    ],
)
def test_a_workers_start_that_cannot_be_names_what_is_wrong(
    tmp_path: Path, wrong: dict[str, str], says: str
) -> None:
    ended = commands.run(worker.main, environment={**record_in(tmp_path), **wrong})

    assert ended.returncode == worker.REFUSED
    assert ended.stderr.startswith(says)
    assert ended.stderr.count("\n") == 1


def test_a_policy_with_a_mistake_stops_the_start_with_its_line(tmp_path: Path) -> None:
    mistaken = tmp_path / "politica.toml"
    text = policy_file.DEFAULT.read_text().replace(
        'decisao = "analise_manual"', 'decisao = "talvez"', 1
    )
    mistaken.write_text(text)
    line = text.splitlines().index('decisao = "talvez"') + 1

    ended = run(environment={**record_in(tmp_path), "EVALUATION_POLICY_PATH": str(mistaken)})

    assert ended.returncode == 2
    assert f"linha {line}: perfis.0.decisao" in ended.stderr


def test_a_taken_port_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        port = other_program.getsockname()[1]
        ended = run(environment={**record_in(tmp_path), "EVALUATION_PORT": str(port)})

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"127.0.0.1 port {port}: Address already in use")
    assert ended.stderr.count("\n") == 1


def test_somebody_who_keeps_writing_to_the_file_stops_the_start(tmp_path: Path) -> None:
    environment = record_in(tmp_path)
    assert run("migrate", environment=environment).returncode == 0
    with sqlite3.connect(tmp_path / "evaluations.db") as connection:
        connection.execute("BEGIN IMMEDIATE")
        ended = run_apart(environment=environment)

    assert ended.returncode == 2
    assert re.match(r"The database cannot be used: .*database is locked\n$", ended.stderr)


def test_a_start_waits_for_who_makes_the_record_longer_than_callers_wait(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.db"
    settings = Settings(
        database_url=SecretStr(f"sqlite:///{file}"), model_url=f"http://127.0.0.1:{free_port()}"
    )

    async def start() -> None:
        async with app.services_of(settings, None, Outage()) as services:
            assert services.evaluations

    with locked_for(file, seconds=2):
        asyncio.run(start())


@pytest.mark.postgres
@pytest.mark.parametrize(("places", "connected"), [(100, 5), (4, 4)])
def test_what_is_ready_has_connected_to_a_server_as_far_as_it_has_places(
    fresh_database: str, places: int, connected: int
) -> None:
    """On a busy machine a connection may take longer than the caller waits for whom it is made."""
    (name,) = re.findall(r"/(fresh_\d+)\?", fresh_database)
    server = create_engine(fresh_database, poolclass=NullPool)
    with server.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {places}"))
        connection.execute(text(f"ALTER DATABASE {name} OWNER TO {name}"))
    url = f"{fresh_database}&user={name}"
    settings = Settings(database_url=SecretStr(url), model_url=f"http://127.0.0.1:{free_port()}")

    async def start() -> int:
        async with app.services_of(settings, None, Outage()) as services:
            pool = services.evaluations.engine.pool
            assert isinstance(pool, QueuePool)
            return pool.checkedin() + pool.checkedout()

    assert asyncio.run(start()) >= connected


@pytest.mark.postgres
def test_a_standby_server_stops_the_start(fresh_database: str) -> None:
    """A server that takes no writes, as a standby does; no other program is using this one."""
    environment = {"EVALUATION_DATABASE_URL": fresh_database}
    assert run("migrate", environment=environment).returncode == 0
    options = f"{fresh_database}&options=-c%20default_transaction_read_only%3Don"

    ended = run_apart(
        environment={"EVALUATION_DATABASE_URL": options, "EVALUATION_PORT": str(free_port())}
    )

    assert ended.returncode == 2
    assert re.match(r"The database cannot be used: .*read-only transaction\n$", ended.stderr)


def test_the_record_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        migrated = run_apart("migrate", environment=record_in(tmp_path / "var"))
    finally:
        os.umask(before)

    assert migrated.returncode == 0
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "var").iterdir()}
    assert modes == {0o600}


def record_in(folder: Path) -> dict[str, str]:
    """Return the environment that has the record in a folder, and a port of its own."""
    database = f"sqlite:///{folder / 'evaluations.db'}"
    return {"EVALUATION_DATABASE_URL": database, "EVALUATION_PORT": str(free_port())}


def test_tables_of_a_newer_version_stop_the_start(tmp_path: Path) -> None:
    environment = record_in(tmp_path)
    assert run("migrate", environment=environment).returncode == 0
    with sqlite3.connect(tmp_path / "evaluations.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE marks SET value = '9998' WHERE name = 'readable_by'")

    ended = run(environment=environment)

    assert ended.returncode == 2
    assert "9999" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "evaluations.db").write_text("no database" * 100)

    ended = run(environment=record_in(tmp_path))

    assert ended.returncode == 2
    assert re.match(r"The database cannot be used: .*not a database", ended.stderr)


@pytest.mark.parametrize(
    "command",
    [
        "audit verify",
        "audit head",
        "audit export",
        "keys list",
        "keys revoke vendas",
        "person export 1",
        "person correct 1",
        "person erase 1 --yes",
        "purge --older-than 1 --yes",
        "replay --all",
    ],
)
def test_a_record_that_is_not_there_is_told_and_not_made(tmp_path: Path, command: str) -> None:
    environment = record_in(tmp_path / "var")

    refused = run(*command.split(), environment=environment)

    assert (refused.returncode, refused.stdout) == (2, "")
    file = tmp_path / "var" / "evaluations.db"
    told = f"there is no file {file}, which EVALUATION_DATABASE_URL names\n"
    assert refused.stderr == f"The database cannot be used: {told}"
    assert not file.parent.exists()


def test_a_database_that_holds_no_record_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.db"
    file.touch()

    refused = run("audit", "verify", environment=record_in(tmp_path))

    told = f"there is no record in {file}, which EVALUATION_DATABASE_URL names\n"
    assert (refused.returncode, refused.stderr) == (2, f"The database cannot be used: {told}")
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_keys_are_made_before_the_first_start(tmp_path: Path) -> None:
    environment = {**record_in(tmp_path / "var"), "EVALUATION_PORT": "8017"}

    for how in ("create", "link"):
        made = run("keys", how, "vendas", "--role", "integracao", environment=environment)
        assert made.returncode == 0, made.stderr

    assert made.stdout.startswith("http://127.0.0.1:8017/entrar.html#")
    assert run("keys", "list", environment=environment).stdout.count("vendas") == 2


@pytest.mark.parametrize("name", ["ven\ndas", "ven\x1b[2Jdas", "ven\u202edas"])
@pytest.mark.parametrize("how", ["create", "link"])
def test_a_name_that_cannot_be_read_is_given_to_nobody(tmp_path: Path, how: str, name: str) -> None:
    refused = run("keys", how, name, "--role", "analista", environment=record_in(tmp_path))

    assert refused.returncode == 2
    assert "is no name of 1 to 120" in refused.stderr
    assert not (tmp_path / "evaluations.db").exists()


def test_a_days_of_none_is_refused() -> None:
    refused = run("purge", "--older-than", "0", environment={})

    assert refused.returncode == 2
    assert "from 1 to" in refused.stderr


def test_an_unknown_role_is_answered_with_those_that_there_are() -> None:
    refused = run_apart("keys", "create", "vendas", "--role", "chefe", environment={})

    assert refused.returncode == 2
    assert "choose from 'integracao', 'analista'" in refused.stderr
