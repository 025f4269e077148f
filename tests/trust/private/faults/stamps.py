"""Faults of timestamps, and of the authorities that make them."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust.private import edits, keys
from tests.trust.private.case import Make, case
from tests.trust.private.certificates import DAY, MINUTE
from tests.trust.private.edits import STAMP, change, drop, put
from tests.trust.private.encoding import base64
from tests.trust.private.instance import Instance
from tests.trust.private.timestamps import DATA, SHA1, Stamp, Tsa, create

_ALL = f"{edits.MATERIAL}/timestampVerificationData"


def _stamped(*stamps: Stamp, version: int = 2) -> Make:
    return lambda it: case(it, rekor=version, stamps=stamps)


def _by(made: Callable[[Instance], Tsa]) -> Make:
    return lambda it: case(it, stamps=[Stamp(by=made(it))])


def _trusted(made: Callable[[datetime], Tsa]) -> Make:
    """Let the authority itself be unusual: it is the one that is trusted."""
    return lambda it: case(replace(it, tsa=made(it.now)))


def _octets(how: Callable[[bytes], bytes]) -> Make:
    return lambda it: case(it, edit=change(STAMP, lambda text: base64(how(b64decode(text)))))


def _lying(it: Instance) -> Tsa:
    return replace(it.tsa, signer=replace(it.tsa.signer, key=keys.p256()))


STAMPS: Mapping[str, Make] = {
    "stamp-none": _stamped(),
    "stamp-list-empty": lambda it: case(it, edit=put(edits.STAMPS, [])),
    "stamp-list-missing": lambda it: case(it, edit=drop(edits.STAMPS)),
    "stamp-null": lambda it: case(it, edit=put(_ALL, None)),
    "stamp-foreign": _by(lambda it: it.foreign().tsa),
    "stamp-key-other": _by(_lying),
    "stamp-over-other": _stamped(Stamp(over=b"another signature")),
    "stamp-refused": _stamped(Stamp(status=2)),
    "stamp-imprint-unknown": _stamped(Stamp(imprint=SHA1)),
    "stamp-holds-other": _stamped(Stamp(holds=DATA)),
    "stamp-content-type-other": _stamped(Stamp(content_type=DATA)),
    "stamp-digest-other": _stamped(Stamp(digest=bytes(32))),
    "stamp-certificate-other": _stamped(Stamp(certificate=bytes(32))),
    "stamp-after-certificate": _stamped(Stamp(late=10 * MINUTE)),
    "stamp-before-certificate": _stamped(Stamp(late=-2 * MINUTE)),
    "stamp-after-certificate-v1": _stamped(Stamp(late=10 * MINUTE), version=1),
    "stamp-second-after-certificate": _stamped(Stamp(), Stamp(late=10 * MINUTE)),
    "stamp-garbled": _octets(lambda _: b"a timestamp"),
    "stamp-empty": _octets(lambda _: b""),
    "stamp-truncated": _octets(lambda token: token[:-1]),
    "stamp-and-more": _octets(lambda token: token + b"\0"),
    "stamp-flipped": lambda it: case(it, edit=change(STAMP, edits.flipped)),
    "stamp-not-base64": lambda it: case(it, edit=put(STAMP, "*")),
    "stamps-twice": lambda it: case(it, edit=change(edits.STAMPS, lambda stamps: stamps * 2)),
    "stamps-33": _stamped(*(Stamp(serial=number) for number in range(33))),
    "tsa-expired": _trusted(lambda now: create(now, life=(-100 * DAY, -DAY))),
    "tsa-not-yet-valid": _trusted(lambda now: create(now, life=(DAY, 100 * DAY))),
    "tsa-without-purpose": _trusted(lambda now: create(now, purpose=None)),
    "tsa-for-another-purpose": _trusted(
        lambda now: create(now, purpose=ExtendedKeyUsageOID.CODE_SIGNING)
    ),
    "tsa-purpose-not-critical": _trusted(lambda now: create(now, critical=False)),
}
