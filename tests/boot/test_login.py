"""What somebody who logs in, or asks for the status, is told of where they are."""

from dataclasses import replace

import pytest

from snaproot.boot.login import lines
from snaproot.bootloader import Capability
from snaproot.environment import Environment, Standing
from snaproot.overview import Overview
from snaproot.recovery import Decision, Do
from snaproot.state import LoaderView, Phase, Record
from tests.deployments import BASE, TARGET, THIRD, deployment

ENVIRONMENTS = [
    Environment(id=BASE, standing=Standing.PROVEN, sealed=True),
    Environment(id=THIRD, standing=Standing.PROVEN, sealed=True),
    Environment(id=TARGET, sealed=True),
    Environment(id="original", standing=Standing.ORIGINAL),
]
IDLE = Overview(
    environments=ENVIRONMENTS,
    booted=BASE,
    default=BASE,
    loader=LoaderView(counts=True, good=BASE),
    capability=Capability(counts=True, one_shot=True, summary="counts"),
    record=Record(base=BASE),
    trouble=None,
    next_step=Decision(Do.NOTHING, "nothing was interrupted"),
    at_work="",
)
ARMED = replace(
    IDLE,
    record=Record(base=BASE, pending=deployment(Phase.ARMED)),
    next_step=Decision(Do.REPORT, "armed"),
)
JUDGED = Decision(Do.JUDGE, "")
OLD = "its ZFS does not know zstd_compress"
GONE = f"{BASE} cannot be returned to: {OLD}"
BENEATH = [replace(one, beneath=OLD if one.id == BASE else "") for one in ENVIRONMENTS]
STRANDED = replace(IDLE, booted=THIRD, environments=BENEATH)
TRIED = f"{TARGET} is tried at the next boot. To drop it: snaproot abandon"
STAYS = f"{THIRD} is running, chosen by hand, to stay here: snaproot rollback."
NO_TRIAL = f"{TARGET} is running, chosen by hand, which is no trial; a reboot leaves it."
UNSEALED = (
    "original is running, chosen by hand, it cannot be the base, what is written there "
    "stays there; a reboot leaves it."
)
TRIAL = f"this is a trial of {TARGET}, not judged yet (snaproot status)."
MOVED = f"{BASE} is running, the default is {THIRD}. To stay here: snaproot rollback"


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (IDLE, []),
        (replace(IDLE, booted=None), []),
        (replace(IDLE, booted=THIRD), [STAYS]),
        (replace(IDLE, booted="original"), [UNSEALED]),
        (replace(IDLE, default=THIRD), [MOVED]),
        (STRANDED, [STAYS, f"{GONE}; snaproot rollback makes {THIRD} the base."]),
        (
            replace(ARMED, booted=TARGET, next_step=JUDGED, environments=BENEATH),
            [TRIAL, f"{GONE}; snaproot promote makes {TARGET} the base."],
        ),
        (ARMED, [TRIED]),
        (replace(ARMED, booted=THIRD), [STAYS, TRIED]),
        (replace(ARMED, booted=TARGET), [NO_TRIAL, TRIED]),
        (replace(ARMED, booted=TARGET, next_step=Decision(Do.JUDGE, "")), [TRIAL]),
        (replace(ARMED, booted=TARGET, next_step=Decision(Do.NOTE_TRIAL, "")), [TRIAL]),
    ],
)
def test_who_logs_in_learns_where_they_are(seen: Overview, said: list[str]) -> None:
    assert list(lines(seen)) == said
