"""`python -m bench.checkouts OTHER`: this checkout's system beside another's, driven in turn.

Prints the medians of the rounds' ratios, this checkout's figure over the other's: what a change is
worth. A ratio of a checkout beside a copy of itself says how far the machine lets it be believed.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench.load import side_by_side, wrk
from bench.report.tables import comparison_rows, table
from bench.subjects import clients, systems
from deploy.processes import NotReadyError


def main() -> int:
    """Compare; return 1 when there is nothing to print."""
    parser = argparse.ArgumentParser(prog="python -m bench.checkouts", description=__doc__)
    parser.add_argument("other", type=Path, help="its folder, with an environment in .venv")
    other: Path = parser.parse_args().other.resolve()
    makers: dict[str, systems.Make] = {
        "this": systems.this_system,
        "other": partial(systems.checkout, root=other),
    }
    try:
        wrk.require()
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
            compared = side_by_side.compare(makers, "this", (1, 64), Path(name), clients.make())
    except (NotReadyError, OSError, wrk.MissingError, wrk.WrkError) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(comparison_rows(compared)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
