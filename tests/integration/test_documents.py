"""Every command of the documents, in a fresh clone: what the text promises of it holds.

Needs nothing of the clone's own: the environment is the one that runs the tests, and the ports are
free ones.
"""

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import pytest
from pyarrow import parquet

from deploy import ports
from deploy.processes import Program, Running
from model_store import notes
from model_store.features import FEATURES
from tests.documents import commands_of, printed_by
from tests.services import PROJECT, eventually

REAL_CSV = os.environ.get("CC_GENERAL_CSV")

ASK = """curl -s http://127.0.0.1:8000/avaliar -H 'Content-Type: application/json' \
-d '{"name": "Maria",
  "balance": 1035, "purchases": 5788, "cash_advance": 0, "credit_limit": 2700, "payments": 5651}'"""
COPY = (
    '.venv/bin/python -c "import os, sqlite3 as s; os.umask(0o77); '
    "s.connect('file:var/evaluations.db?mode=rw', uri=True).backup(s.connect('record.db'))\""
)
EXAMPLE = "curl -so clientes.csv http://127.0.0.1:8000/lotes/modelo.csv"
SCORE = ".venv/bin/python -m portfolio score clientes.csv -o decisoes.csv"
SCORE_NAMED = (
    '.venv/bin/python -m portfolio score "CC GENERAL.csv" -o decisoes.parquet --name CUST_ID'
)
RECORD = ".venv/bin/python -m portfolio score clientes.csv -o registradas.csv --record"
SEND = (
    'curl -s "http://127.0.0.1:8000/lotes?nome=clientes.csv" -H "Content-Type: text/csv" '
    "--data-binary @clientes.csv"
)
BEGIN = "curl -s -X POST http://127.0.0.1:8000/lotes/<id>/iniciar"
GET_RESULT = "curl -s http://127.0.0.1:8000/lotes/<id>/resultado.csv -o decisoes.csv"
COPY_POLICY = "cp evaluation_api/decision/politica.toml nova.toml"
CHECK = ".venv/bin/python -m portfolio policy check nova.toml"
TRY = ".venv/bin/python -m portfolio policy try nova.toml --file clientes.csv"
TRY_RECORDED = ".venv/bin/python -m portfolio policy try nova.toml --record --since 90d"
EXPORT = (
    ".venv/bin/python -m portfolio export --since 2026-11-01 --until 2026-12-01 -o novembro.parquet"
)
EXPORT_REVIEWS = ".venv/bin/python -m portfolio export revisoes --since 90d -o revisoes.csv"
TRY_OUTCOMES = (
    ".venv/bin/python -m portfolio policy try nova.toml --file outcomes.csv "
    "--name id --outcome default --group age"
)
TRAIN = "python -m model_store train --data cc_general.csv --output new.pkl --report docs"
BRING = "python -m model_store import"
IMPORT = "python -m model_store import new.pkl"
LIST = "python -m model_store list"
PROMOTE = "python -m model_store promote credit_card_clusters:<version> --why 'fitted on October'"
ROLL_BACK = "python -m model_store rollback --why 'it was worse'"
HERE = {
    "make run",
    ASK,
    COPY,
    EXAMPLE,
    SCORE,
    SCORE_NAMED,
    RECORD,
    SEND,
    BEGIN,
    GET_RESULT,
    COPY_POLICY,
    CHECK,
    TRY,
    TRY_OUTCOMES,
    TRY_RECORDED,
    EXPORT,
    EXPORT_REVIEWS,
    TRAIN,
    IMPORT,
    LIST,
    PROMOTE,
    ROLL_BACK,
}

#: Where a command is run that needs a Docker engine.
IN_CONTAINERS = {
    "make images": "conftest.py",
    "make up": "conftest.py",
    "make down": "test_record.py",
    "make scale MODEL=3 EVAL=2 PORTFOLIO=2": "test_scaling.py",
    "make image-model VERSION=1.2.3": "conftest.py",
    "make roll-model VERSION=1.2.3": "test_update.py",
    "make roll-model VERSION=1.2.2": "test_update.py",
    "make backup FILE=record-2026-11-22.dump": "test_record.py",
    "make restore FILE=record-2026-11-22.dump": "test_record.py",
    "curl -s http://$(docker compose port ml_model_service 8001)/metrics": "test_documents.py",
}
COMPOSE = "docker compose "
BY_FILES = "run by test_portfolio_commands.py"

