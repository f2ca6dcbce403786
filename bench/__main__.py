"""`python -m bench EXPERIMENT`: measures and prints tables.

The experiments that compare systems draw a plot, too: a whole run of 5 s a load or more goes into
docs/performance.md, the plot of any other into var/bench/. Exit codes: 0 measured, whether targets
are met or not; 1 a system failed or answered wrong, a fault cost something, or a siege or a soak
missed a target, for the reason printed; 2 the bench cannot start.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

from bench import experiments
from bench.load import client_file, faults, searches, side_by_side, soak, unkind, wrk
from bench.load.checks import WrongAnswerError
from bench.report import publication, tables, targets
from bench.subjects import clients, postgres, systems
from deploy.processes import NotReadyError

Command = Callable[[argparse.Namespace, Path], int]


def main() -> int:
    """Run one experiment in a folder that is gone afterwards."""
    # A stop from outside unwinds the blocks that stop what was started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = _parser().parse_args()
    command: Command = arguments.run
    try:
        wrk.require()
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
            return command(arguments, Path(name))
    except (experiments.CannotStartError, postgres.MissingError, wrk.MissingError) as error:
        print(error, file=sys.stderr)
        return 2
    except (NotReadyError, OSError, WrongAnswerError, httpx.HTTPError, wrk.WrkError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing is left running.", file=sys.stderr)
        return 1


def _measure(arguments: argparse.Namespace, folder: Path) -> int:
    report = experiments.EXPERIMENTS[arguments.experiment](arguments, folder)
    print(report.text())
    publication.publish(report, arguments)
    return 0


def _measure_files(arguments: argparse.Namespace, folder: Path) -> int:
    system = systems.this_system(folder)
    with ExitStack() as stack:
        server = None
        if postgres.programs() is not None:
            server = stack.enter_context(postgres.server())
        ways, callers = client_file.run(system, arguments.lines, arguments.rounds, folder, server)
    print(f"{arguments.lines:,} clients")
    print(f"{tables.of_a_file(ways, arguments.lines)}\n")
    print(tables.of_callers(callers))
    return 0


def _fail(arguments: argparse.Namespace, folder: Path) -> int:
    """Have each part fail under load, and count in the record; return 1 unless all is kept."""
    outcomes: list[faults.Outcome] = []
    for number, name in enumerate(arguments.only or faults.FAULTS):
        print(f"{name} ...", file=sys.stderr, flush=True)
        own = folder / str(number)
        own.mkdir()
        try:
            outcomes.append(faults.run(name, arguments.seconds, own))
        except (postgres.MissingError, subprocess.CalledProcessError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    print(f"{tables.of_faults(outcomes)}\n")
    return _judge([target for one in outcomes for target in targets.of_a_fault(one)])


def _besiege(_: argparse.Namespace, folder: Path) -> int:
    """Let unkind callers at the evaluation service; return 1 if a good one or a bound suffers."""
    return _judge([*targets.of_a_siege(unkind.run(folder))])


def _soak(arguments: argparse.Namespace, folder: Path) -> int:
    """Ask for half of what the system can do; return 1 if memory or latency grows."""
    seen = soak.run(folder, arguments.seconds)
    print(f"{tables.of_a_soak(seen)}\n")
    return _judge([*targets.of_a_soak(seen)])


def _search(arguments: argparse.Namespace, folder: Path) -> int:
    with ExitStack() as stack:
        file = f"sqlite:///{folder / 'evaluations.db'}"
        url = stack.enter_context(postgres.server()) if arguments.server else file
        searches.run(arguments.rows, url)
    return 0


def _judge(judged: list[targets.Target]) -> int:
    print(tables.of_targets(judged))
    return 0 if all(target.met for target in judged) else 1


def _compare(arguments: argparse.Namespace, folder: Path) -> int:
    other = partial(systems.checkout, root=arguments.other.resolve())
    makers: dict[str, systems.Make] = {"this": systems.this_system, "other": other}
    print(tables.of_comparisons(side_by_side.compare(makers, "this", folder, clients.make())))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="experiment", required=True, metavar="EXPERIMENT")
    for name, measure in experiments.EXPERIMENTS.items():
        one = commands.add_parser(name, help=measure.__doc__)
        one.add_argument("--seconds", type=float, default=5, help="for each load (%(default)s)")
        one.add_argument("--warm-seconds", type=float, default=2, help="(%(default)s)")
        one.add_argument("--burst-seconds", type=float, default=3, help="(%(default)s)")
        one.add_argument("--overload-seconds", type=float, default=20, help="(%(default)s)")
        one.add_argument("--connections", type=int, nargs="+", help="in place of its own")
        one.add_argument("--only", nargs="+", metavar="KEY", help="some of the systems, by key")
        one.set_defaults(run=_measure)
    files = commands.add_parser("files", help="A file of clients beside an analyst's script.")
    files.add_argument("lines", nargs="?", type=int, default=200_000, help="(%(default)s)")
    files.add_argument("--rounds", type=int, default=5, help="of each, in turn (%(default)s)")
    files.set_defaults(run=_measure_files)
    failing = commands.add_parser("faults", help=_fail.__doc__)
    failing.add_argument("--seconds", type=float, default=8.0, help="for each (%(default)s)")
    failing.add_argument("--only", nargs="+", choices=faults.FAULTS, metavar="FAULT")
    failing.set_defaults(run=_fail)
    besieging = commands.add_parser("unkind", help=_besiege.__doc__)
    besieging.set_defaults(run=_besiege)
    soaking = commands.add_parser("soak", help=_soak.__doc__)
    soaking.add_argument("--seconds", type=float, default=1200.0, help="(%(default)s)")
    soaking.set_defaults(run=_soak)
    searching = commands.add_parser("searches", help="Searches of a record with many rows.")
    searching.add_argument("rows", nargs="?", type=int, default=1_000_000, help="(%(default)s)")
    searching.add_argument("--server", action="store_true", help="PostgreSQL's, not a file's")
    searching.set_defaults(run=_search)
    comparing = commands.add_parser(
        "checkouts",
        help="This checkout's system beside another's, driven in turn: what a change is worth. A"
        " checkout beside a copy of itself says how far the machine lets a ratio be believed.",
    )
    comparing.add_argument("other", type=Path, help="its folder, with an environment in .venv")
    comparing.set_defaults(run=_compare)
    return parser


if __name__ == "__main__":
    sys.exit(main())
