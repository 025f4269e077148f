"""Bugs planted in the library, or in what is ours, and what the self-test says of each.

`python -m tests.trust.bugs` prints that as JSON: in a process of its own, as a patch would be.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from snaproot.trust import selftest
from snaproot.trust.facts import Unverifiable
from tests.trust.private import PERSON

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse
    from sigstore.models import Bundle
    from sigstore.verify import Verifier

BELIEVED = "believed"


class Yes:
    """A key that any signature is by, and a certificate that is valid for ever."""

    def verify(self, *_: object) -> None:
        pass


def nothing(*_: object, **__: object) -> None:
    """Check nothing."""


def true(*_: object, **__: object) -> bool:
    return True


def broken(*_: object, **__: object) -> None:
    raise AttributeError("the library has changed")


def _unverified(_: object, bundle: "Bundle", __: object) -> tuple[str, bytes]:
    envelope = bundle._dsse_envelope
    assert envelope is not None
    return envelope._inner.payload_type, envelope._inner.payload


def _any_chain(verifier: "Verifier", *_: object) -> list["Certificate"]:
    return list(verifier._fulcio_certificate_chain)


def _stamped(time: datetime) -> object:
    from sigstore._internal.timestamp import TimestampSource, TimestampVerificationResult

    return TimestampVerificationResult(TimestampSource.TIMESTAMP_AUTHORITY, time)


def _any_stamp(_: object, response: "TimeStampResponse", __: object) -> object:
    return _stamped(response.tst_info.gen_time)


def _another_time(*_: object) -> list[object]:
    return [_stamped(selftest.SIGNED + timedelta(seconds=1))]


_VERIFIER, _OURS = "sigstore.verify.verifier", "snaproot.trust"

BUGS: Mapping[str, tuple[str, object]] = {
    "every artifact verifies": (f"{_VERIFIER}:Verifier.verify_artifact", nothing),
    "every attestation verifies": (f"{_VERIFIER}:Verifier.verify_dsse", _unverified),
    "every certificate will do": (f"{_VERIFIER}:Verifier._verify_common_signing_cert", nothing),
    "any chain will do": (f"{_VERIFIER}:Verifier._verify_chain_at_time", _any_chain),
    "ECDSA is always right": (f"{_VERIFIER}:cast", lambda *_: Yes()),
    "an envelope is always right": ("sigstore.dsse:_verify", nothing),
    "keys of logs are always right": ("sigstore._internal.trust:Key.verify", nothing),
    "promises of the CT log are skipped": (f"{_VERIFIER}:verify_sct", nothing),
    "log entries are skipped": ("sigstore.models:TransparencyLogEntry._verify", nothing),
    "inclusion is skipped": ("sigstore.models:verify_merkle_inclusion", nothing),
    "checkpoints are skipped": ("sigstore.models:verify_checkpoint", nothing),
    "promises of the log are skipped": (
        "sigstore.models:TransparencyLogEntry._verify_set",
        nothing,
    ),
    "entries are not compared": (f"{_VERIFIER}:_validate_hashedrekord_v002_entry_body", nothing),
    "entries of v1 are not": (f"{_VERIFIER}:_validate_hashedrekord_v001_entry_body", nothing),
    "attested entries are not": (
        f"{_VERIFIER}:_validate_hashedrekord_v002_dsse_entry_body",
        nothing,
    ),
    "attested entries of v1 are not": (f"{_VERIFIER}:_validate_dsse_v001_entry_body", nothing),
    "timestamps are not verified": (f"{_VERIFIER}:Verifier._verify_signed_timestamp", _any_stamp),
    "nothing is refused": (f"{_VERIFIER}:VerificationError", Warning),
    "times are others": (f"{_VERIFIER}:Verifier._establish_time", _another_time),
    "everything is refused": (f"{_VERIFIER}:verify_sct", broken),
    "a private name is gone": ("sigstore._internal.timestamp:TimestampSource", None),
    "a private property is gone": ("sigstore.models:Bundle.log_entry", None),
    "identities are not compared": (f"{_OURS}.plain:Signer.check", nothing),
    "windows hold everything": (f"{_OURS}.root:Window.holds", true),
    "subjects are not compared": (f"{_OURS}.statement:_require_subject", nothing),
    "nothing is revoked": (f"{_OURS}.revocation:check", lambda *_: []),
    "everybody is one person": (f"{_OURS}.certificate:_identity", lambda _: PERSON),
}
"""What is replaced, `module:name`, and with what."""


@contextmanager
def planted(where: str, instead: object) -> Iterator[None]:
    """Replace something, and put it back."""
    module, _, path = where.partition(":")
    *holders, name = path.split(".")
    holder: Any = import_module(module)
    for step in holders:
        holder = getattr(holder, step)
    before = vars(holder)[name]
    setattr(holder, name, instead)
    try:
        yield
    finally:
        setattr(holder, name, before)


def said(ask: Callable[[datetime], object]) -> str:
    """Return what was thought of the verifier: its reason for a refusal, with all that it says."""
    try:
        ask(datetime.now(UTC))
    except Unverifiable as error:
        return f"{error.reason}: {error}"
    return BELIEVED


def main() -> None:
    """Plant one after the other."""
    told = {"none": said(selftest.insist)}
    for bug, what in BUGS.items():
        with planted(*what):
            told[bug] = said(selftest.insist)
    json.dump(told | {"none any more": said(selftest.insist)}, sys.stdout)


if __name__ == "__main__":
    main()
