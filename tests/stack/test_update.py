"""Another version of the model takes over under load, and nothing else is touched."""

import httpx
import pytest

from tests.services import eventually
from tests.stack.conftest import Figures
from tests.stack.load import Load
from tests.stack.running import EVALUATION, MODEL, WEB, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def test_a_new_model_takes_over_without_a_failed_request(
    stack: Stack, other_model: str, client: httpx.Client, figures: Figures
) -> None:
    untouched = {c: stack.inspect(c)["State"]["StartedAt"] for c in others(stack)}
    with Load(stack.url, stack.key) as load:
        load.wait_for(50)
        stack.make("roll-model", VERSION="second")
        load.wait_for(100)
        after = client.get("/modelo").json()["tag"]

    assert load.failures == []
    assert load.first_failures == []
    assert load.pending == []
    assert after == f"{other_model} (not published)"
    assert len(load.models) == 2
    assert set(load.models) == recorded_models(client, load)
    assert {c: stack.inspect(c)["State"]["StartedAt"] for c in others(stack)} == untouched
    figures.note(model_update={"evaluations": len(load.asked), "answers_per_model": load.models})


@pytest.mark.parametrize(
    ("version", "says"),
    [("missing", "no image credit-card-test-model:missing"), ("broken", "nothing was changed")],
)
def test_a_version_that_does_not_start_changes_nothing(
    stack: Stack, version: str, says: str
) -> None:
    before = stack.compose("ps", "--all", "--quiet", MODEL)
    # The evaluation service, which ends where it may write no record.
    stack.run("docker", "tag", "credit-card-test-evaluation:first", "credit-card-test-model:broken")

    arguments = ("roll-model", f"ENV_FILE={stack.env_file}")
    done = stack.attempt("make", *arguments, VERSION=version)

    assert done.returncode != 0
    assert says in done.stderr
    assert stack.compose("ps", "--all", "--quiet", MODEL) == before
    assert version not in stack.env_file.read_text()


def test_a_rollback_is_an_update_to_the_version_before(stack: Stack, client: httpx.Client) -> None:
    serving = client.get("/modelo").json()["tag"]

    stack.make("roll-model", VERSION="first")

    # /modelo answers from memory, which is looked after once a second.
    eventually(lambda: client.get("/modelo").json()["tag"] != serving, seconds=30)
    assert stack.env_file.read_text().count("MODEL_VERSION=first") == 1


def others(stack: Stack) -> list[str]:
    return stack.containers(EVALUATION, WEB)


def recorded_models(client: httpx.Client, load: Load) -> set[str]:
    """Return the models in the record of the load's first and last evaluation."""
    ids = [load.asked[0].answer["id"], load.asked[-1].answer["id"]]
    records = [client.get(f"/avaliacoes/{identity}").json() for identity in ids]
    return {record["avaliacao"]["modelo"] for record in records}
