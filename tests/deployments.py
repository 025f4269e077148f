"""Deployments as examples, one of each kind that matters."""

from snaproot.state import Deployment, Kind, Phase

BASE, TARGET, REPLACED, WORK, THIRD = "b0", "b2", "b1", "b3", "b9"
OURS, THEIRS, LAST, STRANGER = "d2", "d1", "d0", "d9"
ARMING_BOOT, FIRST_BOOT, SECOND_BOOT = "boot0", "boot1", "boot2"


def deployment(
    phase: Phase,
    id: str = OURS,
    target: str = TARGET,
    trial_boots: tuple[str, ...] = (),
    replaces: Deployment | None = None,
) -> Deployment:
    return Deployment(
        id=id,
        kind=Kind.UPGRADE,
        parent=BASE,
        base=BASE,
        target=target,
        created_target=True,
        phase=phase,
        boot_id=ARMING_BOOT,
        tries=2,
        trial_boots=trial_boots,
        replaces=replaces,
    )


OTHER = deployment(Phase.ARMED, THEIRS, REPLACED)
STAGING = deployment(Phase.STAGING, "d3", WORK)
