"""What an adoption does and what it means, in sentences. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from snaproot.adoption import sysimage
from snaproot.adoption.decisions import AreaPlan, How, Nested, Places, Policy
from snaproot.adoption.places import Layout, is_tool
from snaproot.adoption.roots import shown
from snaproot.adoption.shape import AdoptionPlan, SwapMove
from snaproot.bootloader import HOME

_MIB = 1 << 20
_TABLE = ("areas by path, no subvolume for /", "areas by dataset, no line for /")


def findings(layout: Layout, places: Places, swap: Sequence[SwapMove]) -> Iterable[str]:
    """Say what doctor has to say later, too."""
    survey, root = layout.survey, layout.root.subvolume.path
    if survey.devices > 1:
        yield (
            f"this Btrfs spans {survey.devices} devices: the boot loader and the initramfs have to "
            "find them all, and the default subvolume is one for all of them"
        )
    if root == "":
        yield (
            "the root is the top level: a snapshot of it is kept as the original; the top level "
            "itself stays as it is, and is never booted by snaproot"
        )
    yield from (beside(tool) for tool in survey.foreign)
    yield from _findings_of_boot(layout)
    yield from (_finding_of(move) for move in swap)
    yield from _findings_of_places(places)


def beside(tool: str) -> str:
    """Say what becomes of another tool for snapshots."""
    return f"{tool}: it is left as it is; use one tool for rollbacks"


def _findings_of_boot(layout: Layout) -> Iterable[str]:
    if any(entry.file.rstrip("/") == "/boot" for entry in layout.entries):
        yield (
            "/boot is a filesystem of its own: its content is copied into the boot environment; "
            "booting that awaits a later release, until then the machine boots the original"
        )
    for name in () if layout.survey.esp else layout.survey.loader_names:
        yield (
            f"{name} names the original's subvolume: until the boot loader is set up, the machine "
            "boots the original whatever the default subvolume is"
        )
    if not layout.survey.kernel:
        yield "no kernel with its modules was found: the adopted boot environment cannot boot"


def _finding_of(move: SwapMove) -> str:
    return (
        f"the swap file {move.path} is made anew as {move.home}: hibernation into it has to be "
        "set up again"
    )


def _findings_of_places(places: Places) -> Iterable[str]:
    for nested in places.nested:
        if nested.policy is Policy.LEFT and not is_tool(nested.subvolume):
            yield f"{nested.subvolume} is not carried over: it stays with the original"
    opt = next((plan for plan in places.areas if plan.area.mount == "/opt"), None)
    if opt is not None:
        yield "/opt is a subvolume of its own: it stays one, and never goes back with a root"


def steps(made: AdoptionPlan) -> Iterator[str]:
    """Say what is done, in order."""
    root = shown(made.root)
    if made.live:
        yield f"Declare {root} as the boot environment {made.original}."
        yield from _loader_steps(made)
    if made.writable:
        yield f"Mark {root} as writable: it stays as it is, and nothing is made of it yet."
        return
    name = "a boot environment" if made.live else f"the boot environment {made.id}"
    made_as = "Clone" if made.pool else "Snapshot"
    yield f"{made_as} {root} as {name}; {root} itself stays untouched."
    if made.root == "" and not made.live:
        yield f"Keep a second snapshot of the top level as the boot environment {made.original}."
    yield f"Make its /etc a {'dataset' if made.pool else 'subvolume'} of its own."
    if not made.live:
        yield from _area_steps(made)
    if made.boot:
        yield f"Copy {made.boot} into its /boot."
    moved = [link.path for link in made.links if link.exists]
    if moved:
        yield f"Move package state to {sysimage.PLACE}, with links: {', '.join(moved)}."
    yield from (f"Write {setting.path}." for setting in made.settings)
    yield from (
        f"Make the swap file {move.home} anew, {move.size // _MIB} MiB." for move in made.swap
    )
    yield f"Write its /etc/fstab: {_TABLE[made.pool != '']}, every other line kept."
    yield from (f"Mask {unit}: it would write to a sealed root." for unit in made.masked)
    yield from _last_steps(made)


def _last_steps(made: AdoptionPlan) -> Iterator[str]:
    if made.live:
        yield "Seal it, and let the next boot try it: the original stays what the machine boots."
        yield "Let it use the original's own directories for what is shared, until it is proven."
        later = "Once it is proven, at the next boot"
        yield from (f"{later}: {step[0].lower()}{step[1:]}" for step in _area_steps(made))
        return
    yield f"Seal {made.id}, and declare {made.original} ({shown(made.root)}) as the original."
    if not made.esp:
        yield f"Make {made.id} {_pointer(made.pool)}{'' if made.bootmenu else ', last'}."
        yield from _BOOTMENU if made.bootmenu else ()
        return
    yield f"Make {made.id} {_pointer(made.pool)}."
    yield from _loader_steps(made)


def _area_steps(made: AdoptionPlan) -> Iterator[str]:
    step = partial(_area_copied, made.pool) if made.pool else _area_step
    yield from (step(plan) for plan in made.areas)
    yield from (_nested_step(n) for n in made.nested if n.policy is not Policy.AREA)


def remaining(made: AdoptionPlan, unfinished: str) -> Iterator[str]:
    """Say what an interrupted adoption still does, in order."""
    if unfinished:
        yield f"Finish an interrupted adoption: make {unfinished} {_pointer(made.pool)}."
    if made.esp:
        yield from _loader_steps(made)
    if made.bootmenu:
        yield from _BOOTMENU


_BOOTMENU = ("Tell ZFSBootMenu how the base is booted, by properties of its dataset (untested).",)


def _loader_steps(made: AdoptionPlan) -> Iterator[str]:
    good = "the original" if made.live else "the base"
    yield f"Write the loader's home, {made.esp}/{HOME}: {good} is its good entry."
    yield "Make the grub.cfg that GRUB reads first hand over to it, last."


def _area_step(plan: AreaPlan) -> str:
    area = plan.area
    match plan.how:
        case How.CARVED:
            return f"Carve {area.mount} out of a snapshot as {area.subvolume}."
        case How.SNAPSHOT:
            return f"Snapshot {plan.source} as {area.subvolume}, for {area.mount}."
        case How.EMPTY:
            return f"Make {area.subvolume}, empty, for {area.mount}."
        case How.STAYS:
            return f"Declare {area.subvolume}, which stays where it is, for {area.mount}."


def _area_copied(pool: str, plan: AreaPlan) -> str:
    """Say how an area is made on ZFS, where a clone would keep the original for ever."""
    area = plan.area
    name = area.subvolume.replace("@", f"{pool}/", 1)
    match plan.how:
        case How.CARVED | How.SNAPSHOT:
            return f"Copy {area.mount} into the dataset {name}."
        case How.EMPTY:
            return f"Make the dataset {name}, empty, for {area.mount}."
        case How.STAYS:
            return f"Declare {name}, which stays where it is, for {area.mount}."


def _pointer(pool: str) -> str:
    return f"bootfs of {pool}" if pool else "the default subvolume"


def _nested_step(nested: Nested) -> str:
    if nested.policy is Policy.REATTACHED:
        return f"Snapshot the nested {nested.subvolume} into its place at {nested.path}."
    return f"The nested {nested.subvolume} stays with the original only."
