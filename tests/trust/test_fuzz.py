"""Whatever goes in: of anything that is to be verified, only our own errors leave.

And no edit of a bundle changes what counts of it: it is refused, or it says what it said.
"""

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePath

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from snaproot.errors import SnaprootError
from snaproot.tlog import checkpoint
from snaproot.tlog import note as notes
from snaproot.trust import policyfile, revocationlist, statement
from snaproot.trust.establishing import establish
from snaproot.trust.facts import Distrusted, Facts, Unverifiable
from snaproot.trust.sigstore import reading
from tests.fuzzing import cases
from tests.tlog.test_note import KEYS, SIGNED
from tests.trust import private
from tests.trust.mutations import Documents, edited_bytes, edited_json
from tests.trust.private import (
    Entry,
    Identity,
    Leaf,
    Stamp,
    create,
    edits,
    email,
    quantum_witness,
    uri,
    username,
    witness,
    workflow,
)
from tests.trust.test_policy import ALL
from tests.trust.test_revocation import HIT, SKIPPED
from tests.trust.test_revocation import written as listed
from tests.trust.test_statement import BUILD, DIGEST, RELEASED, payload

NOW = datetime.now(UTC)
Read = Callable[[bytes], object]


def assert_readable(error: SnaprootError) -> None:
    """What was written by whoever made the file is not to write to a terminal."""
    assert str(error).isprintable()
    assert len(str(error)) < 1000


# -- bundles -------------------------------------------------------------------------------------

IT, OTHER = create(), create()
TRUSTED = [json.dumps(it.trusted_root()).encode() for it in (IT, OTHER)]
_SEEN = Entry(witnesses=(witness(), quantum_witness()))
_TWICE = (Stamp(serial=1), Stamp(serial=2))
_CASES = [
    private.case(IT),
    private.case(IT, rekor=1, who=Leaf(workflow())),
    private.case(IT, stamps=_TWICE, entry=_SEEN, who=Leaf(workflow())),
    private.case(IT, rekor=1, stamps=_TWICE),
    private.case(IT, private.statement(), who=Leaf(workflow())),
    private.case(IT, private.statement(), rekor=1),
    private.case(IT, rekor=1, media=private.V01),
    private.case(IT, media=private.V02),
]
GOOD = [case.bundle for case in _CASES]
STRANGE = [private.case(OTHER).bundle, private.case(IT, private.Artifact(b"another")).bundle]
INSTANCE = reading.instance(TRUSTED[0], "root")
ARTIFACT = _CASES[0].digest.removeprefix("sha256:")


def established(bundle: bytes, instance: reading.Instance = INSTANCE) -> Facts:
    return establish(reading.bundle(bundle, "bundle"), instance, ARTIFACT, NOW)


def said(bundle: bytes) -> object:
    """Verify, and take all that counts; not what nobody signs, and not what may be fewer.

    That is of the checkpoint's note the lines of signatures, and how many timestamps there are.
    """
    facts = established(bundle)
    given = reading.bundle(bundle, "bundle").given
    entry = given.log_entry._inner
    proof = entry.inclusion_proof
    text, _, _ = facts.checkpoint.rpartition("\n\n")
    return (
        replace(facts, checkpoint=text, times=()),
        *(given.signing_certificate, given.signature),
        *(entry.log_id, entry.canonicalized_body),
        *(proof.log_index, proof.tree_size, proof.root_hash, proof.hashes),
    )


SAID = [said(bundle) for bundle in GOOD]
TIMES = {time for bundle in GOOD for time in established(bundle).times}


def refused_or_the_same(bundle: bytes) -> None:
    note(f"the trusted root is {TRUSTED[0].decode()}")
    try:
        found, times = said(bundle), established(bundle).times
    except SnaprootError as error:
        assert_readable(error)
        return
    assert found in SAID, "it is accepted, and says something else"
    assert times
    assert {*times} <= TIMES


BUNDLES = Documents("bundles", [*GOOD, *STRANGE])


@cases(1000)
@given(edited_json(BUNDLES))
def test_an_edited_bundle_is_refused_or_says_the_same(bundle: bytes) -> None:
    refused_or_the_same(bundle)


