"""Whether the package may go: asked by its own prerm, on whatever root that runs."""

from snaproot.errors import ExitCode, NotAdopted
from snaproot.steps import Notice
from snaproot.system import has_left, is_adopted, top_level


def removal(tell: Notice) -> int:
    """Say 3 where this machine boots by what snaproot keeps, which nobody would look after."""
    try:
        with top_level(None) as top:
            adopted, left = is_adopted(top), has_left(top)
    except NotAdopted:
        return ExitCode.DONE
    if adopted:
        tell("this machine boots through snaproot; its package was not removed")
        tell("hint: snaproot deinit gives the machine back to the distribution's own boot setup")
        return ExitCode.REFUSED
    if left:
        tell("boot environments of snaproot's are left over, and only snaproot deletes them")
        tell("hint: install it again, and type snaproot deinit")
    return ExitCode.DONE
