"""Faults of log entries: whose log it was, what was logged, when, and with which promise."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.trust.private import edits, keys, log
from tests.trust.private.authority import Leaf
from tests.trust.private.case import Case, Make, case
from tests.trust.private.certificates import MINUTE
from tests.trust.private.contents import Artifact
from tests.trust.private.edits import ENTRY, PROMISE, Edit, altered, both, change, drop, put
from tests.trust.private.encoding import Json, base64
from tests.trust.private.instance import Instance
from tests.trust.private.keys import Key
from tests.trust.private.log import Entry, Log
from tests.trust.private.timestamps import Stamp

_SECOND, _FIRST = "spec/hashedRekordV002", "spec"
_TIME = f"{ENTRY}/integratedTime"
_OTHER = Artifact(b"another image\n")


def _by(version: int, made: Callable[[Instance], Log]) -> Make:
    return lambda it: case(it, rekor=version, entry=Entry(by=made(it)))


def _body(edit: Edit, version: int = 2) -> Make:
    return lambda it: case(it, rekor=version, entry=Entry(body=altered(edit)))


def _leaf(how: Callable[[bytes], bytes]) -> Make:
    return lambda it: case(it, entry=Entry(leaf=how))


def _edited(edit: Edit, version: int = 2) -> Make:
    return lambda it: case(it, rekor=version, edit=edit)


def _swapped(content: Artifact, version: int) -> Make:
    """Take the entry, honest in itself, of something else that the same certificate signed."""

    def make(it: Instance) -> Case:
        signer = it.issue(Leaf())
        other = it.sign(content, who=signer, rekor=version)["verificationMaterial"]
        return case(it, who=signer, rekor=version, edit=put(edits.ENTRIES, other["tlogEntries"]))

    return make


def _of_another_certificate(path: str, version: int) -> Make:
    """Log another certificate for the same key."""

    def make(it: Instance) -> Case:
        key: Key = keys.p256()
        signer, other = (it.issue(Leaf(key=lambda: key)) for _ in range(2))
        certificate = base64(other.der if version == 2 else other.pem)
        entry = Entry(body=altered(put(path, certificate)))
        return case(it, who=signer, rekor=version, entry=entry)

    return make


def _forged(it: Instance) -> Case:
    """Promise with another key than the log's."""

    def forge(bundle: Json) -> None:
        entry = bundle["verificationMaterial"]["tlogEntries"][0]
        liar = replace(it.logs[1], key=keys.p256())
        signed = log.promise(liar, entry, int(entry["integratedTime"]))
        entry["inclusionPromise"]["signedEntryTimestamp"] = base64(signed)

    return case(it, rekor=1, edit=forge)


def _of_another_entry(it: Instance) -> Case:
    other = it.sign(_OTHER, rekor=1)["verificationMaterial"]["tlogEntries"][0]
    return case(it, rekor=1, edit=put(f"{ENTRY}/inclusionPromise", other["inclusionPromise"]))


def _promised_in_second(it: Instance) -> Case:
    """Bring a time in a v2 entry, whose log promises none."""
    seconds = str(int(it.now.timestamp()))
    promised = put(f"{ENTRY}/inclusionPromise", {"signedEntryTimestamp": base64(b"promise")})
    return case(it, edit=both(put(_TIME, seconds), promised))


