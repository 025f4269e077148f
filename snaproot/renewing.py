"""Having delivered what is believed: when somebody asks for it, and before an upgrade is judged.

python-tuf is loaded where there is something to fetch alone.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from snaproot.errors import SnaprootError
from snaproot.packages import Progress, Report
from snaproot.system import System, now

if TYPE_CHECKING:
    from snaproot.trust.delivery import Delivery


def renew(system: System, report: Report) -> None:
    """Fetch what `[trust] source` has, if it is set: a revocation is to come before the upgrade.

    A failure is told, not raised: what was delivered before holds, unless it has expired.
    """
    if not system.config.trust.source:
        return
    from snaproot.trust.tufclient import STILL

    try:
        done = deliver(system, system.config.trust.source, report)
    except SnaprootError as error:
        said, hint = str(error).removesuffix(f"; {STILL}"), error.hint and f" ({error.hint})"
        system.announce(f"the policy could not be renewed: {said}{hint}")
        return
    for line in done.notes:
        system.announce(line)


def deliver(system: System, source: str, report: Report, *, root: Path | None = None) -> "Delivery":
    """Fetch from a directory or URL, and write down what is in force from then on.

    `root` is the file of a root: see `delivery.update`, for what it raises, too. UsageError for a
    source that is none. The caller holds the lock.
    """
    from snaproot.trust import believed, delivery, fetching, history
    from snaproot.trust.artifact import content
    from snaproot.trust.store import LIMIT

    place = fetching.source(source)
    given = None if root is None else content(root, LIMIT)
    check = believed.validator(believed.readable(system.trust), now())
    report(Progress(f"fetching the policy from {source}"))
    done = delivery.update(place, system.trust, check, root=given, now=now())
    history.note(system.trust, system.believed(), now())
    return done
