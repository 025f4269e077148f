"""Faults of DSSE envelopes, of the statements in them, and of how they are logged."""

from collections.abc import Mapping
from hashlib import sha256

from tests.trust.private import edits, keys
from tests.trust.private.authority import Leaf
from tests.trust.private.case import ARTIFACT, Case, Make, case, statement
from tests.trust.private.contents import IN_TOTO, Artifact, Content, Envelope
from tests.trust.private.edits import ENVELOPE, Edit, altered, change, put
from tests.trust.private.encoding import base64
from tests.trust.private.instance import Instance
from tests.trust.private.log import Entry

_OTHER = statement(b"another image\n")
_SIGNATURES = f"{ENVELOPE}/signatures"


def _edited(edit: Edit, version: int = 2) -> Make:
    return lambda it: case(it, statement(), rekor=version, edit=edit)


def _body(edit: Edit, version: int) -> Make:
    return lambda it: case(it, statement(), rekor=version, entry=Entry(body=altered(edit)))


def _signed(other: Envelope) -> Make:
    """Sign another envelope than is shown and logged."""
    return lambda it: case(it, statement(), signed=other.message)


def _holds(payload: bytes, kind: str = IN_TOTO) -> Make:
    return lambda it: case(it, Envelope(payload, kind))


def _entry_of(content: Content, version: int) -> Make:
    """Take the entry, honest in itself, of something else that the same certificate signed."""

    def make(it: Instance) -> Case:
        signer = it.issue(Leaf())
        other = it.sign(content, who=signer, rekor=version)[edits.MATERIAL]["tlogEntries"]
        return case(it, statement(), who=signer, rekor=version, edit=put(edits.ENTRIES, other))

    return make


def _logged_without_type(it: Instance) -> Case:
    """Log the hash of the payload, not that of payload and type."""
    digest = base64(sha256(statement().payload).digest())
    body = altered(put("spec/hashedRekordV002/data/digest", digest))
    return case(it, statement(), entry=Entry(body=body))


ENVELOPES: Mapping[str, Make] = {
    "dsse-payload-other": _signed(_OTHER),
    "dsse-type-other": _signed(Envelope(statement().payload, "text/plain")),
    "dsse-by-another-key": lambda it: case(it, statement(), key=keys.p256()),
    "dsse-payload-swapped": _edited(put(f"{ENVELOPE}/payload", base64(_OTHER.payload))),
    "dsse-payload-swapped-v1": _edited(put(f"{ENVELOPE}/payload", base64(_OTHER.payload)), 1),
    "dsse-type-swapped": _edited(put(f"{ENVELOPE}/payloadType", "text/plain")),
    "dsse-type-swapped-v1": _edited(put(f"{ENVELOPE}/payloadType", "text/plain"), 1),
    "dsse-signatures-none": _edited(put(_SIGNATURES, [])),
    "dsse-signatures-two": _edited(change(_SIGNATURES, lambda listed: listed * 2)),
    "dsse-signature-empty": _edited(put(f"{_SIGNATURES}/0/sig", "")),
    "dsse-signature-flipped": _edited(change(f"{_SIGNATURES}/0/sig", edits.flipped), 1),
    "dsse-entry-of-another": _entry_of(_OTHER, 2),
    "dsse-entry-of-another-v1": _entry_of(_OTHER, 1),
    "dsse-entry-of-another-signature": _entry_of(statement(), 2),
    "dsse-entry-of-another-signature-v1": _entry_of(statement(), 1),
    "dsse-entry-of-an-artifact-v1": _entry_of(Artifact(statement().message), 1),
    "dsse-entry-without-type": _logged_without_type,
    "dsse-entry-payload-other-v1": _body(put("spec/payloadHash/value", "0" * 64), 1),
    "dsse-entry-signatures-two-v1": _body(change("spec/signatures", lambda listed: listed * 2), 1),
    "dsse-entry-envelope-other-v1": _body(put("spec/envelopeHash/value", "0" * 64), 1),
    "dsse-type-unexpected": _holds(statement().payload, "text/plain"),
    "dsse-not-json": _holds(b"a statement"),
    "dsse-not-a-statement": _holds(b'{"subject": []}'),
    "dsse-subject-other": lambda it: case(it, _OTHER),
    "dsse-subject-none": lambda it: case(it, statement(subject=[])),
    "dsse-field-twice": _holds(b'{"_type": "more",' + statement(ARTIFACT).payload[1:]),
}
