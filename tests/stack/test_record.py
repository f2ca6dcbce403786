"""The record outlives the stack, and a backup of it makes another."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack.conftest import Figures, timed
from tests.stack.load import evaluate
from tests.stack.running import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def recorded(client: httpx.Client) -> list[dict[str, Any]]:
    """Return the newest hundred, and make sure that there are some."""
    listed: list[dict[str, Any]] = client.get("/avaliacoes?limite=100").json()["itens"]
    assert listed
    return listed


def test_the_record_is_still_there_after_down_and_up(
    stack: Stack, client: httpx.Client, figures: Figures
) -> None:
    evaluate(client)
    before = recorded(client)

    stack.make("down")
    assert stack.containers() == []
    figures.note(later_start_seconds=timed(stack, "up"))

    assert recorded(client) == before


def test_a_backup_restored_into_an_empty_database_gives_the_same_list(
    stack: Stack, client: httpx.Client, tmp_path: Path
) -> None:
    evaluate(client)
    before = recorded(client)
    backup = tmp_path / "record.dump"

    stack.make("backup", f"FILE={backup}")
    stack.compose("down", "--volumes")
    stack.make("restore", f"FILE={backup}")
    stack.make("up")

    assert recorded(client) == before
