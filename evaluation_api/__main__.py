"""python -m evaluation_api: serves, or with a command does one thing and ends."""

import sys

from evaluation_api.commands import main

if __name__ == "__main__":
    sys.exit(main())
