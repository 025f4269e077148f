"""The part of `make bench` about `snaproot trust verify`: as fast as openssl(1), and small."""

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from integration.results import Section, ratio, seconds
from integration.stopwatch import GB, Effort, in_turns
from snaproot.run import run
from tests.trust import private

MB = 10**6
LEAST, MOST = 0.9, 120 * MB
"""Of the speed of `openssl dgst`, and bytes of memory."""

_MEASURED = """\
import sys
from pathlib import Path
from snaproot.cli.boundary import guarded
status = guarded(sys.argv[1:])
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
sys.exit(status)
"""


def verification(effort: Effort) -> Section:
    """Verify a large file, beside hashing it and beside verifying its digest alone."""
    with tempfile.TemporaryDirectory(dir=effort.directory) as name:
        path = Path(name) / "large.raw"
        named = _signed(path, GB)
        of_file = [*named[:2], str(path), *named[3:]]
        theirs, ours, bare = in_turns(
            effort.rounds,
            lambda: run(["openssl", "dgst", "-sha256", str(path)]),
            lambda: run(_command(of_file)),
            lambda: run(_command(named)),
        )
        memory = _memory(of_file)
    hashing = [longer - shorter for longer, shorter in zip(ours, bare, strict=True)]
    speed = median(theirs) / median(hashing)
    return Section(
        "`snaproot trust verify` of a file of 1 GB",
        ("", "time", "ratio"),
        (
            ("`openssl dgst -sha256`", seconds(theirs), "1.00"),
            ("`snaproot trust verify` of the file", seconds(ours), ratio(ours, theirs)),
            ("the same of its digest", seconds(bare), ratio(bare, theirs)),
            ("what hashing is of that", seconds(hashing), ratio(hashing, theirs)),
        ),
        (
            "openssl dgst -sha256 FILE",
            "snaproot trust verify FILE --bundle BUNDLE …",
            "snaproot trust verify sha256:… --bundle BUNDLE …",
        ),
        f"It hashes at {speed:.2f} of the speed of openssl, {LEAST} at least, and takes "
        f"{memory / MB:.0f} MB of memory, {MOST / MB:.0f} at most. The file is sparse.",
        tuple(_broken(speed, memory)),
    )


def _broken(speed: float, memory: int) -> list[str]:
    slow = [f"it hashes at {speed:.2f} of the speed of openssl"] if speed < LEAST else []
    large = [f"it takes {memory / MB:.0f} MB of memory"] if memory >= MOST else []
    return slow + large


def _signed(path: Path, size: int) -> list[str]:
    """Make a sparse file, and an attestation about it; return the words that verify its digest."""
    with path.open("xb") as file:
        file.truncate(size)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    subject = [{"name": path.name, "digest": {"sha256": digest}}]
    case = private.case(private.create(), private.statement(subject=subject))
    other = path.parent / "verified"
    other.mkdir()
    words = case.words(other)
    return [*words[:2], f"sha256:{digest}", *words[3:]]


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "snaproot", *words]


def _memory(words: Sequence[str]) -> int:
    """Return the most memory that it had at any time, in bytes, as the process itself knows it."""
    done = run([sys.executable, "-c", _MEASURED, *words])
    return int(done.output.split()[-1]) * 1024
