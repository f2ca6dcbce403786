"""The four experiments: which systems, under which plan, judged by which targets."""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.load import side_by_side
from bench.load.measurements import Comparison, Measured
from bench.load.scenario import Plan, Trial
from bench.report import machine, targets
from bench.report.machine import Machine
from bench.report.tables import Report
from bench.report.targets import Target
from bench.subjects import clients, mlserver, postgres, systems
from bench.subjects.processes import Processes
from bench.subjects.systems import Make

_STRESSED = frozenset({"monolith", "system"})
_ROWS = ((8, 64), (8, 1024))


class CannotStartError(Exception):
    """What the experiment lacks: one sentence, with the way out."""


def run_system(arguments: argparse.Namespace) -> Report:
    """Measure the whole system beside what it replaces and what it cannot exceed."""
    here = machine.describe()
    makers = {
        "monolith": systems.monolith,
        "monolith-async": systems.monolith_async,
        "split": systems.split,
        "system": systems.this_system,
        "ceiling": systems.ceiling,
    }
    plan = _plan(arguments, [(n, 1) for n in arguments.connections or (1, 16, 64, 256)])
    chosen = _chosen(makers, arguments)
    measured = _measure_all(chosen, plan, warm_start="system")
    against = ("monolith", "ceiling")
    beside = {key: make for key, make in chosen.items() if key in {"system", *against}}
    compared = _compare("system", beside)
    judged = [*targets.of_systems(measured), *targets.of_comparisons(compared)]
    report = _report("system", arguments, here, measured, against, judged)
    return replace(report, compared=compared)


def run_model(arguments: argparse.Namespace) -> Report:
    """Measure the model service beside other servers of the same pickle."""
    makers = {
        "model1": systems.model_service(1),
        "model2": systems.model_service(2),
        "bentoml": systems.bentoml_as_documented,
        "mlserver": mlserver.mlserver,
    }
    chosen = _chosen(makers, arguments)
    if "mlserver" in chosen and not mlserver.PROGRAM.exists():
        raise CannotStartError("MLServer is not installed: make bench-model installs it.")
    here = machine.describe()
    single = [(n, 1) for n in arguments.connections or (1, 16, 64)]
    plan = _plan(arguments, [*single, *_ROWS])
    measured = _measure_all(chosen, plan)
    return _report("model", arguments, here, measured, ("mlserver",), targets.of_models(measured))


def run_replicas(arguments: argparse.Namespace) -> Report:
    """Measure how throughput grows with evaluation processes and model workers."""
    plan = _plan(arguments, [(n, 1) for n in arguments.connections or (64, 256)])
    here = machine.describe()
    with postgres.server() as url:
        makers = {
            f"{evaluations}x{workers}": systems.replicated(evaluations, workers, url)
            for workers in (1, 2)
            for evaluations in (1, 2, 4)
        }
        measured = _measure_all(_chosen(makers, arguments), plan)
    return _report("replicas", arguments, here, measured, ("1x1",), [])


def run_record(arguments: argparse.Namespace) -> Report:
    """Measure what the record costs, on a file and on PostgreSQL, and what the reasons cost."""
    plan = _plan(arguments, [(n, 1) for n in arguments.connections or (1, 64)])
    here = machine.describe()
    bare = "bench.subjects.unexplained:CreditCardClusters"
    with postgres.server() as url:
        sqlite = systems.recorded("sqlite", "SQLite", postgres.SQLITE)
        server = systems.recorded("postgres", "PostgreSQL", url)
        makers = {
            "unrecorded": systems.unrecorded,
            "sqlite": sqlite,
            "sqlite-keyed": systems.keyed(sqlite),
            "postgres": server,
            "postgres-keyed": systems.keyed(server),
            "unexplained": systems.recorded(
                "unexplained", "SQLite, labels without reasons", postgres.SQLITE, bare
            ),
        }
        chosen = _chosen(makers, arguments)
        measured = _measure_all(chosen, plan)
        compared = [
            *_compare("sqlite", {key: chosen[key] for key in chosen if "keyed" not in key}),
            *_compare_keyed("sqlite", chosen),
            *_compare_keyed("postgres", chosen),
        ]
    against = ("unrecorded", "unexplained")
    judged = list(targets.of_comparisons(compared))
    return replace(_report("record", arguments, here, measured, against, judged), compared=compared)


EXPERIMENTS: dict[str, Callable[[argparse.Namespace], Report]] = {
    "system": run_system,
    "model": run_model,
    "replicas": run_replicas,
    "record": run_record,
}


def _plan(arguments: argparse.Namespace, loads: Sequence[tuple[int, int]]) -> Plan:
    return Plan(
        loads=loads,
        seconds=arguments.seconds,
        warm_seconds=arguments.warm_seconds,
        burst_connections=256,
        burst_seconds=arguments.burst_seconds,
        overload_seconds=arguments.overload_seconds,
    )


def _chosen(makers: dict[str, Make], arguments: argparse.Namespace) -> dict[str, Make]:
    keys = arguments.only or list(makers)
    if unknown := set(keys) - set(makers):
        message = f"No system {', '.join(sorted(unknown))}: choose from {', '.join(makers)}."
        raise CannotStartError(message)
    return {key: makers[key] for key in keys}


def _measure_all(
    makers: dict[str, Make], plan: Plan, warm_start: str | None = None
) -> list[Measured]:
    """Measure one after the other. warm_start: who is started once before, to have its files."""
    applicants = clients.make()
    expected = clients.expected_clusters(applicants)
    measured = []
    for key, make in makers.items():
        with _folder() as folder:
            system = make(folder)
            if key == warm_start:
                with Processes(system.programs, folder):
                    pass
            with Processes(system.programs, folder) as processes:
                trial = Trial(system, processes, plan, folder, applicants, expected)
                measured.append(trial.run(stressed=key in _STRESSED))
    return measured


def _compare(ours: str, makers: dict[str, Make]) -> list[Comparison]:
    """Compare one system, if it was chosen, with the others, driven in turn."""
    if ours not in makers:
        return []
    with _folder() as folder:
        return side_by_side.compare(makers, ours, (1, 64), folder, clients.make())


def _compare_keyed(key: str, makers: dict[str, Make]) -> list[Comparison]:
    """Compare a system asked with Idempotency-Keys with the same one asked without."""
    keyed = f"{key}-keyed"
    both = {one: makers[one] for one in (keyed, key) if one in makers}
    return _compare(keyed, both) if len(both) > 1 else []


@contextmanager
def _folder() -> Iterator[Path]:
    """Hold a folder that is gone afterwards, whatever a server still writes into it."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _report(  # noqa: PLR0913, PLR0917 - a Report's fields
    name: str,
    arguments: argparse.Namespace,
    here: Machine,
    measured: Sequence[Measured],
    against: Sequence[str],
    judged: Sequence[Target],
) -> Report:
    settings = {
        "seconds a load": arguments.seconds,
        "seconds of warm-up": arguments.warm_seconds,
        "seconds of overload": arguments.overload_seconds,
    }
    return Report(name, here, settings, measured, against, judged)
