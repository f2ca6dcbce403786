"""The systems that the bench starts."""

from pathlib import Path

from bench.subjects import systems


def test_another_checkout_runs_its_own_code_in_its_own_environment(tmp_path: Path) -> None:
    other = tmp_path / "other"

    system = systems.checkout(tmp_path, root=other)

    (program,) = system.programs
    assert program.command == [str(other / ".venv/bin/python"), "-m", "deploy.laptop"]
    assert program.folder == other
    assert system.title == "other"
