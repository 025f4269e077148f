"""Run a verb of snaproot's units, and stop for ever at one call: a scenario pulls the plug there.

Copied into a guest's `/etc`. Words: verb, `before` or `after`, module, class, method, which call.
The verb `snaproot` is the command line; its own words follow.
"""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from itertools import count


def stopping(real: Callable[..., object], when: str, number: int) -> Callable[..., object]:
    """Wrap a method."""
    calls = count(1)

    def watched(*words: object, **named: object) -> object:
        here = next(calls) == number
        if here and when == "before":
            stop()
        found = real(*words, **named)
        if here and when == "after":
            stop()
        return found

    return watched


def stop() -> None:
    """Say so on the console, and stay."""
    sys.stderr.write("<5>testbed: stopped here\n")
    sys.stderr.flush()
    while True:
        time.sleep(60)


def main() -> int:
    sys.path.insert(0, "/usr/lib/snaproot/python")
    sys.path.append("/usr/lib/python3/dist-packages")
    verb, when, module, kind, method, number, *words = sys.argv[1:]
    owner = getattr(import_module(f"snaproot.{module}"), kind)
    setattr(owner, method, stopping(getattr(owner, method), when, int(number)))
    name = "__main__" if verb == "snaproot" else "boot.__main__"
    sys.argv = [sys.argv[0], *words] if verb == "snaproot" else [sys.argv[0], verb]
    status: int | None = import_module(f"snaproot.{name}").main()
    return status or 0


if __name__ == "__main__":
    sys.exit(main())
