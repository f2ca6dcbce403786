"""python -m evaluation_api: serves, or with a command does one thing and ends."""

import os
import sys
from io import TextIOWrapper

from evaluation_api.operations.commands import main

if __name__ == "__main__":
    os.umask(0o077)  # what is written holds people's names and amounts
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters
    sys.exit(main())
