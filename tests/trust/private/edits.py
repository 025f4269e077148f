"""Changes to JSON that has been signed already, or will be, by the path of what changes."""

from base64 import b64decode
from collections.abc import Callable
from typing import Any

from tests.trust.private.encoding import Json, base64

Edit = Callable[[Json], object]

MATERIAL = "verificationMaterial"
CERTIFICATE = f"{MATERIAL}/certificate"
CHAIN = f"{MATERIAL}/x509CertificateChain"
ENTRIES = f"{MATERIAL}/tlogEntries"
ENTRY = f"{ENTRIES}/0"
PROOF = f"{ENTRY}/inclusionProof"
CHECKPOINT = f"{PROOF}/checkpoint/envelope"
PROMISE = f"{ENTRY}/inclusionPromise/signedEntryTimestamp"
STAMPS = f"{MATERIAL}/timestampVerificationData/rfc3161Timestamps"
STAMP = f"{STAMPS}/0/signedTimestamp"
SIGNATURE = "messageSignature/signature"
ENVELOPE = "dsseEnvelope"


def change(path: str, how: Callable[[Any], object]) -> Edit:
    """Put in the place of a value what `how` makes of it; None where there is none.

    A path is names and numbers with slashes between.
    """

    def edit(whole: Json) -> None:
        holder, last = _holder(whole, path)
        holder[last] = how(holder[last] if last in holder or isinstance(last, int) else None)

    return edit


def put(path: str, value: object) -> Edit:
    return change(path, lambda _: value)


def drop(path: str) -> Edit:
    def edit(whole: Json) -> None:
        holder, last = _holder(whole, path)
        del holder[last]

    return edit


def both(*edits: Edit) -> Edit:
    """Make one change after the other."""
    return lambda whole: [edit(whole) for edit in edits]


def altered(edit: Edit) -> Callable[[Json], Json]:
    """Turn a change into what an Entry wants for its body."""

    def alter(body: Json) -> Json:
        edit(body)
        return body

    return alter


def flipped(text: str) -> str:
    """Flip a bit in the last octet of base64."""
    octets = b64decode(text)
    return base64(octets[:-1] + bytes([octets[-1] ^ 1]))


def _holder(whole: Json, path: str) -> tuple[Any, str | int]:
    *way, last = (int(step) if step.isdigit() else step for step in path.split("/"))
    holder: Any = whole
    for step in way:
        holder = holder[step]
    return holder, last
