"""What commands do with the record, apart from them: a file that is only decided does without.

SQLAlchemy alone takes as long to load as 50,000 clients to be decided.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine

from evaluation_api.decision.domain import Model
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.record import chain, schema
from evaluation_api.record.models import ModelLog
from evaluation_api.record.policies import PolicyLog
from portfolio import export, recording, views
from portfolio.profiler import StoredProfiler
from portfolio.recorded_files import RecordedFiles
from portfolio.recording import RecordedOtherwiseError, Recording

#: Each statement of a transaction waits for the interpreter, by default 5 ms, and others meanwhile.
_SWITCH_SECONDS: Final = 0.0005
_VIEWS: Final = {"decisoes": views.DECISIONS, "revisoes": views.REVIEWS}


@contextmanager
def opened(url: str, *, may_begin: bool) -> Iterator["Record"]:
    """Open a record, its tables up to date, or begin one. Raises RecordUnavailableError."""
    with schema.opened(url, may_begin=may_begin) as (engine, _):
        yield Record(engine)


class Record:
    """A record that is open. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def exported(self, view: str, since: datetime, until: datetime) -> Iterator[pa.Table]:
        """Yield what a view (of _VIEWS) holds of a time, and note that it was taken out."""
        told = {"view": view, "since": since.isoformat(), "until": until.isoformat()}
        chain.ChainLog(self._engine).note([chain.by_terminal("export", **told)])
        chosen = _VIEWS[view]
        yield from export.tables(chosen, views.pages(self._engine, chosen, since, until))

    def decided(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the decisions of a time, but of those who were erased: no amounts are left."""
        pages = views.pages(self._engine, views.DECISIONS, since, until)
        recorded = pa.concat_tables(export.tables(views.DECISIONS, pages)).to_pandas()
        return recorded[recorded["saldo_devedor"].notna()]

    def as_met(self, tag: str, sha256: str) -> Model:
        """Return a model with what it promised, where the record knows that."""
        met = ModelLog(self._engine).find(tag)
        return Model(tag, sha256) if met is None or met.model.sha256 != sha256 else met.model

    @contextmanager
    def recording(
        self,
        path: Path,
        criteria: dict[str, Any],
        policy: tuple[AnyPolicy, str],
        profiler: StoredProfiler,
        *,
        again: bool,
    ) -> Iterator[Recording]:
        """Begin to record a file, or go on; where it is broken off, say how it goes on.

        criteria, again: as recording.begin takes them. policy: with its text. Raises
        RecordedOtherwiseError, and OSError.
        """
        decides, text = policy
        PolicyLog(self._engine).remember(decides.version, text)
        ModelLog(self._engine).remember(profiler.describe())
        sys.setswitchinterval(_SWITCH_SECONDS)
        log = RecordedFiles(self._engine)
        file = recording.begin(log, path, criteria, again=again)
        refusal = recording.sent_meanwhile(log, path, file)
        with recording.fast_ways(log, decides, profiler) as ways:
            begun = Recording(log, file, decides, profiler, ways, refusal=refusal)
            try:
                yield begun
            except RecordedOtherwiseError:
                raise
            except BaseException:
                told = f"{begun.now} clients are recorded; without --again it goes on.\n"
                sys.stderr.write(told)
                raise
