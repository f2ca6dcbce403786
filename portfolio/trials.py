"""A policy tried on the clients of a file: reading them, deciding them twice, and what came out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa

from evaluation_api.decision.domain import FEATURES
from evaluation_api.decision.policy_file import AnyPolicy
from portfolio import frames, lab
from portfolio.files import messages, reading, sources
from portfolio.files.amounts import Mark
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices, Header
from portfolio.files.reading import Clients
from portfolio.frames import Profiler

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
    """The clients of a file that can be decided, row by row.

    who: their line and name. amounts: FEATURES as float64. outcome: 0, 1 or NaN, group: text; None
    where the trial asks for none. faulty: how many lines are left out.
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
        None if outcome is None else pd.to_numeric(whole["outcome"], errors="coerce"),
        None if group is None else whole["group"],
        faulty,
    )


def _place(header: Header, column: str | None) -> int | None:
    if column is None:
        return None
    if column not in header.names:
        raise UnreadableFileError(messages.no_such_column(column))
    return header.names.index(column)


def _part(some: Clients, header: Header, outcome: int | None, group: int | None) -> pd.DataFrame:
    kept = pa.array(some.decidable)
    part = some.frame.assign(
        line=some.lines[some.decidable],
        name=_texts(some.cells[header.places["name"]].filter(kept)),
    )
    for name, place in (("outcome", outcome), ("group", group)):
        if place is not None:
            part[name] = _texts(some.cells[place].filter(kept))
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
    found = {
        "clients": len(clients.amounts),
        "faulty_lines": clients.faulty,
        "model": profiler.model.tag,
        "before": present.version,
        "after": proposed.version,
        **dict(_findings(clients, trial, proposed)),
        "better_by_worse": lab.better_by_worse(clients.amounts, proposed, profiler, reach),
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
