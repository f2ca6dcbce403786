"""Every model that was met, so that an old case keeps the picture of what decided it.

A model is told of once, where it is met: to the record, to the log, and to whoever looks whether
the policy's promise holds for it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from sqlalchemy import select

from evaluation_api.decision import errors
from evaluation_api.decision.domain import Geometry, Model
from evaluation_api.record import chain, database
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.tables import models
from evaluation_api.runtime.background import Events, repeat

logger = logging.getLogger(__name__)

_EVENTS = Events("model_not_remembered", "model_watch_failed")
_TICK_SECONDS = 0.5
#: How the model service ends the tag of a version that it only tries: the same model, once for all.
_TRIED = " (not published)"
_REMEMBER = database.insert_new(models)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Geometry).decode


class ModelLog(database.Keeper):
    """The models in one database. Every method raises RecordUnavailableError."""

    def remember(self, met: Geometry) -> None:
        """Keep what a model said of itself, once for each sha256."""
        values = {
            "sha256": met.model.sha256,
            "tag": met.model.tag,
            "description": _encode(met).decode(),
            "first_met_at": datetime.now(UTC),
        }
        with self._writing() as connection:
            connection.execute(_REMEMBER, values)
            chain.note_change(connection, "model", met.model.tag)

    def find(self, tag: str) -> Geometry | None:
        """Return what the model with a tag said of itself when it was met, or None."""
        bare = tag.removesuffix(_TRIED)
        query = select(models.c.description).where(models.c.tag.in_((bare, bare + _TRIED)))
        newest_first = query.order_by(models.c.first_met_at.desc()).limit(1)
        with self._transaction() as connection:
            description = connection.execute(newest_first).scalar_one_or_none()
        return None if description is None else _decode(description)


class Watched(Protocol):
    """Whatever asks the model service."""

    async def ensure_available(self) -> None:
        """Find out whether a model that was away is back. Raises ModelError if not."""

    async def look(self) -> Geometry:
        """Return the model in service. Raises ModelError."""


@dataclass(eq=False, repr=False)
class ModelWatch:
    """Looks twice a second whether the model is there and which, and remembers each it meets.

    on_met: is told of each model, once it is remembered.
    """

    watched: Watched
    log: ModelLog
    executor: RecordExecutor
    on_met: Callable[[Model], None]
    tick_seconds: float = _TICK_SECONDS
    _met: Model | None = field(default=None, init=False)

    async def run(self) -> None:
        """Look until cancelled; whatever fails is tried again at the next look."""
        await repeat(self._look, self.tick_seconds, errors.EvaluationError, logger, _EVENTS)

    async def _look(self) -> None:
        try:
            await self.watched.ensure_available()
            met = await self.watched.look()
        except errors.ModelError:  # which its keeper tells of
            return
        if met.model == self._met:
            return
        await self.executor.run_write(self.log.remember, met)
        self._met = met.model
        self.on_met(met.model)
