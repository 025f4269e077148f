"""Verbs about whom to believe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, grouped, verb
from snaproot.errors import ExitCode, NotAdopted, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snaproot.system import System
    from snaproot.trust.believed import Believed
    from snaproot.trust.delivery import Delivery
    from snaproot.trust.judging import Given
    from snaproot.trust.policy import Policy

grouped(
    "trust",
    "Ask who signed something, and whether to believe them.",
    "snaproot trust show",
    "snaproot trust explain root.img",
)


@verb(
    "snaproot trust verify root.img --bundle root.img.sigstore.json \\",
    "    --identity release@example.org --issuer https://accounts.example.org \\",
    "    --trusted-root trusted_root.json",
    group="trust",
)
def verify(
    call: Call,
    artifact: Annotated[str, typer.Argument(metavar="FILE|sha256:HEX", help="What was signed.")],
    *,
    bundle: Annotated[Path, typer.Option(help="The Sigstore bundle.", metavar="FILE")],
    identity: Annotated[
        str, typer.Option(help="Who has to have signed: the whole e-mail address or URI.")
    ],
    issuer: Annotated[str, typer.Option(help="Who has to have known them.", metavar="URL")],
    trusted_root: Annotated[
        Path, typer.Option(help="The trusted_root.json to believe.", metavar="FILE")
    ],
) -> None:
    """Verify one signature, without any policy and without a network.

    Ends 0 if it is good, 3 if it is not, 1 if that cannot be told: a file is missing or damaged, or
    the clock is wrong.
    """
    from snaproot.cli import trustshapes
    from snaproot.system import now
    from snaproot.trust import plain, selftest

    digest = _digest(call, artifact)
    selftest.insist(now())
    facts = plain.verify(digest, bundle, trusted_root, plain.Signer(identity, issuer), now())
    call.output.result(
        trustshapes.facts(facts), lambda: trustshapes.print_facts(call.output, artifact, facts)
    )


@verb("snaproot trust show", "snaproot trust show --json", group="trust")
def show(call: Call) -> None:
    """Show what is believed: the policy in force, its keys, and what is revoked."""
    from snaproot.cli import trustbelieved
    from snaproot.system import now

    found = _believed(call)
    root = trustbelieved.root(found.trusted_root)
    shape = trustbelieved.shape(found, root)
    call.output.result(shape, lambda: trustbelieved.show(call.output, found, root, now()))


@verb("snaproot trust lint", "snaproot trust lint policy.toml", group="trust")
def lint(
    call: Call,
    policy: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A policy; else the one in force.")
    ] = None,
) -> ExitCode | None:
    """Say what a policy may mean and had better not. Ends 3 for an error, not for a warning."""
    from snaproot.cli import trustshapes
    from snaproot.system import now
    from snaproot.trust import believed, policylint
    from snaproot.trust.policylint import Weight

    if policy is not None:
        found = policylint.lint(_policy(policy), now())
    else:
        found = believed.lint(_believed(call), now())
    shape = {"remarks": [trustshapes.remark(one) for one in found]}
    call.output.result(shape, lambda: trustshapes.print_remarks(call.output, found))
    return ExitCode.REFUSED if any(one.weight is Weight.ERROR for one in found) else None


@verb(
    "snaproot trust explain root.img",
    "snaproot trust explain root.img --bundle root.img.sigstore.json --bundle rebuilt.json",
    group="trust",
)
def explain(
    call: Call,
    artifact: Annotated[str, typer.Argument(metavar="FILE|sha256:HEX", help="What was signed.")],
    bundle: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A Sigstore bundle; else those named like the artifact."),
    ] = None,
) -> ExitCode | None:
    """Say whether the policy accepts an artifact, and which rule each signature fails.

    Ends 0 if it is accepted, 3 if not, 1 if that cannot be told. Nothing is changed.
    """
    from snaproot.cli import trustshapes
    from snaproot.system import now
    from snaproot.trust import judging

    found = _believed(call)
    digest = _digest(call, artifact)
    judged = judging.judge(found, digest, _given(artifact, bundle or []), now())
    shape = trustshapes.judgement(digest, judged)
    call.output.result(shape, lambda: trustshapes.explain(call.output, artifact, judged))
    return None if judged.decision.accepted else ExitCode.REFUSED


@verb(
    "snaproot trust update",
    "snaproot trust update /media/usb/trust --root 1.root.json",
    "snaproot trust update https://updates.example.org/trust",
    group="trust",
)
def update(
    call: Call,
    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="A directory or URL; else [trust] source.")
    ] = "",
    root: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The TUF root to pin, from somebody whom you trust."),
    ] = None,
) -> ExitCode | None:
    """Fetch policy, trusted root and revocations, as a pinned TUF root vouches for them.

    Ends 77 if nothing is newer. What is in place stays in place if anything is refused.
    """
    from snaproot.errors import NothingToDo

    with call.locked("trust update") as system:
        delivered = _delivered(call, system, source, root)
    for line in delivered.notes:
        call.output.notice(line)
    if not delivered.changed:
        raise NothingToDo(f"version {delivered.after.versions['policy']} of the policy is current")
    shape = {"changed": list(delivered.changed), "versions": dict(delivered.after.versions)}
    said = f"{', '.join(delivered.changed)}: taken, and in force from now on."
    call.output.result(shape, lambda: call.output.paragraph(said))
    return None


@verb("snaproot trust audit", "snaproot trust audit --json", group="trust")
def audit(call: Call) -> ExitCode | None:
    """Name the boot environments that rest on something revoked since. Ends 3 if there are any."""
    from snaproot.cli import trustshapes
    from snaproot.trust import audit as audits

    with call.system() as system:
        revocations = system.believed().revocations
        environments = system.filesystem.environments()
    found = audits.audit(revocations, environments) if revocations else []
    shape = {
        "list": revocations.version if revocations else None,
        "affected": [trustshapes.affected(one) for one in found],
    }
    call.output.result(
        shape, lambda: trustshapes.print_audit(call.output, revocations, found, len(environments))
    )
    return ExitCode.REFUSED if found else None


@verb("snaproot trust selftest", group="trust")
def selftest(call: Call) -> ExitCode | None:
    """Ask the verifier questions with known answers. Ends 3 if one of them is wrong.

    It asks itself before each verification, too, and then verifies nothing.
    """
    from snaproot.cli import trustshapes
    from snaproot.system import now
    from snaproot.trust import selftest as questions

    answers = questions.run(now())
    shape = {"answers": [trustshapes.answer(one) for one in answers]}
    call.output.result(shape, lambda: trustshapes.print_answers(call.output, answers))
    return None if all(one.ok for one in answers) else ExitCode.REFUSED


def _believed(call: Call) -> "Believed":
    """Read what is believed; where there is no system of snaproot's, without its floors."""
    from snaproot.trust import believed

    try:
        with call.system() as system:
            return system.believed()
    except NotAdopted:
        return believed.load(None)


