"""Files of clients in containers: workers share them, and one that is killed costs no line."""

import csv
import io
import time

import httpx
import pytest

from tests.client_files import clients, done, look, send, step
from tests.services import eventually
from tests.stack.conftest import Figures
from tests.stack.running import WORKER, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

LINES = 20_000


def test_three_workers_decide_each_line_once_though_one_is_killed(
    client: httpx.Client, stack: Stack, figures: Figures
) -> None:
    stack.make("scale", "PORTFOLIO=3")
    eventually(lambda: client.get("/lotes").json()["trabalhadores"] == 3)
    files = [send(client, clients(LINES), f"{name}.csv", repetidas="todas") for name in "abc"]
    started = time.monotonic()
    for file in files:
        step(client, file, "iniciar")
    eventually(lambda: all(look(client, file)["feitas"] for file in files))
    (killed, *_) = stack.containers(WORKER)
    stack.kill(killed)

    told = [done(client, file) for file in files]
    seconds = time.monotonic() - started

    assert [one["decididas"] for one in told] == [LINES] * 3
    ids = [row["id"] for file in files for row in _result(client, file["id"])]
    assert len(set(ids)) == len(ids) == 3 * LINES
    figures.note(files={"lines": 3 * LINES, "seconds": round(seconds, 1), "workers": 3})
    stack.make("scale", "PORTFOLIO=1")


def _result(client: httpx.Client, file_id: str) -> list[dict[str, str]]:
    content = client.get(f"/lotes/{file_id}/resultado.csv").raise_for_status().content
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