@cases(1000)
@given(edited_bytes(BUNDLES))
def test_a_bundle_of_edited_bytes_is_refused_or_says_the_same(bundle: bytes) -> None:
    refused_or_the_same(bundle)


@pytest.mark.parametrize(
    "who",
    [
        Identity((username("rel\x1b[31m"),)),
        Identity((username("rel\u202ecod.example"),)),
        Identity((email("rel\x1b[31m@example.org"),)),
        Identity((uri("https://ci.example/\x07"),)),
        Identity((email("rel@example.org"),), "https://token.example/\x9b"),
        Identity((email("rel@example.org"),), claims={12: "https://ci.example/\x1b[2J"}),
    ],
    ids=["escape", "backwards", "e-mail", "URI", "issuer", "claim"],
)
def test_whoever_has_control_characters_in_a_name_is_not_believed(who: Identity) -> None:
    """An authority would have to issue that, but whoever is named reaches terminals and logs."""
    with pytest.raises(Distrusted) as caught:
        established(private.case(IT, who=Leaf(who)).bundle)
    assert caught.value.reason == "certificate.extension"


def test_nobody_else_writes_to_the_terminal(tmp_path: Path) -> None:
    """Of a country with more than two letters, for one, the library warns by itself."""
    organisation, country = b"\x55\x04\x0a", b"\x55\x04\x06"
    turned = edits.change(
        f"{edits.CERTIFICATE}/rawBytes",
        lambda text: b64encode(b64decode(text).replace(organisation, country)).decode(),
    )
    words = private.case(IT, edit=turned).words(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "snaproot", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.startswith("snaproot: ")
    assert done.stderr.count("\n") == 1


# -- all that is read ----------------------------------------------------------------------------


def checkpoint_of(bundle: bytes) -> str:
    return established(bundle).checkpoint


def trusted_root(content: bytes) -> None:
    established(GOOD[0], reading.instance(content, "root"))


@pytest.mark.parametrize("kind", ["certificateAuthorities", "timestampAuthorities"])
@pytest.mark.parametrize("end", ["start", "end"])
def test_a_window_without_a_time_zone_is_none(kind: str, end: str) -> None:
    written = IT.trusted_root()
    edits.put(f"{kind}/0/validFor/{end}", "2026-11-01T00:00:00")(written)
    with pytest.raises(Unverifiable) as caught:
        trusted_root(json.dumps(written).encode())
    assert caught.value.reason == "root.malformed"


def payloads(content: bytes) -> None:
    said = statement.parse(statement.PAYLOAD_TYPE, content, DIGEST)
    (statement.release if statement.is_release(said) else statement.provenance)(said)


PARSERS: dict[str, tuple[Read, list[bytes]]] = {
    "trusted root": (trusted_root, TRUSTED),
    "policy": (lambda content: policyfile.parse(content, PurePath("policy.toml")), [ALL.encode()]),
    "revocations": (revocationlist.parse, [listed(*HIT, SKIPPED)]),
    "statement": (
        payloads,
        [payload(BUILD, statement.PROVENANCE), payload(RELEASED, statement.RELEASE)],
    ),
    "note": (lambda content: notes.verify(notes.parse(content), KEYS), [SIGNED.encode()]),
    "checkpoint": (
        lambda content: checkpoint.parse(content.decode(errors="surrogateescape")),
        [notes.parse(text).text.encode() for text in (SIGNED, *map(checkpoint_of, GOOD))],
    ),
}
JSON = ("trusted root", "revocations", "statement")


def only_ours_leaves(read: Read, content: bytes) -> None:
    try:
        read(content)
    except SnaprootError as error:
        assert_readable(error)


@pytest.mark.parametrize("parser", PARSERS)
@cases(300)
@given(st.data())
def test_of_edited_bytes_only_our_error_leaves(parser: str, data: st.DataObject) -> None:
    read, contents = PARSERS[parser]
    only_ours_leaves(read, data.draw(edited_bytes(Documents(parser, contents))))


@pytest.mark.parametrize("parser", JSON)
@cases(300)
@given(st.data())
def test_of_edited_json_only_our_error_leaves(parser: str, data: st.DataObject) -> None:
    read, contents = PARSERS[parser]
    only_ours_leaves(read, data.draw(edited_json(Documents(parser, contents))))
