"""What zpool(8) prints of pools in all conditions, and a program in its place that prints it.

As 2.3.9 printed it of real pools, their devices renamed; SUSPENDED and FAULTED_LEAF are reports'.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.health.asking import first_on_path, put

HEALTHY = """\
  pool: tank
 state: ONLINE
  scan: scrub repaired 0B in 00:00:02 with 0 errors on Wed Jan 25 19:03:31 2023
config:

\tNAME           STATE     READ WRITE CKSUM
\ttank           ONLINE       0     0     0
\t  mirror-0     ONLINE       0     0     0
\t    /dev/sda3  ONLINE       0     0     0
\t    /dev/sdb3  ONLINE       0     0     0
\tlogs\t
\t  /dev/sdc1    ONLINE       0     0     0
\tspares
\t  /dev/sdd     AVAIL   \n\

errors: No known data errors
"""
DEGRADED = """\
  pool: tank
 state: DEGRADED
status: One or more devices could not be opened.  Sufficient replicas exist for
\tthe pool to continue functioning in a degraded state.
action: Attach the missing device and online it using 'zpool online'.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-2Q
  scan: resilvered 18K in 00:00:00 with 0 errors on Tue Nov 24 15:52:08 2026
config:

\tNAME                      STATE     READ WRITE CKSUM
\ttank                      DEGRADED     0     0     0
\t  mirror-0                DEGRADED     0     0     0
\t    /dev/sda3             ONLINE       0     0     0
\t    13544729673726364122  UNAVAIL      0     0     0  was /dev/sdb3
\tlogs\t
\t  /dev/sdc1               ONLINE       0     0     0
\tspares
\t  /dev/sdd                AVAIL   \n\

errors: No known data errors
"""
FAULTED_LEAF = HEALTHY.replace(
    "/dev/sdb3  ONLINE       0     0     0",
    "/dev/sdb3  FAULTED      4   372     0  too many errors",
)
"""The pool is ONLINE all the same, as a list of FreeBSD's had it in 2024."""
ERRORS = HEALTHY.replace(
    "/dev/sda3  ONLINE       0     0     0", "/dev/sda3  ONLINE       0     0    24"
)
SUSPENDED = """\
  pool: tank
 state: SUSPENDED
status: One or more devices are faulted in response to IO failures.
action: Make sure the affected devices are connected, then run 'zpool clear'.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-HC
config:

\tNAME         STATE     READ WRITE CKSUM
\ttank         UNAVAIL      0     0     0  insufficient replicas
\t  /dev/sdb   ONLINE       0     0     0
\t  /dev/sdc   FAULTED      8   126     0  too many errors

errors: List of errors unavailable: pool I/O is currently suspended
"""
CLEAN = "errors: No known data errors\n"
DAMAGED = """\
errors: Permanent errors have been detected in the following files:

        /usr/share/doc/x y
        tank/ROOT/b1/etc:/passwd
        tank/ROOT/b1:<0x1659>
        <metadata>:<0x24>
"""
LATER = """\
errors: Permanent errors have been detected in the following files:

        /usr/share/doc/x y
        tank/ROOT/b1:/usr/share/doc/x y
        /etc/passwd
        tank/ROOT/b2:<0x1659>
        <metadata>:<0x24>
"""
"""The same blocks, in a clone as well, which runs now."""


def damaged(errors: str, table: str = HEALTHY) -> str:
    """Put another end to a table."""
    return table.replace(CLEAN, errors)


@contextmanager
def zpool(home: Path, said: str, health: str = "ONLINE") -> Iterator[None]:
    """Have a zpool(8) that says so; devices have the GUIDs 10, 11, and so on."""
    (home / "said").write_text(said)
    (home / "numbered").write_text(numbered(said))
    script = (
        f'#!/bin/sh\ncase "$*" in\n"list -H -o health tank") echo {health} ;;\n'
        f'"status -P -p -v tank") cat {home}/said ;;\n"status -g -p tank") cat {home}/numbered ;;\n'
        "*) echo \"cannot open '$2': no such pool\" >&2; exit 1 ;;\nesac\n"
    )
    put(home / "bin/zpool", script)
    with first_on_path(home / "bin"):
        yield


def numbered(said: str) -> str:
    """Replace the names in a table, as -g does."""
    lines, number = [], 10
    for line in said.splitlines():
        words = line.split()
        if line.startswith("\t") and len(words) >= 5 and words[2].isdecimal():
            lines.append(line.replace(words[0], str(number), 1))
            number += 1
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"