def _policy(path: Path) -> "Policy":
    from snaproot.trust import policyfile, policyschema
    from snaproot.trust.artifact import content

    return policyfile.parse(content(path, policyschema.LARGEST), path)


def _given(artifact: str, named: "Sequence[Path]") -> "list[Given]":
    """Read the bundles: those named, else those whose name begins with the artifact's."""
    from snaproot.trust.artifact import beside, content
    from snaproot.trust.judging import Given
    from snaproot.trust.sigstore.reading import LARGEST

    paths = named or beside(artifact)
    return [Given(str(path), content(path, LARGEST)) for path in paths]


def _delivered(call: Call, system: "System", source: str, root: Path | None) -> "Delivery":
    from snaproot.renewing import deliver

    place = source or system.config.trust.source
    if not place:
        raise UsageError(
            "there is no source to fetch from; nothing was changed",
            hint='name it, or set [trust] source = "…" in /etc/snaproot/snaproot.toml',
        )
    with call.output.progress() as report:
        return deliver(system, place, report, root=root)


def _digest(call: Call, artifact: str) -> str:
    from snaproot.packages import Progress
    from snaproot.trust import artifact as artifacts

    if not artifacts.takes_long(artifact):
        return artifacts.digest(artifact, lambda _: None)
    with call.output.progress() as report:
        return artifacts.digest(artifact, lambda f: report(Progress(f"hashing {artifact}", f)))
