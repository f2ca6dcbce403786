"""Many clients at once: python -m portfolio --help. A worker loads pandas when a file comes."""

import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run a worker or one command, and return its exit code."""
    chosen = sys.argv[1:] if arguments is None else arguments
    if chosen[:1] == ["worker"]:
        from portfolio import worker  # noqa: PLC0415 - without the others' libraries

        return worker.main(chosen[1:])
    from portfolio import commands  # noqa: PLC0415 - takes a second and 150 MB

    return commands.main(chosen)


if __name__ == "__main__":
    os.umask(0o077)  # what is written holds people's names and amounts
    sys.exit(main())
