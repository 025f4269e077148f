"""The check by itself, without a policy: one bundle, one identity, one trusted root."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from snaproot.trust.artifact import content
from snaproot.trust.establishing import establish
from snaproot.trust.facts import Distrusted, Facts
from snaproot.trust.sigstore import reading
from snaproot.trust.sigstore.reading import Bundle, Instance


@dataclass(frozen=True, slots=True)
class Signer:
    """Who has to have signed: exactly this identity, as this issuer knows it."""

    identity: str
    issuer: str

    def check(self, facts: Facts) -> None:
        """Raise Distrusted if it was somebody else."""
        if facts.issuer != self.issuer:
            raise Distrusted(
                "policy.issuer",
                f"{facts.identity} signed it, known to {facts.issuer} and not to {self.issuer}",
            )
        if facts.identity != self.identity:
            raise Distrusted(
                "policy.identity", f"{facts.identity} signed it, and not {self.identity}"
            )


def verify(digest: str, bundle: Path, trusted_root: Path, signer: Signer, now: datetime) -> Facts:
    """Verify a bundle for the artifact that has this SHA-256, in hexadecimal.

    Raises Distrusted for no, Unverifiable for no answer.
    """
    root = reading.instance(content(trusted_root, reading.LARGEST), str(trusted_root))
    given = reading.bundle(content(bundle, reading.LARGEST), str(bundle))
    return verify_read(digest, given, root, signer, now)


def verify_read(
    digest: str, bundle: Bundle, instance: Instance, signer: Signer, now: datetime
) -> Facts:
    """Verify what was read already, from wherever. Raises as above."""
    facts = establish(bundle, instance, digest, now)
    signer.check(facts)
    return facts