NOT_RUN = {
    "make test": "runs this test",
    "python -m model_store train --data cc_general.csv --output new.pkl": "the other training, "
    "without its picture",
    "the program in model.md": "takes minutes: 38 times what a training does",
    "the program in integration.md": "run by test_integration_page.py",
    ".venv/bin/python -m portfolio worker": "make run starts one, which tests of files ask",
    ".venv/bin/python -m portfolio compare 2f20dd3b8091 0a1b2c3d4e5f --record "
    "--since 30d": BY_FILES,
    ".venv/bin/python -m portfolio compare A B --data clientes.csv --json found.json "
    "--changes who.csv": BY_FILES,
    ".venv/bin/python -m portfolio drift --record --since 30d": BY_FILES,
    '.venv/bin/python -m portfolio drift --file clientes.csv --reference "CC GENERAL.csv" '
    "--reference-name CUST_ID": BY_FILES,
    "git add model_store && git commit -m 'Publish what October taught' && git push": "run by "
    "test_publishing.py",
    "git pull": "run by test_publishing.py",
    "make logs": "follows the log until somebody at a terminal ends it",
    "make down && docker volume rm credit-card-evaluation_record": "names the one volume of a "
    "machine's own stack, which a test must not remove",
    "kubectl create secret generic evaluation-access --from-literal=session-secret=$(openssl rand "
    "-hex 32) --from-literal=model-token=$(openssl rand -hex 32)": "needs a cluster",
    "kubectl create secret generic evaluation-database "
    "--from-literal=url=postgresql+psycopg://evaluation:...@postgres.example:5432/evaluation": (
        "needs a cluster"
    ),
    "helm install clients deploy/helm --set image.prefix=registry.example/credit-card- "
    "--set image.tag=1.2.3": "needs a cluster",
    "helm upgrade clients deploy/helm --reset-then-reuse-values "
    "--set model.tag=1.2.4": "needs a cluster",
    "helm rollback clients": "needs a cluster",
}


