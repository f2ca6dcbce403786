"""The auditor's commands, on a record that is tampered with."""

import json
import sqlite3
from pathlib import Path

from evaluation_api.operations.commands import main
from evaluation_api.record import database, schema
from evaluation_api.record.evaluations import EvaluationLog
from tests import commands
from tests.commands import Finished
from tests.evaluations import decided_entry


def test_a_head_is_printed_kept_and_compared_and_what_was_changed_is_said(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.db"
    engine = database.connect(f"sqlite:///{file}")
    schema.migrate(engine)
    EvaluationLog(engine).append([entry := decided_entry()])
    engine.dispose()

    def run(*arguments: str) -> Finished:
        environment = {"EVALUATION_DATABASE_URL": f"sqlite:///{file}"}
        return commands.run(main, "audit", *arguments, environment=environment)

    head = run("head").stdout.strip()
    assert head.startswith("2:")
    verified = run("verify", "--head", head)
    assert (verified.returncode, verified.stdout) == (0, "")
    counts = "1 evaluations, 0 of them erased, 0 reviews, 0 purged; 0 not sealed yet; 0 faults."
    assert verified.stderr == f"{counts} Head: {head}\n"
    exported = [json.loads(line) for line in run("export").stdout.splitlines()]
    assert [one["kind"] for one in exported] == ["begin", "seal"]

    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE evaluations SET name = 'Outra'")
    connection.close()

    verified = run("verify")
    assert verified.returncode == 1
    assert verified.stdout == f"evaluation {entry.id}: was changed after it was sealed\n"
    assert run("verify", "--head", "2").returncode == 2
