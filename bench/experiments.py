"""What compares systems: which ones, under which plan, judged by which targets."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.load import side_by_side
from bench.load.measurements import Comparison, Measured
from bench.load.scenario import Plan, Trial
from bench.report import machine, targets
from bench.report.tables import Report
from bench.subjects import clients, postgres, processes, systems
from bench.subjects.systems import Make

_STRESSED = frozenset({"monolith", "system"})
_ROWS = ((8, 64), (8, 1024))


class CannotStartError(Exception):
    """What the experiment lacks: one sentence, with the way out."""


def run_system(arguments: argparse.Namespace, folder: Path) -> Report:
    """Measure the whole system beside what it replaces and what it cannot exceed."""
    makers = {
        "monolith": systems.monolith,
        "monolith-async": systems.monolith_async,
        "split": systems.split,
        "system": systems.this_system,
        "system-access": systems.with_access,
        "ceiling": systems.ceiling,
    }
    chosen = _chosen(makers, arguments)
    report = _measured(chosen, arguments, folder, (1, 16, 64, 256), against=("monolith", "ceiling"))
    compared = [
        *_compared(chosen, folder, "system", "monolith", "monolith-async", "ceiling"),
        *_compared(chosen, folder, "system-access", "monolith-async"),
    ]
    judged = [*targets.of_systems(report.measured), *targets.of_comparisons(compared)]
    return replace(report, compared=compared, targets=judged)


def run_model(arguments: argparse.Namespace, folder: Path) -> Report:
    """Measure the model service beside other servers of the same pickle."""
    makers = {
        "model1": systems.model_service(1),
        "model2": systems.model_service(2),
        "model1-columns": systems.by_columns(systems.model_service(1)),
        "model2-columns": systems.by_columns(systems.model_service(2)),
        "bentoml": systems.bentoml_as_documented,
        "mlserver": systems.mlserver,
    }
    chosen = _chosen(makers, arguments)
    if "mlserver" in chosen and not systems.MLSERVER.exists():
        raise CannotStartError("MLServer is not installed: make bench-model installs it.")
    report = _measured(chosen, arguments, folder, (1, 16, 64), _ROWS, against=("mlserver",))
    return replace(report, targets=targets.of_models(report.measured))


def run_record(arguments: argparse.Namespace, folder: Path) -> Report:
    """Measure what the record costs, on a file and on PostgreSQL, and what the reasons cost."""
    bare = "bench.subjects.unexplained:CreditCardClusters"
    title = "SQLite, labels without reasons"
    with postgres.server() as url:
        sqlite = systems.recorded("sqlite", "SQLite", systems.SQLITE)
        server = systems.recorded("postgres", "PostgreSQL", url)
        makers = {
            "unrecorded": systems.unrecorded,
            "sqlite": sqlite,
            "sqlite-keyed": systems.keyed(sqlite),
            "postgres": server,
            "postgres-keyed": systems.keyed(server),
            "unexplained": systems.recorded("unexplained", title, systems.SQLITE, bare),
        }
        chosen = _chosen(makers, arguments)
        against = ("unrecorded", "unexplained")
        report = _measured(chosen, arguments, folder, (1, 64), against=against)
        others = ("unrecorded", "postgres", "unexplained")
        compared = [
            *_compared(chosen, folder, "sqlite", *others),
            *_compared(chosen, folder, "sqlite-keyed", "sqlite"),
            *_compared(chosen, folder, "postgres-keyed", "postgres"),
        ]
    return replace(report, compared=compared, targets=list(targets.of_comparisons(compared)))


EXPERIMENTS: dict[str, Callable[[argparse.Namespace, Path], Report]] = {
    "system": run_system,
    "model": run_model,
    "record": run_record,
}


def _chosen(makers: Mapping[str, Make], arguments: argparse.Namespace) -> dict[str, Make]:
    keys = arguments.only or list(makers)
    if unknown := set(keys) - set(makers):
        message = f"No system {', '.join(sorted(unknown))}: choose from {', '.join(makers)}."
        raise CannotStartError(message)
    return {key: makers[key] for key in keys}


def _measured(  # noqa: PLR0913 - what a run is made of, the last one by name
    makers: Mapping[str, Make],
    arguments: argparse.Namespace,
    folder: Path,
    connections: Sequence[int],
    rows: Sequence[tuple[int, int]] = (),
    *,
    against: Sequence[str],
) -> Report:
    """Measure one system after the other, as the arguments have it."""
    plan = Plan(
        loads=[*((number, 1) for number in arguments.connections or connections), *rows],
        seconds=arguments.seconds,
        warm_seconds=arguments.warm_seconds,
        burst_seconds=arguments.burst_seconds,
        overload_seconds=arguments.overload_seconds,
    )
    circumstances = (
        f"{machine.describe()}; seconds a load {plan.seconds:g}, seconds of warm-up"
        f" {plan.warm_seconds:g}, seconds of overload {plan.overload_seconds:g}."
    )
    measured = [_tried(key, make, plan, folder / key) for key, make in makers.items()]
    return Report(circumstances, measured, against)


def _tried(key: str, make: Make, plan: Plan, folder: Path) -> Measured:
    folder.mkdir()
    applicants = clients.make()
    expected = clients.expected_clusters(applicants)
    system = make(folder)
    if key == "system":  # a second start finds its model imported
        with processes.started(system.programs, folder):
            pass
    begun = time.perf_counter()
    with processes.started(system.programs, folder) as running:
        seconds_to_ready = time.perf_counter() - begun
        trial = Trial(system, running, plan, folder, applicants, expected)
        return trial.run(seconds_to_ready, stressed=key in _STRESSED)


def _compared(
    makers: Mapping[str, Make], folder: Path, ours: str, *others: str
) -> list[Comparison]:
    """Compare one system with others, driven in turn, as far as they were chosen."""
    beside = {key: makers[key] for key in (ours, *others) if key in makers}
    if ours not in beside:
        return []
    own = folder / f"beside-{ours}"
    own.mkdir()
    return side_by_side.compare(beside, ours, own, clients.make())
