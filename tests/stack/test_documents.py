"""What docs/operations.md has an operator type at the running stack, as it stands there."""

from pathlib import Path

import httpx
import pytest

from tests.documents import commands_of
from tests.services import PROJECT
from tests.stack.load import evaluate
from tests.stack.running import MODEL, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

COMPOSE = "docker compose "
LOOK = ("curl", "-s")


def test_what_is_typed_at_docker_compose_works(
    stack: Stack, client: httpx.Client, tmp_path: Path
) -> None:
    evaluated = evaluate(client)
    key = stack.key["Authorization"].partition(" ")[2]
    typed = [command for command in commands_of(PROJECT) if command.startswith(COMPOSE)]
    ours = f"{COMPOSE}--project-directory {PROJECT} --env-file {stack.env_file} "

    def told_by(command: str) -> str:
        meant = command.replace(COMPOSE, ours).replace("3F2A 91BC", evaluated.answer["id"])
        confirmed = " --yes" if "erase" in command else ""
        return stack.run("bash", "-ec", f"cd {tmp_path}; {meant}{confirmed}", KEY=key)

    told = {command: told_by(command) for command in typed}

    assert len(told) == 10
    assert (tmp_path / "heads.txt").read_text()
    for command, printed in told.items():
        if "metrics" in command:
            assert "evaluation_decisions_total" in printed
        elif "keys" in command:
            assert "ccce_" in printed
        elif "purge" in command:
            assert printed.startswith("0 evaluations and 0 files of clients were received before")


def test_the_models_metrics_are_on_the_loopback(stack: Stack) -> None:
    (container,) = stack.containers(MODEL)
    bound = stack.inspect(container)["NetworkSettings"]["Ports"]["8001/tcp"][0]

    printed = stack.run(*LOOK, f"http://127.0.0.1:{bound['HostPort']}/metrics")

    assert "bentoml_service_request_total" in printed