_LOGS: Mapping[str, Make] = {
    "log-foreign": _by(2, lambda it: it.foreign().logs[2]),
    "log-foreign-v1": _by(1, lambda it: it.foreign().logs[1]),
    "log-key-other": _by(2, lambda it: replace(it.logs[2], key=keys.ed25519())),
    "log-key-other-v1": _by(1, lambda it: replace(it.logs[1], key=keys.p256())),
    "log-id-unknown": _edited(put(f"{ENTRY}/logId/keyId", base64(bytes(32)))),
    "log-id-unknown-v1": _edited(put(f"{ENTRY}/logId/keyId", base64(bytes(32))), 1),
    "log-id-of-another": lambda it: case(
        it, edit=put(f"{ENTRY}/logId/keyId", base64(it.logs[1].id))
    ),
}
_BODIES: Mapping[str, Make] = {
    "entry-of-another-artifact": _swapped(_OTHER, 2),
    "entry-of-another-artifact-v1": _swapped(_OTHER, 1),
    "entry-of-another-signature-v1": _swapped(Artifact(b"the image\n"), 1),
    "entry-of-another-signature": _swapped(Artifact(b"the image\n"), 2),
    "entry-of-another-certificate": _of_another_certificate(
        f"{_SECOND}/signature/verifier/x509Certificate/rawBytes", 2
    ),
    "entry-of-another-certificate-v1": _of_another_certificate(
        f"{_FIRST}/signature/publicKey/content", 1
    ),
    "entry-digest-other": _body(put(f"{_SECOND}/data/digest", base64(bytes(32)))),
    "entry-digest-other-v1": _body(put(f"{_FIRST}/data/hash/value", "0" * 64), 1),
    "entry-algorithm-other": _body(put(f"{_SECOND}/data/algorithm", "SHA2_512")),
    "entry-details-other": _body(
        put(f"{_SECOND}/signature/verifier/keyDetails", "PKIX_ECDSA_P384_SHA_384")
    ),
    "entry-field-unknown": _body(put(f"{_SECOND}/more", "more")),
    "entry-field-twice": _leaf(lambda body: b'{"kind":"dsse",' + body[1:]),
    "entry-not-json": _leaf(lambda _: b"no JSON"),
    "entry-empty": _leaf(lambda _: b""),
    "entry-kind-unknown": _body(put("kind", "intoto")),
    "entry-kind-unknown-v1": _body(put("kind", "rpm"), 1),
    "entry-version-unknown": _body(put("apiVersion", "0.0.3")),
    "entry-version-unknown-v1": _body(put("apiVersion", "0.0.9"), 1),
    "entry-kind-mislabelled": _edited(put(f"{ENTRY}/kindVersion/kind", "dsse")),
    "entry-version-mislabelled": _edited(put(f"{ENTRY}/kindVersion/version", "0.0.1")),
    "entry-version-mislabelled-v1": _edited(put(f"{ENTRY}/kindVersion/version", "0.0.2"), 1),
    "entries-none": _edited(put(edits.ENTRIES, [])),
    "entries-two": _edited(change(edits.ENTRIES, lambda entries: entries * 2)),
    "entries-missing": _edited(drop(edits.ENTRIES)),
}
_PROMISES: Mapping[str, Make] = {
    "promise-forged": _forged,
    "promise-of-another-entry": _of_another_entry,
    "promise-missing": _edited(drop(f"{ENTRY}/inclusionPromise"), 1),
    "promise-empty": _edited(put(PROMISE, ""), 1),
    "promise-garbled": _edited(put(PROMISE, base64(b"promise")), 1),
    "promise-in-v2": _promised_in_second,
    "time-shifted": _edited(change(_TIME, lambda seconds: str(int(seconds) + 60)), 1),
    "time-missing": _edited(drop(_TIME), 1),
    "time-zero": _edited(put(_TIME, "0"), 1),
    "time-no-number": _edited(put(_TIME, "soon"), 1),
    "time-a-number": _edited(change(_TIME, int), 1),
    "time-after-certificate": lambda it: case(it, rekor=1, entry=Entry(late=10 * MINUTE)),
    "time-before-certificate": lambda it: case(it, rekor=1, entry=Entry(late=-2 * MINUTE)),
    "time-before-certificate-with-stamp": lambda it: case(
        it, rekor=1, entry=Entry(late=-2 * MINUTE), stamps=(Stamp(),)
    ),
    "index-other-v1": _edited(change(f"{ENTRY}/logIndex", lambda index: str(int(index) + 1)), 1),
    "index-other": _edited(change(f"{ENTRY}/logIndex", lambda index: str(int(index) + 1))),
    "index-negative": _edited(put(f"{ENTRY}/logIndex", "-1")),
    "index-too-large": _edited(put(f"{ENTRY}/logIndex", str(2**64))),
}
ENTRIES: Mapping[str, Make] = {**_LOGS, **_BODIES, **_PROMISES}
