"""Who is let in at the gateway of the stack, and how the first person comes in."""

import httpx
import pytest

from tests.clients import MARIA
from tests.stack.running import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

#: What another gateway may be believed for, and this one never.
FORGED = {
    "X-Forwarded-For": "10.0.0.1",
    "X-Forwarded-User": "ana",
    "X-Remote-User": "ana",
    "X-Forwarded-Proto": "https",
}


def test_what_a_start_prints_signs_the_first_person_in_and_no_second(stack: Stack) -> None:
    printed = stack.make("up")
    link = printed.partition("Sign in, once and within an hour: ")[2].strip()
    address, _, secret = link.partition("#")

    with httpx.Client(base_url=stack.url) as browser:
        entered = browser.post("/entrar", json={"link": secret})
        evaluated = browser.post("/avaliar", json=MARIA)

    assert address == f"{stack.url}/entrar.html"
    assert (entered.status_code, evaluated.status_code) == (200, 200)
    assert httpx.post(f"{stack.url}/entrar", json={"link": secret}).status_code == 401
    assert "Sign in" not in stack.make("up")


def test_a_caller_is_let_in_with_a_key_and_not_without(stack: Stack) -> None:
    url = f"{stack.url}/avaliar"
    made_up = {"Authorization": "Bearer ccce_made-up"}

    assert httpx.post(url, json=MARIA, headers=stack.key).status_code == 200
    for headers in ({}, made_up, FORGED):
        refused = httpx.post(url, json=MARIA, headers=headers)
        assert (refused.status_code, refused.json()["codigo"]) == (401, "identificacao_necessaria")
