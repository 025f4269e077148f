"""Verbs that build a target: upgrade, run, shell."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, DryRun, verb
from snaproot.cli.look import packages_table
from snaproot.errors import UsageError
from snaproot.output import Output, size

if TYPE_CHECKING:
    from snaproot.errors import NothingToDo
    from snaproot.packages import Plan
    from snaproot.staging import Staging
    from snaproot.state import Deployment
    from snaproot.system import System

Network = Annotated[
    bool, typer.Option("--network", help="Let it use the network; without, it has none.")
]
StageOnly = Annotated[
    bool, typer.Option("--stage-only", help="Do not make it the next boot; activate does.")
]
Retry = Annotated[
    bool, typer.Option("--retry", help="Try again what was reverted on a verdict before.")
]
Reboot = Annotated[bool, typer.Option("--reboot", help="Reboot into it when it is ready.")]
RebootAt = Annotated[
    str | None,
    typer.Option(
        "--reboot",
        metavar="[=TIME]",
        help="Reboot into it when it is ready, or at TIME: HH:MM or +MINUTES (shutdown(8)).",
    ),
]
InBackground = Annotated[
    bool,
    typer.Option("--background", help="Do what [background] says, as snaproot-upgrade.timer does."),
]

_NOW = "now"
_SHELL = (
    *("/bin/sh", "-c"),
    # Debian's prompt shows this word, so that nobody takes the copy for the running system.
    'export debian_chroot=target; exec "$(command -v bash || command -v sh)"',
)


@verb(
    "snaproot upgrade",
    "snaproot upgrade -n",
    "snaproot upgrade -y --reboot",
    "snaproot upgrade -y --reboot=04:00",
    "snaproot upgrade --stage-only",
    alias="update",
    bare={"--reboot": _NOW},
)
def upgrade(
    call: Call,
    *,
    stage_only: StageOnly = False,
    reboot: RebootAt = None,
    retry: Retry = False,
    background: InBackground = False,
    dry_run: DryRun = False,
) -> None:
    """Upgrade all packages, in a new boot environment. Also: update.

    The running system is not touched: the upgrade goes into a copy, which the next boot tries.
    A second upgrade before that boot builds on the first. If [trust] source is set, the policy is
    fetched from there first, and what has been revoked. Ends 77 if everything is up to date, 3 for
    the very versions that a trial before has failed with, and for an archive that is not signed,
    has expired, or that the policy does not let in. In the background nobody is asked, and 77 also
    means that something is pending, or that the same update was reverted or failed.
    """
    from snaproot.backoff import Notebook
    from snaproot.staging import Staging
    from snaproot.state import Kind

    if background:
        _refuse_beside_background(stage_only or retry or dry_run or reboot is not None)
        _in_background(call)
        return
    _check_reboot(call, stage_only=stage_only, reboot=reboot)
    with _opened(call, "upgrade") as system:
        staging = Staging(system, retry=retry)
        plan = _planned(call, system, staging, arm=not stage_only, dry_run=dry_run)
        if dry_run:
            _show(call.output, plan=plan)
            return
        _print_plan(call.output, plan)
        staging.check_room(plan)
        call.agreed("Build this in a new boot environment?")
        with call.output.progress() as report, _kept(system):
            staging.download(report)
            build = staging.upgrade(report)
            made = system.transaction.stage(Kind.UPGRADE, build, arm=not stage_only)
        Notebook(system.records.directory).forget_failure()
        _show(call.output, plan=plan, made=made, system=system)
    _reboot_at(call.output, reboot, made.target)


@verb(
    "snaproot run --network apt-get install -y nginx",
    "snaproot run sh -c 'sed -i s/a/b/ /etc/thing.conf && dpkg --audit'",
    verbatim=True,
)
def run(
    call: Call,
    command: Annotated[list[str], typer.Argument(metavar="CMD...", help="What to run.")],
    *,
    network: Network = False,
    stage_only: StageOnly = False,
    reboot: Reboot = False,
    retry: Retry = False,
) -> None:
    """Run a command in a new boot environment, and arm that.

    snaproot's own options stand before CMD. If CMD fails, the new boot environment is discarded
    and snaproot ends 1; with --json the object has CMD's own status. Nobody verifies what CMD
    changes: list marks it, and a policy may refuse it or take its network away (3).
    """
    from snaproot.staging import Staging
    from snaproot.state import Kind

    _check_reboot(call, stage_only=stage_only, reboot=reboot)
    with _opened(call, f"run {command[0]}") as system:
        staging = Staging(system, retry=retry)
        build = staging.command(command, network=network, line=call.output.aside)
        _check_room(system, staging, arm=not stage_only)
        with _kept(system):
            made = system.transaction.stage(Kind.RUN, build, arm=not stage_only)
        _show(call.output, made=made, system=system)
    _reboot_if(reboot)


@verb("snaproot shell", "snaproot shell --network")
def shell(
    call: Call,
    network: Network = False,
    stage_only: StageOnly = False,
    reboot: Reboot = False,
    retry: Retry = False,
) -> None:
    """Open a shell in a new boot environment, and arm that.

    Leave with `exit` to keep what you did, with `exit 1` to discard it. Nobody verifies what you
    change: list marks it, and a policy may refuse it or take the network away (3).
    """
    from snaproot.staging import Staging
    from snaproot.state import Kind

    _check_reboot(call, stage_only=stage_only, reboot=reboot)
    with _opened(call, "shell") as system:
        staging = Staging(system, retry=retry)
        build = staging.shell(_SHELL, network=network)
        _check_room(system, staging, arm=not stage_only)
        call.output.aside("A copy of the root. `exit` keeps what you do, `exit 1` discards it.")
        with _kept(system):
            made = system.transaction.stage(Kind.SHELL, build, arm=not stage_only)
        _show(call.output, made=made, system=system)
    _reboot_if(reboot)


@contextmanager
def _opened(call: Call, what: str) -> "Iterator[System]":
    """Lock a system that is adopted in full. Raises Refused while it is not."""
    from snaproot import adoption

    with call.locked(what) as system:
        refused = adoption.unfinished(system.top, system.records.load().base)
        if refused is not None:
            raise refused
        yield system


def _in_background(call: Call) -> None:
    """Upgrade as configured; where a window is configured, too, let the machine wait for it."""
    from snaproot.boot.reboots import Reboots, reboots_itself, target_of
    from snaproot.system import now

    with _opened(call, "upgrade --background") as system:
        nothing = _upgraded(call, system)
        target, settings = target_of(system), system.config.background
        waits = bool(target) and reboots_itself(system)
    if waits:
        call.output.notice(Reboots().in_window(settings, target, now()))
    if nothing is not None:
        raise nothing


def _upgraded(call: Call, system: "System") -> "NothingToDo | None":
    from snaproot.background import Background
    from snaproot.errors import NothingToDo

    with call.output.progress() as report, _kept(system):
        try:
            made = Background(system, report).upgrade()
        except NothingToDo as nothing:
            return nothing
    _show(call.output, plan=made.plan, made=made.deployment, system=system)
    return None


def _refuse_beside_background(other: bool) -> None:
    if other:
        raise UsageError(
            "--background does what is configured, and takes none of the other options; "
            "nothing was changed",
            hint="[background] in snaproot.toml says what it does",
        )


def _check_reboot(call: Call, *, stage_only: bool, reboot: bool | str | None) -> None:
    from snaproot.window import bad_time

    if isinstance(reboot, str) and (wanted := bad_time(reboot)):
        raise UsageError(
            f"--reboot={reboot}: a time {wanted}; nothing was changed",
            hint="snaproot upgrade --reboot=04:00",
        )
    if reboot and (stage_only or call.sysroot):
        what = "--stage-only" if stage_only else "--sysroot"
        raise UsageError(
            f"--reboot cannot go with {what}; nothing was changed", hint="leave one of them out"
        )


def _planned(
    call: Call, system: "System", staging: "Staging", *, arm: bool, dry_run: bool
) -> "Plan":
    from snaproot.renewing import renew

    _check_room(system, staging, arm=arm and not dry_run)
    with call.output.progress() as report:
        if not dry_run:
            renew(system, report)
        return staging.plan(report)


def _check_room(system: "System", staging: "Staging", *, arm: bool) -> None:
    """Refuse before anything is written; what a cut has left takes no room any more by then."""
    system.transaction.ready(arm=arm)
    staging.check_room()


@contextmanager
def _kept(system: "System") -> "Iterator[None]":
    """Let a failure say what is still true."""
    from snaproot.errors import CommandFailed

    try:
        yield
    except CommandFailed as error:
        base = system.records.load().base
        error.args = (f"{error}; its target was discarded, {base} is unchanged",)
        raise


def _show(
    output: Output,
    *,
    plan: "Plan | None" = None,
    made: "Deployment | None" = None,
    system: "System | None" = None,
) -> None:
    from snaproot.cli import shapes

    shape: dict[str, object] = {"plan": shapes.plan(plan)} if plan else {}
    if made and system:
        recorded = system.records.load().pending or made
        untouched = _not_applied(system, recorded.target)
        shape |= {"deployment": shapes.deployment(recorded), "not_applied": list(untouched)}
        output.result(shape, lambda: _print_outlook(output, recorded, system, untouched))
    elif plan:
        output.result(shape, lambda: _print_plan(output, plan))


def _print_plan(output: Output, plan: "Plan") -> None:
    if output.json:
        return
    output.table(packages_table(plan.changes))
    number = f"{len(plan.changes)} package{'s' * (len(plan.changes) != 1)}"
    disk = f"{size(abs(plan.disk))} {'less' if plan.disk < 0 else 'more'} on disk"
    output.say(f"{number}; {size(plan.download)} to download, {disk}.")


def _not_applied(system: "System", target: str) -> tuple[str, ...]:
    """Name what the target's copy of the shared areas had changed, for it is dropped."""
    found = {one.id: one.state_changed for one in system.filesystem.environments()}
    return found[target]


def _print_outlook(
    output: Output, made: "Deployment", system: "System", untouched: tuple[str, ...]
) -> None:
    from snaproot.outlook import Outlook
    from snaproot.wording import some

    if untouched:
        output.paragraph(
            f"Changed in a copy of what is shared, and not applied: {some(untouched)}."
        )
    loader, tries = system.bootloader.capability(), system.config.trial.tries
    for line in Outlook(made, loader, tries, system.running, system.reverts).lines():
        output.paragraph(line)


def _reboot_at(output: Output, time: str | None, target: str) -> None:
    """Reboot at once, or let systemd do it at a time: users see that, and can call it off."""
    if time is None or time == _NOW:
        _reboot_if(time is not None)
        return
    from snaproot.boot.reboots import Reboots

    Reboots().at(time, target)
    output.notice(f"the reboot is scheduled ({time}); to call it off: shutdown -c")


def _reboot_if(wanted: bool) -> None:
    if wanted:
        from snaproot.run import restart

        restart()
