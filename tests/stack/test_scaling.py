"""Each half scales alone, under load, and gets its share of it."""

import httpx
import pytest

from tests.services import eventually
from tests.stack.conftest import Figures
from tests.stack.load import Load
from tests.stack.running import EVALUATION, MODEL, WEB, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def test_the_model_alone_scales_to_three_under_load(stack: Stack, figures: Figures) -> None:
    untouched = stack.containers(WEB, EVALUATION)
    with Load(stack.url, stack.key) as load:
        load.wait_for(50)
        stack.make("scale", "MODEL=3")
        replicas = stack.containers(MODEL)
        shares: list[float] = []

        def share_the_calls() -> bool:
            before = {replica: stack.predictions(replica) for replica in replicas}
            load.wait_for(200)
            shares[:] = [stack.predictions(replica) - before[replica] for replica in replicas]
            return min(shares) > 0.1 * sum(shares)

        eventually(share_the_calls)

    assert load.failures == []
    assert load.first_failures == []
    assert len(shares) == 3
    assert stack.containers(WEB, EVALUATION) == untouched
    figures.note(model_scaled={"evaluations": len(load.asked), "calls_per_replica": shares})
    stack.make("scale", "MODEL=1")


def test_a_second_evaluation_service_is_found_by_the_gateway(
    stack: Stack, figures: Figures
) -> None:
    gateway = stack.containers(WEB)
    with Load(stack.url, stack.key) as load:
        stack.make("scale", "EVAL=2")
        replicas = stack.containers(EVALUATION)
        eventually(lambda: all(stack.evaluations(replica) > 0 for replica in replicas))
        before = {replica: stack.evaluations(replica) for replica in replicas}
        load.wait_for(200)
        shares = [stack.evaluations(replica) - before[replica] for replica in replicas]
        stack.make("scale", "EVAL=1")
        load.wait_for(50)

    assert load.failures == []
    assert len(shares) == 2
    assert min(shares) > 0.1 * sum(shares), shares
    assert stack.containers(WEB) == gateway
    figures.note(
        evaluation_scaled={
            "evaluations": len(load.asked),
            "per_replica": shares,
            "repeated": load.first_failures,
        }
    )


def test_what_was_scaled_stays_so_after_the_next_start(stack: Stack) -> None:
    stack.make("scale", "MODEL=2")
    stack.make("up")

    assert len(stack.containers(MODEL)) == 2
    stack.make("scale", "MODEL=1")
    assert len(stack.containers(MODEL)) == 1
    assert httpx.get(f"{stack.url}/health").json()["situacao"] == "ok"


def test_replicas_without_a_port_are_not_left_for_the_next_start(stack: Stack) -> None:
    before = stack.containers(MODEL)
    taken = stack.inspect(before[0])["NetworkSettings"]["Ports"]["8001/tcp"][0]["HostPort"]

    arguments = ("scale", "MODEL=2", f"ENV_FILE={stack.env_file}")
    done = stack.attempt("make", *arguments, MODEL_PORTS=f"{taken}-{taken}")

    assert done.returncode != 0
    assert stack.compose("ps", "--all", "--quiet", MODEL).split() == before
    assert "MODEL_REPLICAS=1" in stack.env_file.read_text()