@dataclass(frozen=True)
class Clone:
    """A clone of this project, with this environment, and what its services are to use."""

    folder: Path
    model_port: int
    evaluation_port: int

    @property
    def environment(self) -> dict[str, str]:
        """Return what a person's shell would have: nothing of ours, and ports that are free."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **kept,
            "PATH": f"{self.folder}/.venv/bin:{kept.get('PATH', '')}",
            "BENTOML_HOME": str(self.folder / "home"),
            "EVALUATION_MODEL_URL": f"http://127.0.0.1:{self.model_port}",
            "EVALUATION_PORT": str(self.evaluation_port),
            "MODEL_PORT": str(self.model_port),
        }

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a documented command as it stands there, but for the port."""
        here = command.replace("127.0.0.1:8000", f"127.0.0.1:{self.evaluation_port}")
        return subprocess.run(
            ["/bin/sh", "-c", here],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Clone the project into a folder with a space, and lend it this environment."""
    folder = tmp_path_factory.mktemp("documents") / "a clone"
    git = ["git", "clone", "--quiet", "--shared", str(PROJECT), str(folder)]
    subprocess.run(git, check=True)
    (folder / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if not part.name.endswith(".stamp"):
            (folder / ".venv" / part.name).symlink_to(part)
    for stamp in ("run.stamp", "dev.stamp"):
        (folder / ".venv" / stamp).touch()
    return Clone(folder, *ports.free(2))


@pytest.fixture(scope="module")
def running(clone: Clone) -> Iterator[Running]:
    """Run `make run` while the tests ask what it started."""
    log = clone.folder.parent / "run.log"
    ready = [(clone.evaluation_port, "/health/ready")]
    program = Program(["make", "run"], ready, clone.environment, clone.folder)
    with Running(program, log) as made:
        made.wait_until_ready(90)
        eventually(lambda: "Ready in" in log.read_text(), 20, log)
        yield made


def test_every_command_is_run_somewhere_or_it_is_said_why_not() -> None:
    commands = {in_english(command) for command in commands_of(PROJECT)}
    composed = {command for command in commands if command.startswith(COMPOSE)}

    assert commands - composed == HERE | IN_CONTAINERS.keys() | NOT_RUN.keys()


def in_english(command: str) -> str:
    """Return a command of any document as the others have it."""
    for theirs, ours in (
        (".venv/bin/python -m model_store", "python -m model_store"),
        ("novo.pkl", "new.pkl"),
        ("<versão>", "<version>"),
        ("'dados de outubro'", "'fitted on October'"),
    ):
        command = command.replace(theirs, ours)
    return command


def test_what_containers_run_is_run_there() -> None:
    for command, name in IN_CONTAINERS.items():
        told = re.findall(r"[a-z-]+", command)[1]
        assert f'"{told}"' in (PROJECT / "tests/stack" / name).read_text() or told == "s"


def test_the_services_say_where_they_are(clone: Clone, running: Running) -> None:
    assert not running.has_ended
    printed = (clone.folder.parent / "run.log").read_text()
    assert f"http://127.0.0.1:{clone.evaluation_port}\n" in printed
    assert "WARNING" not in printed
    modes = {file.stat().st_mode & 0o077 for file in (clone.folder / "var").iterdir()}
    assert modes == {0}


@pytest.mark.parametrize("document", ["README.md", "README.pt-BR.md"])
def test_an_answer_carries_what_the_readme_says(
    clone: Clone, running: Running, document: str
) -> None:
    text = (clone.folder / document).read_text(encoding="utf-8")

    answer = json.loads(clone.run(ASK).stdout)

    assert not running.has_ended
    for field in ("decisao", "motivos", "confianca", "simulacao"):
        assert f"`{field}`" in text
        assert field in answer
    assert answer["modelo"].startswith("credit_card_clusters:")
    assert answer["decisao"] in re.findall(r"`(\w+)`", text)


def test_a_file_of_clients_is_evaluated_and_a_bad_row_says_why(
    clone: Clone, running: Running
) -> None:
    rows = ["Ana;1.035,50;5788;0;2700;5651", "Bia;muito;1;1;1;1", "José;900;100;0;3000;900"]
    text = "\n".join([";".join(("name", *FEATURES)), *rows])
    (clone.folder / "clientes.csv").write_text(text, encoding="latin-1")

    done = clone.run(SCORE)
    again = clone.run(SCORE)
    replaced = clone.run(f"{SCORE} --overwrite")

    assert not running.has_ended
    assert (done.returncode, again.returncode, replaced.returncode) == (1, 2, 1)
    assert "1 faulty" in done.stdout
    assert "--overwrite replaces it" in again.stderr
    with (clone.folder / "decisoes.csv").open(encoding="utf-8-sig") as result:
        told = [dict(row) for row in csv.DictReader(result, delimiter=";")]
    assert [bool(row["erro_motivo"]) for row in told] == [False, True, False]


def test_a_file_is_decided_and_recorded_and_a_policy_tried(clone: Clone, running: Running) -> None:
    (clone.folder / "decisoes.csv").unlink(missing_ok=True)
    got, copied = clone.run(EXAMPLE), clone.run(COPY_POLICY)
    policy = (clone.folder / "nova.toml").read_text(encoding="utf-8")
    stricter = policy.replace('"aprovado"', '"analise_manual"')
    (clone.folder / "nova.toml").write_text(stricter, encoding="utf-8")

    scored, recorded, tried = clone.run(SCORE), clone.run(RECORD), clone.run(TRY)

    assert not running.has_ended
    assert (got.returncode, copied.returncode) == (0, 0), got.stderr + copied.stderr
    assert scored.returncode == 0, scored.stderr
    assert "Ana" in (clone.folder / "decisoes.csv").read_text(encoding="utf-8-sig")
    assert recorded.returncode == 0, recorded.stderr
    assert " recorded" in recorded.stdout
    assert tried.returncode == 0, tried.stderr


def test_a_file_is_sent_decided_and_comes_back(clone: Clone, running: Running) -> None:
    text = ",".join(("name", *FEATURES)) + "\nEva,1035,5788,0,2700,5651\n"
    (clone.folder / "clientes.csv").write_text(text)
    file_id = json.loads(clone.run(SEND).stdout)["id"]

    begun, got = (command.replace("<id>", file_id) for command in (BEGIN, GET_RESULT))
    clone.run(begun)
    eventually(
        lambda: '"concluido"' in clone.run(got.partition("/resultado")[0]).stdout,
        20,
        clone.folder.parent / "run.log",
    )
    clone.run(got)

    assert not running.has_ended
    assert '"aprovado"' in (clone.folder / "decisoes.csv").read_text(encoding="utf-8-sig")


def test_what_is_recorded_is_exported_and_tried_anew(clone: Clone, running: Running) -> None:
    assert not running.has_ended
    clone.run(COPY_POLICY)

    told = [clone.run(command) for command in (EXPORT, EXPORT_REVIEWS, TRY_RECORDED)]

    assert [one.returncode for one in told] == [0, 0, 0], [one.stderr for one in told]
    assert " rows of decisoes" in told[0].stdout
    assert told[1].stdout.endswith(" rows of revisoes\n")
    assert "0 decisions change" in told[2].stdout


def test_the_data_set_is_scored_by_the_name_of_its_first_column(
    clone: Clone, running: Running
) -> None:
    header = ",".join(("CUST_ID", *(field.upper() for field in FEATURES), "TENURE"))
    rows = ["C10001,1035,5788,0,2700,5651,12", "C10002,1126,0,504,,599,12"]
    (clone.folder / "CC GENERAL.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")

    scored = clone.run(SCORE_NAMED)

    assert not running.has_ended
    assert scored.stdout == "2 lines: 1 aprovado, 1 faulty\n", scored.stderr
    decided = parquet.read_table(clone.folder / "decisoes.parquet").to_pylist()
    assert [row["CUST_ID"] for row in decided] == ["C10001", "C10002"]
    assert [row["decisao"] for row in decided] == ["aprovado", None]


def test_a_policy_is_checked_and_tried_on_what_became_of_clients(
    clone: Clone, running: Running
) -> None:
    header = ",".join(("id", *FEATURES, "age", "default"))
    rows = [
        f"{index},{1000 + index},{9 * index},0,2700,{40 * index},{20 + index},{index % 4 == 0:d}"
        for index in range(60)
    ]
    (clone.folder / "outcomes.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    clone.run(COPY_POLICY)

    checked, tried = clone.run(CHECK), clone.run(TRY_OUTCOMES)

    assert not running.has_ended
    assert (checked.returncode, tried.returncode) == (0, 0), checked.stderr + tried.stderr
    assert "Its promise holds for credit_card_clusters:" in checked.stdout
    for told in ("0 decisions change", "default rate", "AUC", "approval rate by group"):
        assert told in tried.stdout, told


def test_the_record_is_copied_while_the_services_run(clone: Clone, running: Running) -> None:
    clone.run(ASK)

    copied = clone.run(COPY)

    assert (copied.returncode, running.has_ended) == (0, False)
    with sqlite3.connect(clone.folder / "record.db") as connection:
        assert connection.execute("SELECT count(*) FROM evaluations").fetchone()[0] > 0
    assert (clone.folder / "record.db").stat().st_mode & 0o077 == 0


def test_a_record_that_is_not_there_is_not_copied(clone: Clone) -> None:
    mistyped = COPY.replace("evaluations.db", "evaluation.db").replace("record.db", "none.db")

    assert clone.run(mistyped).returncode != 0

    assert not (clone.folder / "none.db").exists()
    assert not (clone.folder / "var" / "evaluation.db").exists()


def test_another_model_is_imported_published_and_taken_back(clone: Clone, running: Running) -> None:
    another_pickle(clone.folder / "new.pkl")

    carried, imported, listed = (clone.run(command) for command in (BRING, IMPORT, LIST))
    version = imported.stdout.splitlines()[-1].removesuffix(" imported")
    promoted = clone.run(PROMOTE.replace("credit_card_clusters:<version>", version))
    rolled_back = clone.run(ROLL_BACK)

    assert not running.has_ended
    assert carried.stdout.endswith(" is already there, the same model\n")
    assert imported.stdout.endswith(f"\n{version} imported\n"), imported.stderr
    assert version.startswith("credit_card_clusters:")
    assert version in listed.stdout
    within = "services that run serve it within seconds\n"
    assert promoted.stdout == f"{version} is published; {within}"
    assert rolled_back.stdout.endswith(f" is published again; {within}"), rolled_back.stderr


@pytest.mark.skipif(
    REAL_CSV is None, reason="CC_GENERAL_CSV does not name the data set's CSV (docs/model.md)"
)
def test_a_training_prints_what_the_document_shows_and_gives_the_same_bytes(clone: Clone) -> None:
    (clone.folder / "cc_general.csv").symlink_to(Path(str(REAL_CSV)).resolve())
    pickle = Path("model_store/modelo_cluster_cartao_credito.pkl")
    (clone.folder / "new.pkl").unlink(missing_ok=True)

    trained = clone.run(TRAIN)

    assert trained.returncode == 0, trained.stderr
    for line in printed_by(clone.folder, "docs/model.md", TRAIN):
        assert f"\n{line}\n" in trained.stdout
    assert (clone.folder / "new.pkl").read_bytes() == (PROJECT / pickle).read_bytes()
    text = (clone.folder / "docs/model.md").read_text(encoding="utf-8")
    clients = re.search(r"labels 0 to 4 hold ([\d, ]+) clients", trained.stdout)
    assert clients
    for label, count in enumerate(clients[1].split(", ")):
        assert f"| {label} | {int(count):,} |" in text


def test_ctrl_c_stops_everything(clone: Clone, running: Running) -> None:
    """The last: what it stops, the others ask."""
    os.killpg(running.first.pid, signal.SIGINT)

    running.first.wait(20)
    assert list(running.processes()) == []
    for port in (clone.evaluation_port, clone.model_port):
        ports.listen_briefly(port)


def another_pickle(path: Path) -> None:
    """Write a model that differs from the carried one, by less than anybody's label."""
    pipeline = joblib.load(PROJECT / "model_store/modelo_cluster_cartao_credito.pkl")
    pipeline.steps[-1][1].cluster_centers_ += 1e-6
    joblib.dump(pipeline, path)
    notes.write(path, notes.TrainingNotes(FEATURES))
