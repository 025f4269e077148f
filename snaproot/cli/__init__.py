"""The command line. Importing the groups of verbs is what adds them, in the order of the help."""

from snaproot.cli import look, adopt, stage, choose, keep, check, health, trust, leave  # noqa: F401, I001 - see above
from snaproot.cli.app import app

__all__ = ["app"]
