"""Every container is killed under load, comes back by itself, and costs nobody an answer."""

import httpx
import pytest

from tests.services import eventually
from tests.stack.conftest import Figures
from tests.stack.load import Load
from tests.stack.running import DB, EVALUATION, MODEL, WEB, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def seconds_until_back(stack: Stack, container: str) -> float:
    """Kill a container; return how long it took to be started again and healthy."""
    killed = stack.inspect(container)["State"]["StartedAt"]

    def is_back() -> bool:
        started = stack.inspect(container)["State"]["StartedAt"]
        return bool(started != killed) and stack.is_healthy(container)

    stack.kill(container)
    return eventually(is_back)


def test_each_container_comes_back_and_no_evaluation_is_lost(
    stack: Stack, client: httpx.Client, figures: Figures
) -> None:
    stack.make("scale", "EVAL=2")
    back: dict[str, list[float]] = {}
    with Load(stack.url, stack.key) as load:
        load.wait_for(50)
        for service in (MODEL, EVALUATION, WEB, DB):
            for container in stack.containers(service):
                seconds = seconds_until_back(stack, container)
                back.setdefault(service, []).append(round(seconds, 1))
                load.wait_for(30)

    stack.make("scale", "EVAL=1")  # before anything fails: the other tests know one
    figures.note(
        killed={
            "back_seconds": back,
            "evaluations": len(load.asked),
            "repeated": len(load.first_failures),
            "failed": [str(outcome) for outcome in load.failures],
            "pending": len(load.pending),
        }
    )
    assert load.failures == []
    eventually(lambda: all(is_decided(client, identity) for identity in load.pending))


def is_decided(client: httpx.Client, identity: str) -> bool:
    return client.get(f"/avaliacoes/{identity}").json()["avaliacao"] is not None
