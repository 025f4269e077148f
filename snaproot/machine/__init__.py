"""What the machine is like that a root runs on, and whether snaproot can be trusted on it.

`refuse(look(...))` raises Refused for the first thing that keeps a running system from being
adopted; `refusals` yields them all and `findings` what is good to know besides, for `doctor`;
`broken` what has gone wrong with a machine that is adopted, `broken_pool` with its pool alone.
`look` reads, and changes nothing; the `Esp` in what it returns says where the ESP is, and
`mounted` gives its directory, whether it was mounted or not.
"""

from snaproot.machine.facts import Esp, Machine
from snaproot.machine.judged import broken, findings, refusals, refuse
from snaproot.machine.look import look, mounted
from snaproot.machine.pools import broken as broken_pool

__all__ = [
    "Esp",
    "Machine",
    "broken",
    "broken_pool",
    "findings",
    "look",
    "mounted",
    "refusals",
    "refuse",
]
