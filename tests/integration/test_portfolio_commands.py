"""python -m portfolio, as an analyst types it, on the store that the model owner filled."""

import csv
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import FEATURES
from evaluation_api.decision.sentences import NAMES
from model_store import publications
from portfolio.__main__ import main
from portfolio.frames import Floats
from tests import commands
from tests.portfolio_files import ANA, BIA, HEADER
from tests.services import ENVIRONMENT, PROJECT
from tests.unit.model_store.amounts import spread

POLICY = policy_file.DEFAULT

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(bentoml_home: Path) -> Run:
    """Return what runs a command in a process of its own: BentoML looks for its store once."""

    def run_apart(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "portfolio", *map(str, arguments)],
            cwd=PROJECT,
            env={**ENVIRONMENT, "BENTOML_HOME": str(bentoml_home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run_apart


def refused(*arguments: str | Path) -> str:
    """Run a command that does nothing, and return its sentence."""
    finished = commands.run(main, *map(str, arguments), environment={})
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    return finished.stderr


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "clientes.csv"
    path.write_text(HEADER + ANA + "Errado;-1;0;0;1,00;0\n" + BIA, "utf-8")
    return path


def test_a_file_that_is_only_decided_loads_neither_bentoml_nor_what_a_record_needs(
    bentoml_home: Path, source: Path
) -> None:
    program = (
        "import sys; from portfolio import commands; commands.main(sys.argv[1:]);"
        "heavy = {'alembic', 'bentoml', 'httpx', 'matplotlib', 'sklearn', 'sqlalchemy'};"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    target = source.with_name("decisoes.csv")

    printed = subprocess.check_output(
        [sys.executable, "-c", program, "score", str(source), "-o", str(target)],
        cwd=PROJECT,
        env={**ENVIRONMENT, "BENTOML_HOME": str(bentoml_home)},
        text=True,
        timeout=60,
    )

    assert printed.splitlines()[-1] == "[]"
    assert target.exists()


def test_a_file_is_scored_by_the_published_model(run: Run, source: Path) -> None:
    target = source.with_name("decisoes.csv")

    finished = run("score", source, "-o", target)

    assert finished.returncode == 1, finished.stderr
    assert finished.stdout == "3 lines: 1 analise_manual, 1 aprovado, 1 faulty\n"
    with target.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["decisao"] for row in rows] == ["aprovado", "", "analise_manual"]


def test_a_policy_is_tried_before_it_decides(run: Run, source: Path, tmp_path: Path) -> None:
    stricter = tmp_path / "stricter.toml"
    text = POLICY.read_text("utf-8").replace("uso_alto = 0.60", "uso_alto = 0.45")
    stricter.write_text(text.partition("[[casos]]")[0], "utf-8")

    tried = run("policy", "try", stricter, "--file", source, "--json", tmp_path / "found.json")
    checked = run("policy", "check", stricter)

    assert tried.returncode == 0, tried.stderr
    assert "0 decisions change" in tried.stdout
    assert json.loads((tmp_path / "found.json").read_text())["clients"] == 2
    assert checked.returncode == 0, checked.stderr
    assert "Its promise holds for credit_card_clusters:" in checked.stdout


@pytest.mark.parametrize("command", [("policy", "try", POLICY, "--file"), ("drift", "--file")])
def test_lines_that_are_no_clients_are_left_out_and_counted(
    run: Run, source: Path, command: tuple[str | Path, ...]
) -> None:
    found = run(*command, source)

    assert found.stdout.startswith("2 clients")
    assert found.stderr == f"{source}: 1 faulty, left out; score says why.\n"


def test_a_policy_whose_refusals_do_not_stand_is_told(run: Run, tmp_path: Path) -> None:
    lax = tmp_path / "lax.toml"
    text = POLICY.read_text("utf-8").replace("uso_alto = 0.60", "uso_alto = 0.40")
    lax.write_text(text.partition("[[casos]]")[0], "utf-8")

    checked = run("policy", "check", lax)

    assert checked.returncode == 1
    assert "does not hold" in checked.stdout


def test_what_cannot_be_done_is_refused_in_a_sentence_and_nothing_is_touched(
    source: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine")

    assert "No such file" in refused("score", tmp_path / "none.csv", "-o", tmp_path / "out.csv")
    assert "there is a file already" in refused("score", source, "-o", there)
    assert "the file to read" in refused("score", source, "-o", source, "--overwrite")
    assert "a folder" in refused("score", source, "-o", tmp_path)
    assert "no folder" in refused("score", source, "-o", tmp_path / "no" / "out.csv")
    assert "No such file" in refused("policy", "check", tmp_path / "none.toml")
    assert there.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clientes.csv", "there.csv"]


@pytest.mark.parametrize(
    "command",
    [
        "policy try nova.toml --file clientes.csv --json clientes.csv",
        "policy try nova.toml --file clientes.csv --json nova.toml",
        "policy try nova.toml --record --since 9d --json nova.toml",
        "policy try nova.toml --file clientes.csv --changes clientes.csv",
        "drift --file clientes.csv --json clientes.csv",
        "drift --file clientes.csv --reference treino.csv --json treino.csv",
        "compare A A --data clientes.csv --json clientes.csv",
        "compare A A --data clientes.csv --changes clientes.csv",
    ],
)
def test_no_report_takes_the_place_of_what_is_read(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"clientes.csv": HEADER + ANA, "treino.csv": HEADER, "nova.toml": POLICY.read_text()}
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")

    told = refused(*command.split())

    assert "this is the file to read" in told
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("score clientes.csv -o out.xlsx", "ends in none of .csv, "),
        ("export --since 9d -o out.xlsx", "ends in none of .csv, "),
        ("policy try nova.toml --file clientes.csv --plot out.gif", "ends in none of .svg, "),
        ("policy try nova.toml --file clientes.csv --changes no/out.csv", "no folder"),
        ("policy try nova.toml --file clientes.csv --outcome nome", "“nome” diz Ana"),
        ("score clientes.csv -o out.csv --name apelido", "não tem a coluna “apelido”"),
        ("score clientes.csv -o out.csv --map compras=gastos", "não tem a coluna “gastos”"),
        ("score /dev/null -o out.csv --record", "read twice"),
        (
            "score outro.csv -o out.csv",
            'Aqui se diz com --map "nome=COLUNA", e assim cada uma.',
        ),
        ("score dobro.csv -o out.csv", "dê outro nome a uma delas e envie o arquivo de novo.\n"),
        ("score dois.csv -o out.csv", "Aqui se diz com --decimals virgula ou --decimals ponto."),
    ],
)
def test_what_would_fail_after_the_work_or_decide_otherwise_is_refused_before_it(
    arguments: str, told: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    files = {
        "nova.toml": POLICY.read_text("utf-8"),
        "outro.csv": HEADER.replace("nome", "Titular").replace("compras", "Gastos") + ANA,
        "dobro.csv": HEADER.replace("compras", "nome") + ANA,
        "dois.csv": HEADER + "Ana;103.125;578.250;0;270.500;565.125\n",
    }
    for name, content in files.items():
        (source.parent / name).write_text(content, "utf-8")

    assert told in refused(*arguments.split())
    assert not list(source.parent.glob("out.*"))


def test_a_plot_that_nothing_could_draw_is_refused_before_the_work(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as `make run` installs it

    told = refused("policy", "try", POLICY, "--file", source, "--plot", source.with_name("out.svg"))

    assert told == "--plot needs matplotlib: make .venv/dev.stamp installs it.\n"


def test_a_record_that_is_not_there_is_told_and_not_made(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    monkeypatch.setenv("EVALUATION_DATABASE_URL", "sqlite:///mistyped/evaluations.db")

    told = refused("export", "--since", "9d", "-o", "out.csv")

    file = source.parent / "mistyped" / "evaluations.db"
    assert f"there is no file {file}, which EVALUATION_DATABASE_URL names" in told
    assert not file.parent.exists()


@pytest.mark.parametrize("choice", ["--divide 0", "--divide x", "--reach nan", "--decimals ,"])
def test_a_number_or_a_mark_that_means_nothing_is_refused_with_what_is_meant(choice: str) -> None:
    command = f"policy try nova.toml --file clientes.csv {choice}"

    finished = commands.run(main, *command.split(), environment={})

    assert finished.returncode == 2
    assert any(end in finished.stderr for end in ("no number above 0", "neither virgula nor ponto"))


def test_amounts_that_division_makes_too_large_are_refused_in_a_sentence(
    run: Run, source: Path
) -> None:
    finished = run("policy", "try", POLICY, "--file", source, "--divide", "0.0001")

    assert finished.returncode == 2
    assert finished.stderr.endswith("\nbalance of row 0 is no amount from 0 to 10,000,000\n")


@pytest.mark.parametrize(
    ("command", "target"),
    [
        ("score clientes.csv -o out.csv", "out.csv"),
        ("score clientes.csv -o out.parquet", "out.parquet"),
        ("policy try politica.toml --file clientes.csv --json out.json", "out.json"),
        ("policy try politica.toml --file clientes.csv --plot out.svg", "out.svg"),
    ],
)
def test_where_there_is_no_room_the_file_is_named(
    run: Run, source: Path, command: str, target: str
) -> None:
    paths = {name: str(source.with_name(name)) for name in ("clientes.csv", target)}
    paths["politica.toml"] = str(POLICY)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
    try:
        finished = run(*(paths.get(word, word) for word in command.split()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert finished.returncode == 2
    assert finished.stderr.endswith(f"{paths[target]}: File too large\n")


def test_a_file_may_come_out_of_a_pipe(run: Run, source: Path) -> None:
    pipe, target = source.with_name("pipe"), source.with_name("decisoes.csv")
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as thread:
        written = thread.submit(pipe.write_bytes, source.read_bytes())
        finished = run("score", pipe, "-o", target)

    assert written.result()
    assert finished.stdout == "3 lines: 1 analise_manual, 1 aprovado, 1 faulty\n", finished.stderr


def test_a_fault_of_the_program_is_no_exit_code_of_faulty_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    finished = commands.run(main, "policy", "check", "a\0b", environment={})

    assert finished.returncode == 2
    assert "Traceback" in finished.stderr


def test_a_mapping_that_names_no_field_is_refused(source: Path) -> None:
    finished = commands.run(
        main, "score", str(source), "-o", "out.csv", "--map", "renda=X", environment={}
    )

    assert finished.returncode == 2
    assert "is not like saldo_devedor=BALANCE; before = stands one of nome, sal" in finished.stderr


def clients_file(path: Path, amounts: Floats) -> Path:
    table = pd.DataFrame(amounts.round(2), columns=[NAMES[feature] for feature in FEATURES])
    table.insert(0, "nome", [f"Cliente {number}" for number in range(len(table))])
    table.to_csv(path, index=False, sep=";", decimal=",")
    return path


def test_drift_is_an_exit_code_and_says_where(run: Run, tmp_path: Path) -> None:
    training = clients_file(tmp_path / "training.csv", spread(2000))
    no_withdrawals = clients_file(tmp_path / "now.csv", spread(1500) * [1, 1, 0, 1, 1])
    found = tmp_path / "found.json"
    paths = ("--reference", training, "--json", found)

    same = run("drift", "--file", training, *paths)
    other = run("drift", "--file", no_withdrawals, *paths)

    assert (same.returncode, other.returncode) == (0, 1)
    assert same.stdout.endswith("No drift.\n")
    assert "DRIFTED: up to" in other.stdout
    assert "cash_advance" in json.loads(found.read_text("utf-8"))["drifted"]


def test_clients_and_training_may_name_theirs_in_columns_of_different_names(
    run: Run, tmp_path: Path
) -> None:
    clients = clients_file(tmp_path / "clientes.csv", spread(300))
    training = tmp_path / "training.csv"
    training.write_text(clients.read_text("utf-8").replace("nome;", "CUST_ID;", 1), "utf-8")

    told = run(
        *("drift", "--file", clients, "--reference", training, "--reference-name", "CUST_ID")
    )

    assert told.stdout.endswith("No drift.\n"), told.stderr


def test_a_version_beside_itself_changes_nobody(run: Run, tmp_path: Path) -> None:
    source = clients_file(tmp_path / "clients.csv", spread(300))
    tag = publications.choose().tag
    found, changes = tmp_path / "found.json", tmp_path / "changes.csv"

    finished = run(
        *("compare", tag, tag.partition(":")[2], "--data", source),
        *("--json", found, "--changes", changes),
    )

    assert finished.returncode == 0
    assert "0 change decision" in finished.stdout
    assert json.loads(found.read_text("utf-8"))["clients"] == 300
    assert changes.read_text("utf-8").count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("compare", "2f20dd3b8091", "000000000000", "--record", "--since", "1d"), "000000000000"),
        (
            ("compare", "latest", "2f20dd3b8091", "--record", "--since", "1d"),
            "no explicit version",
        ),
        (("drift", "--record", "--file", "x.csv"), "and not both"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    run: Run, arguments: tuple[str, ...], says: str
) -> None:
    finished = run(*arguments)

    assert finished.returncode == 2
    assert says in finished.stderr
    assert finished.stderr.count("\n") == 1
