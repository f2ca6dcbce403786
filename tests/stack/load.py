"""Clients that evaluate one person after another, and repeat once what failed, as ours do."""

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import httpx

from tests.clients import MARIA

PAUSE_SECONDS = 0.02
#: Where no answer says when: longer than a container takes to start again.
REPEAT_AFTER_SECONDS = 5.0


@dataclass(frozen=True)
class Asked:
    """What became of one evaluation: its answer, and what its first try failed with, if it did."""

    status: int
    answer: dict[str, Any]
    first_failure: str = ""

    @property
    def failed(self) -> bool:
        """Whether the repeat failed, too."""
        return self.status not in {200, 202}


class Load:
    """Five clients in threads; each evaluation has a key, under which it is repeated once."""

    def __init__(self, url: str, key: dict[str, str], clients: int = 5) -> None:
        self._url = url
        self._key = key
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]
        self.asked: list[Asked] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let each client finish its evaluation."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Return once so many more evaluations are over."""
        wanted, limit = len(self.asked) + count, time.monotonic() + seconds
        while len(self.asked) < wanted:
            assert time.monotonic() < limit, f"{len(self.asked)} of {wanted} evaluations"
            time.sleep(0.05)

    @property
    def failures(self) -> list[Asked]:
        return [one for one in self.asked if one.failed]

    @property
    def first_failures(self) -> list[str]:
        return [one.first_failure for one in self.asked if one.first_failure]

    @property
    def pending(self) -> list[str]:
        """The ids of what was received while the model was away."""
        return [one.answer["id"] for one in self.asked if one.status == 202]

    @property
    def models(self) -> Counter[str]:
        """How many answers are from which model."""
        return Counter(one.answer["modelo"] for one in self.asked if one.status == 200)

    def _work(self) -> None:
        with httpx.Client(base_url=self._url, timeout=20, headers=self._key) as client:
            while not self._over.wait(PAUSE_SECONDS):
                self.asked.append(evaluate(client))


def evaluate(client: httpx.Client) -> Asked:
    """Evaluate one person, twice under the same key if need be."""
    key = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
    response, failure, after = _try(client, key)
    if failure:
        time.sleep(after)
        response, _, _ = _try(client, key)
    if response is None:
        return Asked(0, {}, failure)
    return Asked(response.status_code, response.json(), failure)


def _try(client: httpx.Client, headers: dict[str, str]) -> tuple[httpx.Response | None, str, float]:
    """Return the answer, what is wrong with it if anything is, and when to try again."""
    try:
        response = client.post("/avaliar", json=MARIA, headers=headers)
    except httpx.TransportError as exc:
        return None, repr(exc), REPEAT_AFTER_SECONDS
    if response.status_code in {200, 202}:
        return response, "", 0
    after = float(response.headers.get("Retry-After", REPEAT_AFTER_SECONDS))
    return response, f"{response.status_code}: {response.text}", after
