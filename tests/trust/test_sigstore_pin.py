"""What is relied on of sigstore that it does not promise, so that another release shows itself.

What it lets through and is checked here instead is in test_private.py.
"""

import ast
import inspect
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest
from sigstore._internal.timestamp import TimestampSource, TimestampVerificationResult
from sigstore._internal.trust import Key
from sigstore.models import Bundle, TransparencyLogEntry, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import VerificationPolicy
from sigstore_models.trustroot.v1 import TrustedRoot as Written

from snaproot.trust import sigstore as ours
from snaproot.trust.establishing import establish
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.sigstore import reading, reasons
from tests.trust import private
from tests.trust.private import FAULTS, Case, Make, create, edits

REPOSITORY = Path(__file__).parents[2]


def test_the_release_is_pinned_and_is_the_installed_one() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [word for word in project["dependencies"] if re.match(r"sigstore\b", word)]
    assert wanted == [f"sigstore=={version('sigstore')}"]
    pins = (REPOSITORY / "contrib/debian/requirements.txt").read_text()
    assert f"sigstore=={version('sigstore')} " in pins


# -- private names -------------------------------------------------------------------------------


def given() -> tuple[Bundle, TrustedRoot]:
    case = private.case(create(), rekor=1, stamps=(private.Stamp(),))
    return Bundle.from_json(case.bundle), TrustedRoot(Written.from_json(case.trusted_root))


def names(tree: ast.AST) -> Iterator[str]:
    """Name what begins with one underscore and is another's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and "._" in (node.module or ""):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
            yield node.attr


def test_there_are_no_other_private_names() -> None:
    """Whoever uses one more says here what is relied on."""
    sources = Path(ours.__file__).parent.glob("*.py")
    found = {name for path in sources for name in names(ast.parse(path.read_text()))}
    assert found == {
        "_establish_time",
        "_inner",
        "sigstore._internal.timestamp.TimestampSource",
        "sigstore._internal.trust.Key",
    }


def test_times_are_told_with_their_source() -> None:
    bundle, root = given()
    assert list(inspect.signature(Verifier._establish_time).parameters) == ["self", "bundle"]
    found = Verifier(trusted_root=root)._establish_time(bundle)
    assert {field.name for field in fields(TimestampVerificationResult)} == {"source", "time"}
    assert {one.source for one in found} == set(TimestampSource)
    assert {source.name for source in TimestampSource} == {
        "TIMESTAMP_AUTHORITY",
        "TRANSPARENCY_SERVICE",
    }
    assert all(one.time.tzinfo is not None for one in found)


def test_a_bundle_and_its_entry_wrap_what_was_written() -> None:
    bundle, _ = given()
    entry = bundle.log_entry
    assert isinstance(entry, TransparencyLogEntry)
    assert entry._inner == bundle._inner.verification_material.tlog_entries[0]
    assert entry._inner.inclusion_proof.checkpoint is not None
    assert bundle._inner.dsse_envelope is None
    assert bundle._inner.message_signature is not None


def ct_key(**changed: str) -> Key:
    """Let the library read a key on P-256, or what was made of it."""
    written = create().trusted_root()
    for name, value in changed.items():
        edits.put(f"ctlogs/0/publicKey/{name}", value)(written)
    return Key(Written.from_json(json.dumps(written)).ctlogs[0].public_key)


@pytest.mark.parametrize(
    "changed",
    [
        {"rawBytes": ""},
        {"rawBytes": "YSBrZXk="},
        {"keyDetails": "ML_DSA_65"},
        {"keyDetails": "PKIX_ED25519"},
        {"keyDetails": "PKIX_RSA_PSS_2048_SHA256"},
    ],
    ids=str,
)
def test_a_key_that_it_cannot_use_is_none(changed: dict[str, str]) -> None:
    assert ct_key().hash_algorithm is not None
    with pytest.raises(Exception, match=r"key"):
        ct_key(**changed)


def test_a_policy_is_whatever_verifies_a_certificate() -> None:
    assert list(inspect.signature(VerificationPolicy.verify).parameters) == ["self", "cert"]


def test_there_are_no_other_kinds_of_bundles() -> None:
    """A newer kind may hold what nobody here has looked at; it would be let in unseen."""
    kinds = {str(kind) for kind in Bundle.BundleType}
    assert kinds == {private.V01, private.V02, private.V03, private.V03_NEW}


# -- words ---------------------------------------------------------------------------------------


def refusal(case: Case) -> tuple[str, str]:
    """Return in which of the two steps something was refused, and what the library said."""
    step = "reading"
    try:
        instance = reading.instance(case.trusted_root, "root")
        bundle = reading.bundle(case.bundle, "bundle")
        step = "verifying"
        establish(bundle, instance, case.digest.removeprefix("sha256:"), datetime.now(UTC))
    except (Distrusted, Unverifiable) as error:
        return step, str(error.__cause__ or "")
    return step, ""


def used(words: Mapping[str, str], said: str) -> list[str]:
    return [word for word in words if word in said][:1]


def shortened(characters: int) -> Make:
    """Cut the base64 of a checkpoint's signature: only there it is decoded while verifying."""
    cut = edits.change(edits.CHECKPOINT, lambda text: f"{text[: -1 - characters]}\n")
    return lambda it: private.case(it, edit=cut)


BASE64 = {"Incorrect padding": shortened(1), "Invalid base64-encoded string": shortened(3)}


@pytest.mark.parametrize("word", BASE64)
def test_base64_that_is_cut_is_refused_as_the_checkpoint(word: str) -> None:
    step, said = refusal(BASE64[word](create()))
    assert reasons.VERIFYING[word] == "log.checkpoint"
    assert (step, used(reasons.VERIFYING, said)) == ("verifying", [word])


def test_every_word_is_one_that_the_library_says() -> None:
    """One that is never said would be one that is not known to be right."""
    tables = {"reading": reasons.READING, "verifying": reasons.VERIFYING}
    told = [refusal(make(create())) for make in [*FAULTS.values(), *BASE64.values()]]
    found = {(step, word) for step, said in told for word in used(tables[step], said)}
    assert found == {(step, word) for step, words in tables.items() for word in words}


def test_a_word_is_not_hidden_behind_another() -> None:
    """The first that fits holds, so those that tell more stand before those that they contain."""
    for words in (reasons.READING, reasons.VERIFYING):
        listed = list(words)
        for number, word in enumerate(listed):
            assert not [one for one in listed[:number] if one in word], word
