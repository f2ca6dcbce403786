"""What each caller may ask in a short time, and how callers are told apart."""

import asyncio
from collections.abc import Iterable

import httpx
import pytest

from evaluation_api.access.gate import Access
from evaluation_api.access.identity import Role
from evaluation_api.access.limits import RateLimit
from evaluation_api.app import create_fastapi_app
from evaluation_api.web.problems import MEDIA_TYPE
from tests.access import access, cookie, key

BURST = 4


def ask(
    entrance: Access,
    headers: Iterable[dict[str, str]],
    address: str = "203.0.113.7",
    path: str = "/politica",
) -> list[httpx.Response]:
    """Ask once with each of some headers; 500 means that the route was reached."""
    app = create_fastapi_app(access=entrance)

    async def asking() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get(path, headers=one) for one in headers]

    return asyncio.run(asking())


def statuses(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


def slow() -> Access:
    """Have callers wait for hours after a burst."""
    return access(per_second=0.001, burst=BURST)


def test_who_asks_too_often_is_told_how_long_to_wait() -> None:
    entrance = slow()
    header = key(entrance, Role.AUDITOR)

    *let_in, refused = ask(entrance, [header] * (BURST + 1))

    assert statuses(let_in) == [500] * BURST
    assert refused.status_code == 429
    assert refused.headers["content-type"] == MEDIA_TYPE
    assert refused.json()["codigo"] == "pedidos_demais"
    assert 900 < int(refused.headers["retry-after"]) <= 1000


def test_keys_behind_one_address_are_told_apart() -> None:
    entrance = slow()
    noisy, quiet = key(entrance, Role.AUDITOR, name="noisy"), cookie(entrance, Role.AUDITOR)

    ask(entrance, [noisy] * (BURST + 1))

    assert statuses(ask(entrance, [noisy, quiet])) == [429, 500]


def test_made_up_keys_buy_nothing() -> None:
    entrance = slow()
    made_up = [{"Authorization": f"Bearer ccce_{number}"} for number in range(BURST + 1)]

    assert statuses(ask(entrance, made_up)) == [401] * BURST + [429]
    assert statuses(ask(entrance, [{}])) == [429]


def test_what_is_no_address_is_one_callers_whatever_it_says() -> None:
    entrance = slow()
    told = ["a:b", "unknown", "x" * 60_000, ":"]

    answers = [one for address in told * 2 for one in ask(entrance, [{}], address)]

    assert statuses(answers) == [401] * BURST + [429] * BURST


def test_addresses_are_told_apart_and_those_of_one_network_are_not() -> None:
    entrance = slow()

    ask(entrance, [{}] * BURST, address="2001:db8::1")

    assert statuses(ask(entrance, [{}], address="2001:db8::2")) == [429]
    assert statuses(ask(entrance, [{}], address="2001:db8:0:1::1")) == [401]
    assert statuses(ask(entrance, [{}], address="::ffff:203.0.113.7")) == [401]
    assert statuses(ask(entrance, [{}] * BURST, address="203.0.113.7")) == [401] * 3 + [429]


def test_probes_are_answered_however_often_they_ask() -> None:
    answered = ask(slow(), [{}] * (BURST + 2), path="/health/live")

    assert statuses(answered) == [200] * (BURST + 2)


class Clock:
    """Tells the time that a test says it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_a_burst_so_many_a_second_go_on() -> None:
    clock = Clock()
    limit = RateLimit(10, 3, clock)
    assert [limit.seconds_to_wait("a") for _ in range(3)] == [0, 0, 0]

    assert limit.seconds_to_wait("a") == pytest.approx(0.1)
    clock.now += 0.1
    assert limit.seconds_to_wait("a") == 0
    assert limit.seconds_to_wait("a") == pytest.approx(0.1)
    clock.now += 60
    assert [limit.seconds_to_wait("a") for _ in range(3)] == [0, 0, 0]


def test_a_caller_who_comes_back_too_early_is_not_kept_out_for_longer() -> None:
    clock = Clock()
    limit = RateLimit(10, 1, clock)
    waits = [limit.seconds_to_wait("a") for _ in range(1000)]
    clock.now += 0.1

    assert max(waits) == pytest.approx(0.1)
    assert limit.seconds_to_wait("a") == 0


def test_callers_are_forgotten_and_the_busiest_last() -> None:
    clock = Clock()
    limit = RateLimit(1, 2, clock, most_callers=100)
    for number in range(1000):
        clock.now += 0.001
        limit.seconds_to_wait(f"caller {number}")

    assert len(limit) <= 101
    assert [limit.seconds_to_wait("caller 999") for _ in range(2)] != [0, 0]
