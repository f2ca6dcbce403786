"""A policy tried on clients of a file or of the record: both decisions, and what came out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from evaluation_api.decision.domain import FEATURES, Model
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.decision.sentences import NAMES
from portfolio import frames, lab
from portfolio.files import messages, reading, sources
from portfolio.files.amounts import Mark
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices, Header
from portfolio.files.reading import Clients
from portfolio.frames import OUTCOMES, Floats, Profiler, Profiles

_LISTED: Final = ("line", "name")


class Extra(NamedTuple):
    """What a trial reads besides the amounts.

    outcome: the column that is 1 where a client did not pay. group: the column that says which
    group a client is of. divide: by what amounts are divided, from another currency.
    """

    outcome: str | None = None
    group: str | None = None
    divide: float = 1


class Population(NamedTuple):
    """The clients that can be decided, row by row.

    who: their line, or the evaluation's id, and name. amounts: FEATURES as float64. outcome: 0, 1
    or NaN, group: text; None where the trial asks for none. faulty: how many lines are left out.
    """

    who: pd.DataFrame
    amounts: pd.DataFrame
    outcome: pd.Series | None
    group: pd.Series | None
    faulty: int


def read(path: Path, choices: Choices, mark: Mark | None, extra: Extra) -> Population:
    """Read the clients of a file. Raises UnreadableFileError or OSError."""
    table = sources.open_table(path, choices)
    outcome, group = (_place(table.header, name) for name in (extra.outcome, extra.group))
    _, clients = reading.clients_of(table, mark)
    parts, faulty = [], 0
    for some in clients:
        parts.append(_part(some, table.header, outcome, group))
        faulty += int((~some.decidable).sum())
    whole = pd.concat(parts, ignore_index=True)
    if whole.empty:
        raise UnreadableFileError(messages.NOBODY)
    return Population(
        whole[list(_LISTED)],
        whole[list(FEATURES)] / extra.divide,
        None if extra.outcome is None else _outcomes(whole["outcome"], extra.outcome),
        None if group is None else whole["group"],
        faulty,
    )


def _outcomes(cells: pd.Series, column: str) -> pd.Series:
    """Return 0, 1, or NaN of what is not known. Raises UnreadableFileError for anything else."""
    told = cells.replace(r"^\s*$", np.nan, regex=True)
    read_as = pd.to_numeric(told, errors="coerce")
    wrong = told.notna() & ~read_as.isin([0, 1])
    if wrong.any():
        raise UnreadableFileError(messages.no_outcome(column, str(told[wrong].iloc[0])))
    return read_as


def _place(header: Header, column: str | None) -> int | None:
    if column is None:
        return None
    if column not in header.names:
        raise UnreadableFileError(messages.no_such_column(column, header.names))
    return header.names.index(column)


def _part(some: Clients, header: Header, outcome: int | None, group: int | None) -> pd.DataFrame:
    kept = pa.array(some.decidable)
    part = some.frame.assign(
        line=some.lines[some.decidable],
        name=_texts(some.cells[header.places["name"]].filter(kept)),
    )
    if outcome is not None:
        part["outcome"] = _texts(some.cells[outcome].filter(kept))
    if group is not None:
        told = pc.fill_null(pc.cast(some.cells[group].filter(kept), pa.string()), "")
        part["group"] = _texts(told)
    return part


def _texts(column: pa.Array) -> Any:  # noqa: ANN401 - pandas' own
    return column.to_pandas().to_numpy()


def run(
    clients: Population,
    present: AnyPolicy,
    proposed: AnyPolicy,
    profiler: Profiler,
    reach: float,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Decide clients by two policies; return the findings, and who is decided otherwise.

    The findings are plain values, as JSON has them. Raises InvalidAmountError.
    """
    trial = lab.Trial(
        clients.amounts,
        frames.evaluate(clients.amounts, present, profiler),
        frames.evaluate(clients.amounts, proposed, profiler),
    )
    found, changes = _found(
        clients, trial, (profiler.model.tag, present.version, proposed.version), proposed
    )
    found["better_by_worse"] = lab.better_by_worse(clients.amounts, proposed, profiler, reach)
    return found, changes


class _AsRecorded:
    """Places clients as the record does, without the model."""

    def __init__(self, model: Model, recorded: pd.DataFrame) -> None:
        self.model, self._recorded = model, recorded

    def profiles(self, amounts: Floats) -> Profiles:
        """Say it."""
        assert len(amounts) == len(self._recorded)  # noqa: S101 - the caller's clients, all of them
        labels = self._recorded["perfil"].to_numpy(np.int64)
        return Profiles(labels, self._recorded["certeza"].to_numpy(np.float64))


def run_recorded(
    recorded: pd.DataFrame, proposed: AnyPolicy, model_of: Callable[[str, str], Model]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Decide anew what is recorded; return the findings, and who is decided otherwise.

    recorded: a row each, the columns of the view `decisoes`. model_of: a model by its tag and
    sha256, as it was met.
    """
    clients = of_record(recorded)
    amounts = clients.amounts
    decided = [
        frames.evaluate(amounts.loc[some.index], proposed, _AsRecorded(model_of(*model), some))
        for model, some in recorded.groupby(["modelo", "modelo_sha256"], sort=True)
    ]
    was = pd.Categorical(recorded["decisao"], list(OUTCOMES))
    before = pd.DataFrame({"decisao": was}, index=recorded.index)
    trial = lab.Trial(amounts, before, pd.concat(decided).sort_index())
    names = _joined(recorded["modelo"]), _joined(recorded["politica"]), proposed.version
    return _found(clients, trial, names, proposed)


def of_record(recorded: pd.DataFrame) -> Population:
    """Return the clients of what is recorded. recorded: the columns of the view `decisoes`."""
    who = recorded[["avaliacao", "nome"]].set_axis(["id", "name"], axis=1)
    amounts = recorded[[NAMES[feature] for feature in FEATURES]].set_axis(FEATURES, axis=1)
    return Population(who, amounts, None, None, 0)


def _joined(names: pd.Series) -> str:
    return ", ".join(sorted(names.unique()))


def _found(
    clients: Population, trial: lab.Trial, names: tuple[str, str, str], proposed: AnyPolicy
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the findings, and who is decided otherwise. names: of model, before and after."""
    found = {
        "clients": len(clients.amounts),
        "faulty_lines": clients.faulty,
        **dict(zip(("model", "before", "after"), names, strict=True)),
        **dict(_findings(clients, trial, proposed)),
    }
    changes = clients.who[trial.changed].assign(
        before=trial.before["decisao"][trial.changed], after=trial.after["decisao"][trial.changed]
    )
    return found, changes


def _findings(
    clients: Population, trial: lab.Trial, proposed: AnyPolicy
) -> Iterator[tuple[str, Any]]:
    yield "shares_before", lab.shares(trial.before)
    yield "shares_after", lab.shares(trial.after)
    yield "changed", int(trial.changed.sum())
    yield "crossed", lab.crossed(trial.before, trial.after)
    yield "by_profile", lab.by_profile(trial)
    yield "by_reason", lab.by_reason(trial.after)
    yield "contradicted", lab.contradicted(trial.after, proposed)
    if clients.outcome is not None:
        yield "outcome", lab.fared(trial.after, clients.outcome)
    if clients.group is not None:
        yield "group", lab.groups(trial.after, clients.group)
