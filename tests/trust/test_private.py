"""The private Sigstore against sigstore's own verifier, and what that one lets through.

Elsewhere is relied on what stands in ALTHOUGH_WRONG: snaproot checks it itself.
"""

import ast
import json
import struct
import sys
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response
from sigstore.errors import MetadataError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy
from sigstore_models.trustroot.v1 import TrustedRoot as Written

from tests.trust import private
from tests.trust.private import der
from tests.trust.private.case import Case, case
from tests.trust.private.faults import FAULTS, MINOR
from tests.trust.private.identity import USER
from tests.trust.private.instance import create
from tests.trust.private.variants import HAPPY

_CHAIN = "failed to build timestamp certificate chain"
REFUSED = {
    f"{_CHAIN}: validation failed: candidates exhausted: signature does not match": """
        ca-foreign ca-key-other certificate-flipped""",
    f"{_CHAIN}: validation failed: candidates exhausted: all candidates exhausted": """
        ca-only-in-bundle""",
    f"{_CHAIN}: validation failed: candidates exhausted: cert is not valid at": """
        ca-issuer-expired ca-issuer-not-yet-valid""",
    f"{_CHAIN}: validation failed: candidates exhausted: invalid extension: 2.5.29.19": """
        ca-issuer-may-not-issue""",
    f"{_CHAIN}: validation failed: cert is not valid at validation time": """
        leaf-expired leaf-not-yet-valid
        time-after-certificate time-before-certificate time-before-certificate-with-stamp
        stamp-after-certificate stamp-before-certificate stamp-after-certificate-v1
        stamp-second-after-certificate""",
    f"{_CHAIN}: validation failed: EE keyUsage must not assert": "leaf-for-certificates",
    f"{_CHAIN}: validation failed: basicConstraints.cA": "leaf-is-ca certificate-of-the-issuer",
    f"{_CHAIN}: validation failed: invalid extension: 1.3.6.1": "leaf-critical-extension",
    f"{_CHAIN}: validation failed: invalid extension: 2.5.29.17": "identity-none",
    "Key usage is not of type": "leaf-without-digital-signature",
    "Extended usage does not contain": "leaf-without-code-signing",
    "ExtensionNotFound: ": "leaf-without-usage leaf-without-extended-usage",
    "TypeError: ": "leaf-rsa leaf-ed25519",
    "policies succeeded": """
        identity-other identity-longer identity-shorter identity-in-capitals identity-empty
        identity-of-a-host""",
    "OIDCIssuerV2 does not match": "issuer-other issuer-longer",
    "does not contain OIDCIssuerV2": "issuer-none issuer-only-old",
    "ValueError: error parsing asn1 value": """
        issuer-and-more issuer-not-der issuer-of-another-type
        certificate-and-more certificate-empty certificate-not-der base64-certificate
        root-ca-garbled""",
    "does not contain a signed certificate timestamp": "sct-none",
    "Expected one certificate timestamp, found 2": "sct-two",
    "unexpected hash algorithm in SCT": "sct-hash-other",
    "SCT verify failed: keyring: invalid signature": """
        sct-log-foreign sct-key-other sct-content-other sct-issuer-other sct-time-altered
        root-ct-key-garbled root-ct-details-unsupported""",
    "checkpoint: Signature not found for log ID": """
        log-id-unknown log-id-unknown-v1 log-id-of-another checkpoint-by-another-log
        base64-log-id""",
    "checkpoint: invalid signature": """
        log-foreign log-foreign-v1 log-key-other log-key-other-v1
        checkpoint-altered checkpoint-key-other checkpoint-key-other-v1
        checkpoint-signature-flipped
        root-log-key-other root-log-key-garbled root-log-details-unsupported
        root-log-details-wrong""",
    "Inclusion proof contains invalid root hash signature": """
        checkpoint-root-other checkpoint-root-short""",
    "malformed LogCheckpoint: invalid log size": "checkpoint-size-no-number",
    "malformed LogCheckpoint: too few items": "checkpoint-two-lines checkpoint-origin-empty",
    "malformed Note: data section must end": "checkpoint-no-last-newline",
    "malformed Note: must contain at least one": "checkpoint-no-signature",
    "malformed Note: signature contains too few": """
        checkpoint-signature-short checkpoint-signature-not-base64""",
    "note must contain one blank line": """
        checkpoint-empty checkpoint-garbled checkpoint-empty-line checkpoint-no-blank-line
        checkpoint-of-lines-only""",
    "must contain inclusion proof, with checkpoint": "checkpoint-missing checkpoint-missing-v1",
    "inclusion proof contains invalid root hash: expected": """
        proof-corrupted proof-reversed proof-hash-short proof-index-other proof-index-other-v1
        proof-root-other proof-root-forged base64-body base64-root base64-hash""",
    "inclusion proof has wrong size": """
        proof-empty proof-truncated proof-too-long proof-size-other""",
    "inclusionProof\n  Field required": "proof-missing proof-missing-v1",
    "must be less than treeSize": "proof-index-beyond proof-size-zero",
    "SET: invalid inclusion promise": """
        promise-forged promise-of-another-entry promise-empty promise-garbled time-shifted
        index-other-v1""",
    "Integrated time only supported": """
        promise-in-v2 entry-kind-unknown-v1 entry-version-mislabelled-v1""",
    "logIndex\n  Value error, Value exceeds uint64": "index-negative index-too-large",
    "integratedTime\n  Value error": "time-no-number time-a-number",
    "entry is inconsistent with other materials": """
        entry-of-another-artifact entry-of-another-artifact-v1
        entry-of-another-signature entry-of-another-signature-v1
        entry-of-another-certificate entry-of-another-certificate-v1
        entry-digest-other entry-digest-other-v1 entry-algorithm-other entry-details-other
        dsse-entry-of-another dsse-entry-of-another-signature dsse-entry-without-type""",
    "Expected entry type hashedrekord": "entry-kind-unknown entry-kind-mislabelled",
    "Expected log entry version": "entry-version-unknown entry-version-unknown-v1",
    "expected exactly one log entry": "entries-none entries-two",
    "tlogEntries\n  Field required": "entries-missing",
    "ValidationError: 1 validation error for Entry": """
        entry-not-json entry-empty entry-field-unknown""",
    "ValidationError: 2 validation errors for Hashedrekord": "entry-version-mislabelled",
    "not enough sources of verified time": """
        time-missing time-zero base64-signature signature-empty
        stamp-foreign stamp-key-other stamp-over-other stamp-refused stamp-imprint-unknown
        stamp-digest-other stamp-flipped tsa-expired tsa-not-yet-valid tsa-without-purpose
        tsa-for-another-purpose tsa-purpose-not-critical
        tsa-window-ended tsa-window-later tsa-rotated-away root-tsa-incomplete""",
    "must contain an inclusion promise or signed timestamp": """
        promise-missing stamp-none stamp-list-empty stamp-list-missing stamp-null""",
    "Invalid Timestamp Response": """
        stamp-garbled stamp-empty stamp-truncated stamp-and-more stamp-not-base64""",
    "ValueError: Malformed TimestampToken": "stamp-holds-other",
    "duplicate timestamp found": "stamps-twice",
    "too many signed timestamp": "stamps-33",
    "no Timestamp Authorities": "root-without-tsas root-without-tsas-at-all",
    "Bundle message digest mismatch": """
        artifact-other artifact-empty artifact-and-more digest-other base64-digest""",
    "Signature is invalid for input": """
        signature-over-other signature-by-another-key signature-flipped""",
    "DSSE: invalid signature": """
        dsse-payload-other dsse-type-other dsse-by-another-key dsse-signature-flipped
        dsse-payload-swapped dsse-payload-swapped-v1 dsse-type-swapped dsse-type-swapped-v1""",
    "envelope must contain exactly one signature": "dsse-signatures-none dsse-signatures-two",
    "envelope signature must be non-empty": "dsse-signature-empty",
    "log entry payload hash does not match": """
        dsse-entry-of-another-v1 dsse-entry-payload-other-v1""",
    "log entry signatures do not match": """
        dsse-entry-of-another-signature-v1 dsse-entry-signatures-two-v1""",
    "Unsupported DSSE log entry type": "dsse-entry-of-an-artifact-v1",
    "bundle must contain an inclusion promise": "media-without-promise",
    "expected certificate chain in bundle": "media-without-chain",
    "expected certificate in bundle": "media-with-chain key-instead-of-certificate",
    "expected non-empty certificate chain": "chain-empty",
    "non-leaf certificate in the leaf position": "chain-issuer-first",
    "Exactly one of messageSignature or dsseEnvelope": """
        neither-signature-nor-envelope signature-and-envelope""",
    "Exactly one of publicKey, x509CertificateChain": """
        key-beside-certificate certificate-missing""",
    "InvalidBundle: failed to load bundle": """
        media-unknown media-none field-unknown field-unknown-inside field-number field-list
        field-null not-json not-an-object not-utf8 empty too-deep and-more
        digest-algorithm-unknown signature-missing""",
    "ValidationError: 1 validation error for TrustedRoot": """
        root-media-unknown root-field-unknown root-log-details-unknown root-window-missing
        root-not-json root-not-an-object root-empty""",
    "ValidationError: 3 validation errors for TrustedRoot": "root-window-no-time",
    "unsupported trusted root format": "root-media-newer",
    "missing a certificate in Certificate Authority": "root-ca-empty",
    "CTFE keys not found": "root-without-ct",
    "Fulcio certificates not found": "root-without-cas",
    "contains no transparency log instances": "root-without-logs",
}
TEXTS = {name: text for text, names in REFUSED.items() for name in names.split()}

