"""What the units start: `python -m snaproot.boot VERB`. No typer here: every boot pays for it."""

import sys

from snaproot.errors import ExitCode, SnaprootError


def main() -> int:
    """Run one verb for systemd; an error is one line with a priority (sd-daemon(3))."""
    from snaproot.boot import service

    verb = service.VERBS.get(" ".join(sys.argv[1:]))
    if verb is None:
        sys.stderr.write(f"<3>snaproot: one of {', '.join(service.VERBS)} is needed\n")
        return ExitCode.USAGE
    try:
        return verb(_tell)
    except SnaprootError as error:
        _tell(f"{error}", priority=3)
        if error.hint:
            _tell(f"hint: {error.hint}", priority=3)
        return error.exit_code


def _tell(line: str, priority: int = 5) -> None:
    sys.stderr.write(f"<{priority}>snaproot: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
