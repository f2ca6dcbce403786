"""The systems that the bench starts."""

from pathlib import Path

from bench.subjects import systems
from evaluation_api.access.credentials import digest_of
from evaluation_api.access.identity import Role
from evaluation_api.record import database
from evaluation_api.record.credentials import CredentialLog


def test_another_checkout_runs_its_own_code_in_its_own_environment(tmp_path: Path) -> None:
    other = tmp_path / "other"

    system = systems.checkout(tmp_path, root=other)

    (program,) = system.programs
    assert program.command == [str(other / ".venv/bin/python"), "-m", "deploy.laptop"]
    assert program.folder == other
    assert system.title == "other"


def test_callers_of_the_system_with_access_have_a_key_that_its_record_knows(tmp_path: Path) -> None:
    system = systems.with_access(tmp_path)

    engine = database.connect(f"sqlite:///{system.record}")
    (known,) = CredentialLog(engine).everything()
    engine.dispose()
    secret = system.headers["Authorization"].removeprefix("Bearer ")
    assert known.digest == digest_of(secret.encode())
    assert known.roles == {Role.INTEGRATION}
    assert all(program.environment["EVALUATION_ACCESS_SECRET"] for program in system.programs)