ALTHOUGH_WRONG = MINOR | {
    # Validity windows of all but the timestamp authority.
    *(
        f"{kind}-{how}"
        for kind in ("ca", "ct", "log", "log-v1")
        for how in ("window-ended", "window-later", "rotated-away")
    ),
    # Of the checkpoint, only the root is looked at.
    *("checkpoint-origin-other", "checkpoint-origin-other-v1"),
    *("checkpoint-size-other", "checkpoint-size-zero"),
    # Names in the certificate beside those that are asked for.
    *("identity-one-of-two", "issuer-old-differs"),
    # Whatever is in an envelope.
    *("dsse-type-unexpected", "dsse-not-json", "dsse-not-a-statement", "dsse-field-twice"),
    *("dsse-subject-other", "dsse-subject-none"),
    # JSON that says something twice.
    *("entry-field-twice", "field-twice"),
}
ALTHOUGH_RIGHT = {"window of the timestamp authority that ends then"}

STAMPED = {
    "stamp-refused": "PKIStatus is not GRANTED",
    "stamp-over-other": "Mismatch between messages",
    "stamp-imprint-unknown": "Unsupported hash algorithm",
    "stamp-key-other": "signature failure",
    "stamp-flipped": "signature failure",
    "stamp-digest-other": "digest failure",
    "stamp-foreign": "unable to get local issuer",
    "tsa-expired": "certificate has expired",
    "tsa-not-yet-valid": "certificate is not yet valid",
    "tsa-without-purpose": "unsuitable certificate purpose",
    "tsa-for-another-purpose": "unsuitable certificate purpose",
    "tsa-purpose-not-critical": "unsuitable certificate purpose",
}


