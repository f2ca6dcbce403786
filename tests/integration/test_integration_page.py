"""docs/integration.md: its program is run as it stands there."""

import re
import uuid
from pathlib import Path

import httpx

from tests.clients import MARIA
from tests.integration_page import end, start
from tests.services import Server


def test_the_program_gets_one_decision_however_often_it_is_started(
    evaluation_service: Server, tmp_path: Path
) -> None:
    key = str(uuid.uuid4())
    first, second = (start(evaluation_service, tmp_path, key) for _ in range(2))

    printed = end(first)

    assert end(second) == printed
    assert re.fullmatch(r"aprovado [0-9a-f-]{36}\n", printed)


def test_the_program_raises_the_code_of_what_will_never_pass(
    evaluation_service: Server, tmp_path: Path
) -> None:
    key = str(uuid.uuid4())
    used = {"Idempotency-Key": key}
    httpx.post(f"{evaluation_service.url}/avaliar", json=MARIA, headers=used).raise_for_status()
    program = start(evaluation_service, tmp_path, key)

    _, complaint = program.communicate(timeout=60)

    assert program.returncode == 1
    assert "ValueError: ('chave_ja_usada', None)" in complaint
