"""Verbs about whom to believe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, grouped, verb

if TYPE_CHECKING:
    from snaproot.output import Output
    from snaproot.trust.facts import Facts

grouped(
    "trust",
    "Ask who signed something, and whether to believe them.",
    "snaproot trust verify root.img --bundle root.img.sigstore.json …",
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
    from snaproot.system import now
    from snaproot.trust import plain

    digest = _digest(call, artifact)
    facts = plain.verify(digest, bundle, trusted_root, plain.Signer(identity, issuer), now())
    call.output.result(_shape(facts), lambda: _print(call.output, artifact, facts))


def _digest(call: Call, artifact: str) -> str:
    from snaproot.packages import Progress
    from snaproot.trust import artifact as artifacts

    if not artifacts.takes_long(artifact):
        return artifacts.digest(artifact, lambda _: None)
    with call.output.progress() as report:
        return artifacts.digest(artifact, lambda f: report(Progress(f"hashing {artifact}", f)))


def _shape(facts: "Facts") -> dict[str, object]:
    return {
        "digest": f"sha256:{facts.digest}",
        "identity": facts.identity,
        "issuer": facts.issuer,
        "claims": dict(facts.claims),
        "times": [
            {"time": one.time.isoformat(), "clock": str(one.clock), "by": one.by}
            for one in facts.times
        ],
        "certificate": facts.keys.certificate,
        "authorities": list(facts.keys.authorities),
        "ct_key": facts.keys.ct_key,
        "log_key": facts.keys.log_key,
        "predicate": facts.predicate,
        "attestation": facts.attestation or None,
    }


def _print(output: "Output", artifact: str, facts: "Facts") -> None:
    what = f"an attestation ({facts.predicate}) about it" if facts.predicate else "it"
    output.paragraph(
        f"{artifact}: good. {facts.identity}, as {facts.issuer} knows them, signed {what} "
        f"by {facts.signed:%Y-%m-%d %H:%M:%S} UTC."
    )
