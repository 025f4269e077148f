"""The verifier verified: questions with known answers, put to it before it is believed.

A library that was patched or is another release, a package that is half installed, a wrong clock:
each gives a wrong answer here before it gives one that matters. For what an answer rests on, there
is a question each with nothing else wrong, so that no check is lost unseen.

What is asked lies in known/. tests/trust/known.py made it, with a Sigstore whose keys are gone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from snaproot.trust import clock, plain, revocation, revocationlist
from snaproot.trust.artifact import content
from snaproot.trust.facts import Distrusted, Facts, Unverifiable
from snaproot.trust.plain import Signer
from snaproot.trust.sigstore import reading
from snaproot.trust.sigstore.reading import Instance

KNOWN = Path(__file__).with_name("known")
SIGNED = datetime(2026, 11, 1, tzinfo=UTC)
"""When all of them were signed: whatever time a clock may say, it is over."""

ACCEPTED = "accepted"
_DIGEST = "106baebeaf32eeb5ca77b025cd37f78c612166f33d7cc200996c7ea356020ff5"
_OTHER = "0" * 64
_ISSUER = "https://token.example"
_PERSON = Signer("release@example.org", _ISSUER)
_WORKFLOW = Signer("https://ci.example/org/image/.ci/build.yml@refs/tags/v1", _ISSUER)
_ANOTHER = Signer("other@example.org", _ISSUER)
_ELSEWHERE = Signer(_PERSON.identity, "https://other.example")


@dataclass(frozen=True, slots=True)
class Case:
    """One question, and the answer: the reason of a refusal. Files are named without `.json`."""

    name: str
    answer: str
    bundle: str = "signature"
    trusted_root: str = "root"
    digest: str = _DIGEST
    signer: Signer = _PERSON
    revocations: str = ""


CASES = (
    Case("a good signature", ACCEPTED),
    Case("a good attestation", ACCEPTED, "attestation", signer=_WORKFLOW),
    Case("a signature of another artifact", "signature.digest", digest=_OTHER),
    Case("a statement about another artifact", "statement.subject", "attestation", digest=_OTHER),
    Case("somebody else's signature", "policy.identity", signer=_ANOTHER),
    Case("another issuer's account", "policy.issuer", signer=_ELSEWHERE),
    Case("an artifact that is revoked", "revoked.digest", revocations="revocations"),
    Case("an authority whose time is over", "certificate.issuer-window", trusted_root="root-ended"),
    Case("a log with another key", "log.checkpoint-signature", trusted_root="root-other-log"),
    Case("a signature by another key", "signature.invalid", "signature-other-key"),
    Case("an attestation by another key", "signature.invalid", "attestation-other-key"),
    Case("a certificate by another key", "certificate.chain", "certificate-other-key"),
    Case("a certificate that had expired", "certificate.expired", "certificate-expired"),
    Case("a certificate that was not logged", "sct.signature", "sct-other-key"),
    Case("a timestamp by another key", "time.unverified", "stamp-other-key"),
    Case("a time that the log did not sign", "log.promise", "promise-forged"),
    Case("a proof that does not lead to the root", "log.proof", "proof-forged"),
    Case("an entry about another artifact", "log.entry", "entry-other"),
    Case("another artifact's entry in an older log", "log.entry", "entry-other-v1"),
    Case("an entry about another attestation", "log.entry", "attestation-entry-other"),
    Case("another attestation's entry in an older log", "log.entry", "attestation-entry-other-v1"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the verifier said: `got` is `accepted`, a reason, or what it ended with instead."""

    case: str
    expected: str
    got: str

    @property
    def ok(self) -> bool:
        """Tell whether it is right."""
        return self.got == self.expected


def run(now: datetime, known: Path = KNOWN) -> list[Answer]:
    """Ask everything. Never raises: whatever happens is an answer."""
    return list(_answers(now, known))


def insist(now: datetime, known: Path = KNOWN) -> None:
    """Ask until an answer is wrong.

    Raises Unverifiable: `selftest.failed`, and of a clock by which all would be wrong what it is.
    """
    clock.check(now)
    for answer in _answers(now, known):
        if not answer.ok:
            raise Unverifiable(
                "selftest.failed",
                f"asked about {answer.case}, the verifier says {answer.got} and not "
                f"{answer.expected}; nothing was verified",
                hint="install snaproot again; is the clock right? timedatectl(1)",
            )


def _answers(now: datetime, known: Path) -> Iterator[Answer]:
    @cache
    def instance(name: str) -> Instance:
        return reading.instance(_content(known, name), "the trusted root")

    for case in CASES:
        yield Answer(case.name, case.answer, _asked(case, now, known, instance))


def _asked(case: Case, now: datetime, known: Path, instance: Callable[[str], Instance]) -> str:
    try:
        facts = _facts(case, now, known, instance(case.trusted_root))
    except (Distrusted, Unverifiable) as error:
        return error.reason
    except Exception as error:  # noqa: BLE001 - a library that is broken raises anything
        return type(error).__name__
    return ACCEPTED if facts.signed == SIGNED else f"signed {facts.signed:%Y-%m-%d %H:%M:%S}"


def _facts(case: Case, now: datetime, known: Path, instance: Instance) -> Facts:
    """Verify as for anybody, by the same functions."""
    bundle = reading.bundle(_content(known, case.bundle), "the bundle")
    facts = plain.verify_read(case.digest, bundle, instance, case.signer, now)
    if case.revocations:
        listed = revocationlist.parse(_content(known, case.revocations))
        for revoked in revocation.check(listed, facts):
            raise revoked.error()
    return facts


def _content(known: Path, name: str) -> bytes:
    return content(known / f"{name}.json", reading.LARGEST)
