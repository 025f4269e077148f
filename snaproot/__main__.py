"""The `snaproot` command: `python -m snaproot` is the same."""

import sys

from snaproot.cli.boundary import guarded


def main() -> None:
    """Run the command line, and end with its exit code."""
    sys.exit(guarded(sys.argv[1:]))


if __name__ == "__main__":
    main()