def asks(identity: str, issuer: str) -> policy.AllOf:
    """Ask for the name, also as the library sees that of a user: with its DER header."""
    names = (identity, der.text(identity).decode())
    either = policy.AnyOf([policy.Identity(identity=name) for name in names])
    return policy.AllOf([either, policy.OIDCIssuerV2(issuer)])


def verify(given: Case) -> None:
    """Let sigstore judge."""
    verifier = Verifier(trusted_root=TrustedRoot(Written.from_json(given.trusted_root)))
    bundle, asked = Bundle.from_json(given.bundle), asks(given.identity, given.issuer)
    if b"dsseEnvelope" in given.bundle:
        verifier.verify_dsse(bundle, asked)
    else:
        verifier.verify_artifact(given.artifact, bundle, asked)


@pytest.mark.parametrize("name", sorted(set(HAPPY) - ALTHOUGH_RIGHT))
def test_what_is_right_is_accepted(name: str) -> None:
    verify(HAPPY[name](create()))


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_fault_is_refused_by_the_check_that_it_is_for(name: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind, and that is relied on
        verify(FAULTS[name](create()))
    assert TEXTS[name] in f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize("name", sorted(ALTHOUGH_WRONG))
def test_sigstore_accepts_although_it_is_wrong(name: str) -> None:
    verify(FAULTS[name](create()))


@pytest.mark.parametrize("name", sorted(ALTHOUGH_RIGHT))
def test_sigstore_refuses_although_it_is_right(name: str) -> None:
    with pytest.raises(Exception, match="not enough sources of verified time"):
        verify(HAPPY[name](create()))


def test_every_fault_has_its_place() -> None:
    assert sorted([*TEXTS, *ALTHOUGH_WRONG]) == sorted(FAULTS)
    assert sum(len(names.split()) for names in REFUSED.values()) == len(TEXTS)


@pytest.mark.parametrize("name", STAMPED)
def test_a_timestamp_has_the_fault_that_it_is_for(name: str) -> None:
    """sigstore says the same of all of them."""
    made = FAULTS[name](create())
    bundle, root = json.loads(made.bundle), Written.from_json(made.trusted_root)
    trusted = TrustedRoot(root).get_timestamp_authorities()[0].certificates(allow_expired=True)
    stamps = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    token = decode_timestamp_response(b64decode(stamps[0]["signedTimestamp"]))
    builder = VerifierBuilder(tsa_certificate=trusted[0], roots=[trusted[1]])
    with pytest.raises(VerificationError, match=STAMPED[name]):
        builder.build().verify_message(token, b64decode(bundle["messageSignature"]["signature"]))


def test_sigstore_compares_a_user_with_the_header_of_its_name() -> None:
    given = HAPPY["user artifact v2"](create())
    certificate = Bundle.from_json(given.bundle).signing_certificate
    policy.Identity(identity=f"\x0c{chr(len(USER))}{USER}").verify(certificate)
    with pytest.raises(Exception, match="do not match"):
        policy.Identity(identity=USER).verify(certificate)


def test_nothing_of_theirs_has_part_in_it() -> None:
    allowed = {*sys.stdlib_module_names, "cryptography", "tests"}
    for path in Path(private.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    imported = {name.name for name in names}
                case ast.ImportFrom(module=str(module)):
                    imported = {module}
                case _:
                    continue
            assert {name.partition(".")[0] for name in imported} <= allowed, path


def test_a_log_grows_and_proves_all_that_it_holds() -> None:
    it = create()
    for _ in range(20):
        verify(case(it))
        verify(case(it, rekor=1))
    entry = it.sign(b"", rekor=1)["verificationMaterial"]["tlogEntries"][0]
    before = int(entry["logIndex"]) - int(entry["inclusionProof"]["logIndex"])
    assert before == it.logs[1].offset > len(it.logs[1].leaves)


@pytest.mark.parametrize("year", [1971, 2001])
def test_everything_is_relative_to_its_now(year: int) -> None:
    it = create(datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC))
    verify(case(it, rekor=1, stamps=(private.Stamp(),)))


def test_what_is_trusted_only_later_is_missing_as_of_now() -> None:
    with pytest.raises(MetadataError, match="Fulcio certificates not found"):
        verify(case(create(datetime.now(UTC) + timedelta(days=60))))


def test_a_workflow_claims_what_fulcio_has_extensions_for() -> None:
    signer = create().issue(private.Leaf(private.workflow()))
    found = {
        int(kind.oid.dotted_string.rpartition(".")[2]): kind
        for kind in vars(policy).values()
        if isinstance(kind, type) and issubclass(kind, policy._SingleX509ExtPolicy)
        if hasattr(kind, "oid")
    }
    said = {1: private.ISSUER, 8: private.ISSUER, **private.CLAIMS}
    assert set(said) == set(found) - set(range(2, 7))
    for number, value in said.items():
        found[number](value).verify(signer.certificate)


def test_times_are_as_told() -> None:
    late = timedelta(seconds=90)
    given = case(
        it := create(),
        rekor=1,
        entry=private.Entry(late=-late / 2),
        stamps=(private.Stamp(late=late),),
    )
    verifier = Verifier(trusted_root=TrustedRoot(Written.from_json(given.trusted_root)))
    times = verifier._establish_time(Bundle.from_json(given.bundle))
    assert [time.time - it.now for time in times] == [late, -late / 2]


@pytest.mark.parametrize("kind", [4, 6], ids=["Ed25519", "ML-DSA-44"])
def test_a_witness_signs_what_c2sp_says(kind: int) -> None:
    who = private.witness() if kind == 4 else private.quantum_witness()
    it, who = create(), replace(who, late=timedelta(seconds=9))
    entry = it.sign(b"", entry=private.Entry(witnesses=(who,)))["verificationMaterial"][
        "tlogEntries"
    ]
    text, _, lines = entry[0]["inclusionProof"]["checkpoint"]["envelope"].partition("\n\n")
    origin, size, root = text.split("\n")
    name, _, made = lines.splitlines()[1].removeprefix("\u2014 ").partition(" ")
    when, octets = int(it.now.timestamp()) + 9, b64decode(made)
    key = who.private.public_key().public_bytes_raw()
    assert octets[:4] == sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]
    assert struct.unpack(">Q", octets[4:12]) == (when,)
    message = f"cosignature/v1\ntime {when}\n{text}\n".encode()
    if kind == 6:
        form = f">12s{len(name) + 1}pQ{len(origin) + 1}pQQ32s"
        said = (b"subtree/v1\n", name.encode(), when, origin.encode(), 0, int(size))
        message = struct.pack(form, *said, b64decode(root))
    who.private.public_key().verify(octets[12:], message)
    assert who.vkey.split("+", 2)[:2] == [name, octets[:4].hex()]


def test_what_is_written_is_what_the_command_is_given(tmp_path: Path) -> None:
    given = HAPPY["workflow statement v1"](create())
    words = given.words(tmp_path)
    assert words[:2] == ["trust", "verify"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert Path(words[2]).read_bytes() == given.artifact
    assert Path(options["--bundle"]).read_bytes() == given.bundle
    assert Path(options["--trusted-root"]).read_bytes() == given.trusted_root
    assert (options["--identity"], options["--issuer"]) == (given.identity, given.issuer)
