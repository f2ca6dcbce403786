"""`python -m bench`: measures, prints tables, writes JSON and a plot.

`system` is the default; `model` is the model service beside others; `replicas` is how throughput
grows with processes; `record` is what the record and the reasons cost. A whole run of 5 s a load
or more goes into docs/performance.md, any other into var/bench/. Exit codes: 0 measured, whether
targets are met or not; 1 a system failed or answered wrong, for the reason printed; 2 the bench
cannot start.
"""

import argparse
import signal
import sys
from pathlib import Path

from bench import experiments
from bench.load import wrk
from bench.load.one_by_one import WrongAnswerError
from bench.report import publication
from deploy.processes import NotReadyError


def main() -> int:
    """Run one experiment."""
    # A stop from outside unwinds the blocks that stop what was started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = read_arguments()
    try:
        wrk.require()
        report = experiments.EXPERIMENTS[arguments.experiment](arguments)
    except (experiments.CannotStartError, wrk.MissingError) as error:
        print(error, file=sys.stderr)
        return 2
    except (NotReadyError, OSError, WrongAnswerError, wrk.WrkError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing is left running.", file=sys.stderr)
        return 1
    print(report.text())
    publication.publish(report, arguments)
    return 0


def read_arguments() -> argparse.Namespace:
    """Read how long, how hard, and where to write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("experiment", nargs="?", default="system", choices=experiments.EXPERIMENTS)
    parser.add_argument("--seconds", type=float, default=5, help="for each load (%(default)s)")
    parser.add_argument("--warm-seconds", type=float, default=2, help="(%(default)s)")
    parser.add_argument("--burst-seconds", type=float, default=3, help="(%(default)s)")
    parser.add_argument("--overload-seconds", type=float, default=20, help="(%(default)s)")
    parser.add_argument(
        "--connections", type=int, nargs="+", help="in place of the experiment's own"
    )
    parser.add_argument("--only", nargs="+", metavar="KEY", help="some of the systems, by key")
    parser.add_argument("--json", type=Path, help="write the figures here instead")
    parser.add_argument("--plot", type=Path, help="draw the plot here instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
