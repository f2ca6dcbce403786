"""The model that answers now, and the look-out for the one that is published next.

Once a second, beside the requests, a worker looks whether `production` or the history changed. What
is published then is opened, and its golden clients are asked, in a thread; only then does it
answer, from one batch to the next. One that fails answers nobody: what answered goes on, and the
reason stands in the log, in a metric and in what `python -m model_store list` prints.
docs/adr/0009 has what was measured.
"""

import logging
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from model_store import publications
from model_store.errors import ModelStoreError
from model_store.geometry import Matrix
from model_store.ledger import Ledger
from model_store.publications import Choice
from model_store.serving import answers, batches, predictor
from model_store.serving.metrics import ModelMetrics
from model_store.serving.predictor import ServedModel
from model_store.workers import Note, WorkerNote

LOOK_SECONDS: Final = 1.0
#: Files that belong together are written one after the other, and by git in any order.
_SETTLED_SECONDS: Final = 0.1
#: For what leaves no trace in what is looked at: a version in the store that was mended.
_RETRY_SECONDS: Final = 10.0

logger = logging.getLogger("bentoml.model")


class Serving(NamedTuple):
    """A model that answers, and as what it was chosen."""

    model: ServedModel
    choice: Choice


class LiveModel:
    """What one worker serves, and why it does not serve what is published, if so."""

    now: Serving

    def __init__(self, ledger: Ledger | None = None) -> None:
        """Take where it is published; nothing is opened before `open`."""
        self.refusal: str | None = None
        self._ledger = ledger or Ledger()
        self._seen: object = None
        self._since = ""
        self._retry_at = 0.0
        self._numbers = count()
        self._note = WorkerNote()
        self._metrics = ModelMetrics()

    @property
    def is_slow(self) -> bool:
        """Tell whether the model that answers now is to predict beside the event loop."""
        return self.now.model.is_slow

    def predict(self, batch: Matrix) -> Matrix:
        """Answer a batch by one model, whatever is published meanwhile, and say which it was."""
        model = self.now.model
        told = model.predict(batch)
        told[:, batches.MODEL] = model.number
        return told

    def open(self) -> None:
        """Open the version to serve, or the one before where that fails.

        A worker that comes back must serve what those beside it serve, and they kept what they had.
        Raises ModelStoreError when nothing opens.
        """
        self._seen = self._signature()
        choice = publications.choose(self._ledger)
        try:
            self._serve(choice)
        except ModelStoreError as exc:
            if not any(self._opens(earlier) for earlier in self._earlier(choice)):
                raise
            self._refuse(exc)

    def watch(self) -> None:
        """Look from now on until the process ends; what is tried is tried to its end."""
        if self.now.choice.entry is not None:
            threading.Thread(target=self._keep_looking, name="published", daemon=True).start()

    def look(self) -> None:
        """Serve what is published now, if that changed and can be served."""
        self._metrics.tell(self.now.choice, refused=self.refusal is not None)
        is_due = self.refusal is not None and time.monotonic() >= self._retry_at
        if self._signature() == self._seen and not is_due:
            return
        while self._seen != (seen := self._signature()):
            self._seen = seen
            time.sleep(_SETTLED_SECONDS)
        try:
            self._serve(publications.choose(self._ledger))
        except Exception as exc:  # noqa: BLE001 - whatever it is, what answers must go on
            self._refuse(exc)

    def _keep_looking(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            self.look()

    def _signature(self) -> tuple[object, ...]:
        return tuple(_stat(path) for path in self._ledger.looked_at)

    def _serve(self, choice: Choice) -> None:
        """Open a version and have it answer from the next batch on. Raises ModelStoreError."""
        present = getattr(self, "now", None)
        if present is None or choice.pin != present.choice.pin:
            stored, number = publications.load(choice, self._ledger), next(self._numbers)
            model = predictor.serve(stored, number)
            answers.Predictions.introduce(number, answers.headers_of(stored, choice.told_tag))
        else:
            model = present.model
        self.now = Serving(model, choice)
        if choice != (present and present.choice) or self.refusal:
            self.refusal = None
            self._tell()

    def _opens(self, choice: Choice) -> bool:
        try:
            self._serve(choice)
        except ModelStoreError:
            return False
        return True

    def _earlier(self, choice: Choice) -> Iterator[Choice]:
        """Name what was published before, the latest first."""
        entries = () if choice.entry is None else self._ledger.history().moves
        for entry in reversed(entries):
            if entry.version != choice.pin:
                yield Choice(entry.version.tag, entry.version, entry)

    def _refuse(self, exc: Exception) -> None:
        """Keep what answers, and say why, once for each reason."""
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        reason = str(exc) if isinstance(exc, ModelStoreError) else repr(exc)
        if reason == self.refusal:
            return
        self.refusal = reason
        known = isinstance(exc, ModelStoreError)
        logger.error(
            "what is published is not served, %s goes on: %s",
            self.now.choice.told_tag,
            reason,
            exc_info=None if known else exc,
        )
        self._metrics.tell(self.now.choice, refused=True)
        self._note.say(Note(serves=self.now.choice.told_tag, since=self._since, refused=reason))

    def _tell(self) -> None:
        entry = self.now.choice.entry
        if entry is None:
            logger.warning("serving %s: it is tried", self.now.choice.told_tag)
        else:
            logger.info("serving %s, published %s", self.now.choice.tag, entry.told_in_words)
        self._metrics.tell(self.now.choice, refused=False)
        self._since = _now()
        self._note.say(Note(serves=self.now.choice.told_tag, since=self._since, refused=None))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
