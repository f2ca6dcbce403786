"""Who reaches what: the model and the record are the evaluation service's alone."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.stack.running import DB, EVALUATION, MODEL, WEB, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def reaches(stack: Stack, source: str, host: str, port: int) -> bool:
    """Tell whether a connection from one of a service's containers is accepted."""
    container = stack.containers(source)[0]
    connect = ("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}")
    return stack.attempt("docker", "exec", container, *connect).returncode == 0


def addresses(stack: Stack, service: str) -> list[str]:
    networks = stack.inspect(stack.containers(service)[0])["NetworkSettings"]["Networks"]
    return [network["IPAddress"] for network in networks.values()]


def test_the_evaluation_service_reaches_the_model_and_the_record(stack: Stack) -> None:
    assert reaches(stack, EVALUATION, MODEL, 8001)
    assert reaches(stack, EVALUATION, DB, 5432)


def test_nobody_else_does_by_name_or_by_address(stack: Stack) -> None:
    kept_apart = [(WEB, MODEL, 8001), (WEB, DB, 5432), (MODEL, DB, 5432), (DB, MODEL, 8001)]
    ways = [
        (source, host, port)
        for source, target, port in kept_apart
        for host in (target, *addresses(stack, target))
    ]

    with ThreadPoolExecutor(len(ways)) as at_once:
        found = list(at_once.map(lambda way: reaches(stack, *way), ways))

    assert [way for way, is_open in zip(ways, found, strict=True) if is_open] == []


def test_only_the_gateway_is_published_beyond_loopback(stack: Stack) -> None:
    stack_ports = {}
    for service in (EVALUATION, MODEL, DB):
        ports = stack.inspect(stack.containers(service)[0])["NetworkSettings"]["Ports"]
        stack_ports[service] = {b["HostIp"] for bound in ports.values() for b in bound or []}

    assert stack_ports == {EVALUATION: set(), MODEL: {"127.0.0.1"}, DB: set()}


@pytest.mark.parametrize("path", ["/predict", "/metrics", "/model", "/models/x/predict", "/livez"])
def test_the_gateway_passes_nothing_on_to_the_model_and_no_metrics(
    client: httpx.Client, path: str
) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_a_taken_port_is_named_before_anything_starts(stack: Stack) -> None:
    other = f"{stack.project}-other"

    done = stack.attempt("make", "up", f"ENV_FILE={stack.env_file}", COMPOSE_PROJECT_NAME=other)

    assert done.returncode != 0
    assert done.stderr.startswith(f"Port {stack.port} is taken, and nothing was started")
    assert stack.run("docker", "ps", "-aq", "-f", f"name={other}") == ""
