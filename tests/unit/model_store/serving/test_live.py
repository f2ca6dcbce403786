"""What a worker serves follows what is published, unless that fails."""

import fcntl
import logging
import os
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from model_store import promotion, registry, training, version, workers
from model_store.errors import ModelStoreError
from model_store.features import FEATURES
from model_store.ledger import Ledger
from model_store.pickles import inspection
from model_store.serving import answers, batches
from model_store.serving.live import LiveModel
from tests.unit.model_store.conftest import dumped

WHY = "as the test says"


@pytest.fixture
def ledger(imported: str, tmp_path: Path) -> Ledger:
    """Return a history in which the fitted model is published."""
    (tmp_path / "publishing").mkdir()
    made = Ledger(tmp_path / "publishing")
    promotion.promote(imported, WHY, ledger=made)
    return made


@pytest.fixture
def other(imported: str, clients: NDArray[np.float64], tmp_path: Path) -> str:
    """Return the tag of another version in the store, which may be published."""
    assert imported
    return brought_in(training.fit(clients[::2]), tmp_path / "other.pkl")


def brought_in(model: Pipeline, path: Path) -> str:
    path.write_bytes(dumped(model))
    return registry.import_pickle(path, inspection.describe, FEATURES)[0]


def opened(ledger: Ledger) -> LiveModel:
    live = LiveModel(ledger)
    live.open()
    return live


def test_what_is_published_and_taken_back_is_served_from_the_next_look_on(
    ledger: Ledger, imported: str, other: str
) -> None:
    live = opened(ledger)
    live.look()
    first = live.now
    assert first.choice.told_tag == imported

    promotion.promote(other, WHY, ledger=ledger)
    live.look()
    assert live.now.choice.told_tag == other
    assert live.now.model.number != first.model.number

    promotion.rollback(WHY, ledger=ledger)
    live.look()
    assert live.now.choice.told_tag == imported
    assert [note["serves"] for note in workers.notes()] == [imported]


def test_what_fails_is_refused_until_it_is_mended(
    ledger: Ledger, imported: str, other: str, models_home: Path
) -> None:
    live = opened(ledger)
    golden = models_home / other.partition(":")[2] / version.GOLDEN_NAME
    promotion.promote(other, WHY, ledger=ledger)
    whole = golden.read_text()
    golden.write_text("{}")
    shutil.rmtree(ledger.archives)  # out of which it would be mended

    live.look()

    assert live.now.choice.told_tag == imported
    assert live.refusal
    assert "is corrupt" in live.refusal
    assert [note["refused"] for note in workers.notes()] == [live.refusal]
    back = opened(ledger)  # a worker that comes back
    assert (back.now.choice.told_tag, back.refusal) == (imported, live.refusal)

    golden.write_text(whole)
    ledger.production.touch()
    live.look()
    assert live.now.choice.told_tag == other
    assert not live.refusal


@pytest.mark.parametrize("name", [version.GOLDEN_NAME, version.NUMBERS_NAME])
def test_a_worker_that_comes_back_to_a_spoilt_copy_serves_what_is_published(
    ledger: Ledger, other: str, models_home: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    promotion.promote(other, WHY, ledger=ledger)
    neighbour = opened(ledger)
    copy = models_home / other.partition(":")[2] / name
    whole = copy.read_bytes()
    copy.write_bytes(whole.replace(b"1", b"2"))

    back = opened(ledger)

    assert back.now.choice.told_tag == neighbour.now.choice.told_tag == other
    assert (back.refusal, copy.read_bytes()) == (None, whole)
    assert "is corrupt" in caplog.text
    assert "It is brought in from its archive." in caplog.text


def test_workers_that_come_back_at_once_mend_a_spoilt_copy_once(
    ledger: Ledger, other: str, models_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    promotion.promote(other, WHY, ledger=ledger)
    (models_home / other.partition(":")[2] / version.GOLDEN_NAME).write_text("{}")
    caplog.set_level(logging.INFO)

    with ThreadPoolExecutor(3) as pool:
        back = [*pool.map(opened, [ledger] * 3)]

    assert {live.now.choice.told_tag for live in back} == {other}
    assert caplog.messages.count(f"{other} brought in from its archive") == 1


def test_a_production_that_was_edited_is_refused_and_the_model_goes_on(
    ledger: Ledger, imported: str
) -> None:
    live = opened(ledger)
    ledger.production.write_text("credit_card_clusters:0123456789ab 00\n")

    live.look()

    assert live.now.choice.told_tag == imported
    assert live.refusal
    with pytest.raises(ModelStoreError, match="the last line"):
        LiveModel(ledger).open()


def test_an_answer_has_the_headers_of_the_model_that_computed_it() -> None:
    for number in range(20):
        answers.Predictions.introduce(number, {"X-Model-Tag": str(number)})
    told = batches.labels_only(np.array([1, 2]))
    told[:, batches.MODEL] = 18

    assert answers.Predictions.headers_for(told) == {"X-Model-Tag": "18"}
    assert answers.Predictions.headers_for(told[:0]) == {"X-Model-Tag": "19"}


def test_what_a_process_left_behind_is_not_listed(models_home: Path) -> None:
    left = models_home.parent / f".{registry.NAME}.worker-here-1"
    left.write_text('{"serves": "a:1", "since": "then", "refused": null}')
    note = workers.WorkerNote()
    note.say(workers.Note(serves="a:2", since="now", refused=None))

    assert [one["serves"] for one in workers.notes()] == ["a:2"]
    assert not left.exists()


def test_a_process_is_listed_though_its_file_is_removed_before_it_locks_it(
    models_home: Path,
) -> None:
    path = models_home.parent / f".{registry.NAME}.worker-{socket.gethostname()}-{os.getpid()}"
    note = workers.WorkerNote()
    with path.open("w") as seen, ThreadPoolExecutor(1) as pool:
        fcntl.flock(seen, fcntl.LOCK_EX)  # as by whoever lists, and takes it for left behind
        told = pool.submit(note.say, workers.Note(serves="a:1", since="now", refused=None))
        wait([told], timeout=0.05)
        path.unlink()
        fcntl.flock(seen, fcntl.LOCK_UN)
        told.result(5)

    assert [one["serves"] for one in workers.notes()] == ["a:1"]


def test_a_process_that_says_something_shorter_is_listed_at_every_moment(
    models_home: Path,
) -> None:
    assert models_home
    note, ended = workers.WorkerNote(), threading.Event()

    def say() -> None:
        for number in range(4000):
            reason = "because " * (number % 2 * 20)
            note.say(workers.Note(serves="a:1", since="now", refused=reason))
        ended.set()

    note.say(workers.Note(serves="a:1", since="now", refused=None))
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(say)
        while not ended.is_set():
            assert [one["serves"] for one in workers.notes()] == ["a:1"]
        said.result(5)
