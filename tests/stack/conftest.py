"""The stack, built and started once a session, and a second version of the model."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pytest

from model_store import training
from model_store.features import FEATURES
from tests.stack.running import Stack

#: One direction a profile, labels 0 to 4, in the order of FEATURES.
DIRECTIONS = [
    [0.80, 0.05, 0.05, 0.60, 0.05],
    [0.15, 0.05, 0.25, 0.40, 0.85],
    [0.25, 0.05, 0.70, 0.65, 0.10],
    [0.05, 0.05, 0.05, 0.98, 0.05],
    [0.10, 0.75, 0.05, 0.50, 0.40],
]


class Figures:
    """What was measured, for the documents: printed, and kept beside the other evidence."""

    def __init__(self, file: Path) -> None:
        self.folder = file.parent
        self._file = file
        self._figures: dict[str, Any] = {}

    def note(self, **figures: object) -> None:
        """Add figures, and write all there are."""
        self._figures.update(figures)
        self._file.write_text(json.dumps(self._figures, indent=2) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def figures(artifacts_directory: Path) -> Figures:
    return Figures(artifacts_directory / "stack-figures.json")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, figures: Figures) -> Iterator[Stack]:
    """Yield the running stack, each service once, from images built here."""
    running = Stack(tmp_path_factory.mktemp("stack"))
    log = figures.folder / "stack.log"
    try:
        figures.note(images_seconds=timed(running, "images", "--jobs=4"))
        figures.note(image_megabytes={name: megabytes(running, name) for name in IMAGES})
        figures.note(first_start_seconds=timed(running, "up"))
        yield running
    finally:
        running.remove(log)


IMAGES = ("web", "evaluation", "portfolio", "model")


def timed(stack: Stack, *arguments: str) -> float:
    started = time.monotonic()
    stack.make(*arguments)
    return round(time.monotonic() - started, 1)


def megabytes(stack: Stack, name: str) -> int:
    image = f"{stack.environment['IMAGE_PREFIX']}{name}:first"
    return round(int(stack.run("docker", "image", "inspect", "-f", "{{.Size}}", image)) / 1e6)


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    """Talk to the gateway."""
    with httpx.Client(base_url=stack.url, timeout=20, headers=stack.key) as talking:
        yield talking


@pytest.fixture(scope="session")
def other_model(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build an image "second" with a model trained on made-up clients; return the model's tag."""
    pickle = tmp_path_factory.mktemp("model") / "other.pkl"
    rng = np.random.default_rng(11)
    directions = np.repeat(np.array(DIRECTIONS), 40, axis=0)
    clients = np.abs(directions + rng.normal(0, 0.03, directions.shape)) * 1000
    joblib.dump(training.fit(clients), pickle)
    python = str(Path(".venv/bin/python"))
    told = stack.run(
        python, "-m", "model_store", "import", str(pickle), "--columns", ",".join(FEATURES)
    )
    tag = next(word for word in told.split() if word.startswith("credit_card_clusters:"))
    stack.make("image-model", VERSION="second", CREDIT_CARD_MODEL_TAG=tag)
    return tag
