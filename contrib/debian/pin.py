"""Renew requirements.txt: the newest wheels that pyproject.toml allows and that fit every suite.

`python3 -m contrib.debian.pin`, from the top of the repository.
"""

import json
import sys
import tempfile
import tomllib
from collections import defaultdict

from contrib.debian.build import KNOWN, PINS, SOURCE, BuildError, Suite, run

# A C extension bound to the system's libbtrfsutil: the distribution builds it to match.
DISTRIBUTION = ("btrfsutil",)
HEAD = """\
# Made by contrib/debian/pin.py: what the packages carry, one set for every suite's Python.
"""


def wanted() -> list[str]:
    """Return the project's own requirements, less what the distribution provides."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    return [word for word in project["dependencies"] if not word.startswith(DISTRIBUTION)]


def resolved(suite: Suite) -> dict[str, set[str]]:
    """Map each `name==version` that pip would install on the suite to its wheel's SHA-256."""
    with tempfile.TemporaryDirectory() as nowhere:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        report = ["--ignore-installed", "--target", nowhere, "--report", "-"]
        found = json.loads(run([*pip, *report, *suite.pip_options(), *wanted()]))
    return {
        f"{entry['metadata']['name'].lower().replace('_', '-')}=={entry['metadata']['version']}": {
            entry["download_info"]["archive_info"]["hashes"]["sha256"]
        }
        for entry in found["install"]
    }


def main() -> int:
    """Write the pins that pip resolves on every suite, if they agree."""
    pins: dict[str, set[str]] = defaultdict(set)
    try:
        for suite in KNOWN.values():
            for pin, hashes in resolved(suite).items():
                pins[pin] |= hashes
    except BuildError as error:
        sys.stderr.write(f"pin.py: {error}\n")
        return 1
    names = [pin.partition("==")[0] for pin in pins]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        sys.stderr.write(f"pin.py: the suites disagree on {', '.join(twice)}\n")
        return 1
    PINS.write_text(HEAD + "".join(rendered(pin, pins[pin]) for pin in sorted(pins)))
    return 0


def rendered(pin: str, hashes: set[str]) -> str:
    """Render one pin as pip's requirements file format has it."""
    return " \\\n".join([pin, *(f"    --hash=sha256:{value}" for value in sorted(hashes))]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
