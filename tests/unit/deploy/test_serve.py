"""What the model service's image starts with."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.processes import ROOT

CREATED = "creation_time: '2026-11-22T12:00:00+00:00'\n"
WHOLE = f"name: credit_card_clusters\nversion: 0123456789ab\n{CREATED}"


@pytest.fixture
def bento(tmp_path: Path) -> Path:
    """Make what a Bento has of a model, and a `bentoml` that says what it is told."""
    folder = tmp_path / "models/credit_card_clusters/0123456789ab"
    folder.mkdir(parents=True)
    (folder.parent / "latest").write_text("0123456789ab")
    (folder / "model.yaml").write_text(WHOLE)
    (tmp_path / "bentoml").write_text("#!/bin/sh\necho $@\n")
    (tmp_path / "bentoml").chmod(0o755)
    return tmp_path


def serve(bento: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", ROOT / "deploy/docker/serve.sh", bento],  # noqa: S607 - as the image does
        env={"PATH": f"{bento}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_a_whole_bento_is_served(bento: Path) -> None:
    assert serve(bento).stdout == f"serve --host 0.0.0.0 --port 8001 {bento}\n"


@pytest.mark.parametrize("left", [0, 30, len(WHOLE) - 5])
def test_a_bento_whose_model_is_torn_is_told_in_one_sentence(bento: Path, left: int) -> None:
    (yaml,) = bento.rglob("model.yaml")
    yaml.write_text(WHOLE[:left])

    ended = serve(bento)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"{yaml} is not whole: pack the model again (make image-model).\n"
