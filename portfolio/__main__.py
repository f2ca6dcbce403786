"""Many clients at once: python -m portfolio --help. A worker loads pandas when a file comes."""

import gc
import os
import sys
from typing import Final

#: Between two looks for circles. What is imported stays: with Python's 700 to look took a tenth of
#: a command's start.
_NEW_OBJECTS: Final = 50_000


def main(arguments: list[str] | None = None) -> int:
    """Run a worker or one command, and return its exit code."""
    chosen = sys.argv[1:] if arguments is None else arguments
    if chosen[:1] == ["worker"]:
        from portfolio import worker  # noqa: PLC0415 - without the others' libraries

        return worker.main(chosen[1:])
    gc.set_threshold(_NEW_OBJECTS)
    from portfolio import commands  # noqa: PLC0415 - takes a second and 150 MB

    return commands.main(chosen)


if __name__ == "__main__":
    os.umask(0o077)  # what is written holds people's names and amounts
    sys.exit(main())
