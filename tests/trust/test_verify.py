"""`snaproot trust verify`: what it accepts, what it refuses, and for which reason.

The faults are the private Sigstore's: one each, and all around it signed as usual.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from snaproot.cli.boundary import guarded
from snaproot.trust import plain
from snaproot.trust.facts import Clock, Facts, Unverifiable
from snaproot.trust.plain import Signer
from tests.trust import private
from tests.trust.private import FAULTS, HAPPY, MINOR, Case, create

REFUSED = {
    "bundle.certificate": """
        media-with-chain media-without-chain key-instead-of-certificate
        key-beside-certificate certificate-missing certificate-empty certificate-not-der
        certificate-and-more chain-empty chain-issuer-first base64-certificate
    """,
    "bundle.content": "neither-signature-nor-envelope signature-and-envelope",
    "bundle.entry-version": "entry-version-unknown entry-version-unknown-v1",
    "bundle.inclusion-proof": "checkpoint-missing checkpoint-missing-v1",
    "bundle.log-entries": "entries-none entries-two",
    "bundle.malformed": """
        entries-missing time-no-number time-a-number index-negative index-too-large
        proof-missing proof-missing-v1 proof-index-beyond proof-size-zero field-unknown
        field-unknown-inside field-twice field-number field-list field-null not-json
        not-an-object not-utf8 empty too-deep and-more digest-algorithm-unknown
        signature-missing
    """,
    "bundle.media-type": "media-unknown media-none",
    "bundle.time": """
        promise-missing stamp-none stamp-list-empty stamp-list-missing stamp-null
        media-without-promise
    """,
    "certificate.chain": """
        ca-key-other ca-issuer-may-not-issue leaf-is-ca leaf-for-certificates
        leaf-critical-extension certificate-flipped
    """,
    "certificate.expired": """
        leaf-expired time-after-certificate stamp-after-certificate
        stamp-after-certificate-v1 stamp-second-after-certificate
    """,
    "certificate.extended-usage": "leaf-without-code-signing leaf-without-extended-usage",
    "certificate.extension": "issuer-not-der issuer-of-another-type issuer-and-more",
    "certificate.issuer-claim": "issuer-none issuer-old-differs",
    "certificate.issuer-expired": "ca-issuer-expired ca-issuer-not-yet-valid ca-root-expired",
    "certificate.issuer-unknown": "ca-foreign ca-only-in-bundle",
    "certificate.issuer-window": "ca-window-ended ca-window-later ca-rotated-away",
    "certificate.key-kind": "leaf-rsa leaf-ed25519 leaf-p521",
    "certificate.key-usage": """
        leaf-without-digital-signature leaf-without-usage certificate-of-the-issuer
    """,
    "certificate.name-kind": "identity-of-a-host",
    "certificate.names": "identity-none identity-one-of-two",
    "certificate.not-yet-valid": """
        leaf-not-yet-valid time-before-certificate time-before-certificate-with-stamp
        stamp-before-certificate
    """,
    "checkpoint.malformed": "checkpoint-size-zero checkpoint-size-padded",
    "log.checkpoint": """
        checkpoint-empty checkpoint-garbled checkpoint-size-no-number
        checkpoint-two-lines checkpoint-origin-empty checkpoint-empty-line
        checkpoint-no-blank-line checkpoint-no-signature checkpoint-no-last-newline
        checkpoint-signature-short checkpoint-signature-not-base64
        checkpoint-of-lines-only
    """,
    "log.checkpoint-root": "checkpoint-root-other checkpoint-root-short",
    "log.checkpoint-signature": """
        log-key-other log-key-other-v1 log-id-of-another checkpoint-altered
        checkpoint-key-other checkpoint-key-other-v1 checkpoint-by-another-log
        checkpoint-signature-flipped root-log-key-other
    """,
    "log.entry": """
        entry-of-another-artifact entry-of-another-artifact-v1
        entry-of-another-signature-v1 entry-of-another-signature
        entry-of-another-certificate entry-of-another-certificate-v1 entry-digest-other
        entry-digest-other-v1 entry-algorithm-other entry-details-other
        entry-field-unknown entry-field-twice entry-not-json entry-empty
        entry-version-mislabelled base64-body dsse-entry-of-another
        dsse-entry-of-another-v1 dsse-entry-of-another-signature
        dsse-entry-of-another-signature-v1 dsse-entry-without-type
        dsse-entry-payload-other-v1 dsse-entry-signatures-two-v1
    """,
    "log.entry-kind": """
        entry-kind-unknown entry-kind-mislabelled dsse-entry-of-an-artifact-v1
    """,
    "log.key-kind": """
        root-log-key-garbled root-log-details-unsupported root-log-details-wrong
    """,
    "log.origin": "checkpoint-origin-other",
    "log.promise": """
        promise-forged promise-of-another-entry promise-empty promise-garbled
        time-shifted index-other-v1
    """,
    "log.proof": """
        proof-empty proof-truncated proof-too-long proof-corrupted proof-reversed
        proof-hash-short proof-index-other proof-index-other-v1 proof-size-other
        proof-root-other proof-root-forged base64-root base64-hash
    """,
    "log.tree-size": "checkpoint-size-other proof-size-smaller",
    "log.unknown": """
        log-foreign log-foreign-v1 log-id-unknown log-id-unknown-v1 base64-log-id
        root-log-id-other
    """,
    "log.window": """
        log-window-ended log-v1-window-ended log-window-later log-v1-window-later
        log-rotated-away log-v1-rotated-away
    """,
    "policy.identity": """
        identity-other identity-longer identity-shorter identity-in-capitals
        identity-empty
    """,
    "policy.issuer": "issuer-other issuer-longer",
    "root.malformed": """
        root-media-unknown root-media-newer root-field-unknown root-log-details-unknown
        root-ca-garbled
        root-ca-empty root-window-no-time root-window-missing root-not-json
        root-not-an-object root-empty
    """,
    "root.incomplete": "root-without-cas root-without-ct root-without-logs",
    "sct.count": "sct-two",
    "sct.key-kind": "root-ct-key-garbled root-ct-details-unsupported",
    "sct.missing": "sct-none",
    "sct.signature": """
        sct-key-other sct-content-other sct-issuer-other sct-time-altered sct-hash-other
    """,
    "sct.unknown": "sct-log-foreign sct-log-unknown",
    "sct.window": "ct-window-ended ct-window-later ct-rotated-away",
    "signature.count": """
        dsse-signatures-none dsse-signatures-two dsse-signature-empty
    """,
    "signature.digest": """
        base64-digest artifact-other artifact-empty artifact-and-more digest-other
    """,
    "signature.invalid": """
        signature-over-other signature-by-another-key signature-flipped
        dsse-payload-other dsse-type-other dsse-by-another-key dsse-payload-swapped
        dsse-payload-swapped-v1 dsse-type-swapped dsse-type-swapped-v1
        dsse-signature-flipped
    """,
    "statement.duplicate-key": "dsse-field-twice",
    "statement.malformed": "dsse-not-json",
    "statement.payload-type": "dsse-type-unexpected",
    "statement.subject": "dsse-subject-other dsse-subject-none",
    "statement.type": "dsse-not-a-statement",
    "time.authority-unknown": "root-without-tsas root-without-tsas-at-all",
    "time.count": "stamps-33",
    "time.duplicate": "stamps-twice",
    "time.entry-version": """
        entry-kind-unknown-v1 entry-version-mislabelled-v1 promise-in-v2
    """,
    "time.malformed": """
        stamp-holds-other stamp-garbled stamp-empty stamp-truncated stamp-and-more
        stamp-not-base64
    """,
    "time.none": "time-missing time-zero",
    "time.unverified": """
        stamp-foreign stamp-key-other stamp-over-other stamp-refused
        stamp-imprint-unknown stamp-digest-other stamp-flipped tsa-expired
        tsa-not-yet-valid tsa-without-purpose tsa-for-another-purpose
        tsa-purpose-not-critical base64-signature signature-empty root-tsa-incomplete
    """,
    "time.window": "tsa-window-ended tsa-window-later tsa-rotated-away",
}
REASONS = {name: reason for reason, names in REFUSED.items() for name in names.split()}
NO_ANSWER = ("root.",)
"""Reasons that are no answer: they end 1."""
HARMLESS = {
    "issuer-only-old": "the older of two extensions, which the authority has signed as well",
    "checkpoint-origin-other-v1": "the name of a Rekor v1 log is bound to its tree by nothing",
    **dict.fromkeys(
        {name for name in MINOR if name not in REASONS}, "a hint that nobody signs, and none uses"
    ),
}
"""What is accepted although something is not as it should be, and why."""


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    status = guarded([*words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_every_fault_has_its_reason() -> None:
    assert not set(REASONS) & set(HARMLESS)
    assert {*REASONS, *HARMLESS} == set(FAULTS)
    assert len(REFUSED) >= 60


@pytest.mark.parametrize("fault", REASONS)
def test_a_fault_is_refused_for_its_reason(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = REASONS[fault]
    status, said = told(FAULTS[fault](create()).words(tmp_path), capsys)
    error = said["error"]
    assert isinstance(error, dict)
    assert (status, error["reason"]) == (1 if reason.startswith(NO_ANSWER) else 3, reason)
    assert "\n" not in str(error["message"])


@pytest.mark.parametrize("fault", HARMLESS)
def test_what_proves_nothing_is_not_looked_at(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(FAULTS[fault](create()).words(tmp_path), capsys)[0] == 0


@pytest.mark.parametrize("variant", HAPPY)
def test_what_is_right_is_accepted(
    variant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = HAPPY[variant](create())
    status, said = told(case.words(tmp_path), capsys)
    assert status == 0
    assert said["digest"] == case.digest
    assert said["identity"] == case.identity
    assert said["issuer"] == case.issuer


def established(case: Case, directory: Path, now: datetime | None = None) -> Facts:
    files = case.write(directory)
    signer = Signer(case.identity, case.issuer)
    digest = case.digest.removeprefix("sha256:")
    when = now or datetime.now(UTC)
    return plain.verify(digest, files.bundle, files.trusted_root, signer, when)


class TestFacts:
    """What is known afterwards, for the policy and for whoever revokes a key."""

    def test_the_keys_are_those_that_verified(self, tmp_path: Path) -> None:
        it, other = create(), create()
        both = it.trusted_root(
            cas=[it.ca.trusted(it.during()), other.ca.trusted(it.during())],
            ct=[other.ct.trusted(it.during()), it.ct.trusted(it.during())],
            logs=[log.trusted(it.during()) for log in (*other.logs.values(), *it.logs.values())],
            tsas=[other.tsa.trusted(it.during()), it.tsa.trusted(it.during())],
        )
        alone = established(private.case(it, rekor=1), tmp_path)
        among = established(private.case(it, rekor=1, root=both), tmp_path)
        assert among.keys.authorities == alone.keys.authorities
        assert (among.keys.ct_key, among.keys.log_key) == (alone.keys.ct_key, alone.keys.log_key)
        assert established(private.case(other), tmp_path).keys.log_key != alone.keys.log_key

    def test_the_time_is_by_whoever_said_it(self, tmp_path: Path) -> None:
        it = create()
        by_log = established(private.case(it, rekor=1), tmp_path)
        by_authority = established(private.case(it, rekor=2), tmp_path)
        assert [one.clock for one in by_log.times] == [Clock.LOG]
        assert by_log.times[0].by == by_log.keys.log_key
        assert [one.clock for one in by_authority.times] == [Clock.AUTHORITY]
        assert by_log.signed == by_authority.signed == it.now

    def test_an_attestation_is_told_apart_from_a_signature(self, tmp_path: Path) -> None:
        it = create()
        plainly = established(private.case(it), tmp_path)
        attested = established(private.case(it, private.statement()), tmp_path)
        assert (plainly.predicate, plainly.attestation) == (None, "")
        assert attested.predicate
        assert len(attested.attestation) == 64


class TestClock:
    @pytest.mark.parametrize("year", [1970, 2025, 2100])
    def test_a_clock_that_cannot_be_right_is_recognised(self, year: int, tmp_path: Path) -> None:
        when = datetime(year, 6, 1, tzinfo=UTC)
        with pytest.raises(Unverifiable) as told:
            established(private.case(create()), tmp_path, when)
        assert told.value.reason.startswith("clock.")
        assert str(year) in str(told.value)
        assert "timedatectl" in told.value.hint

    def test_what_was_signed_tomorrow_has_no_answer(self, tmp_path: Path) -> None:
        it = create()
        with pytest.raises(Unverifiable) as told:
            established(private.case(it), tmp_path, it.now - timedelta(hours=1))
        assert told.value.reason == "clock.behind"

    def test_what_was_signed_long_ago_is_as_good(self, tmp_path: Path) -> None:
        it = create()
        established(private.case(it), tmp_path, it.now + timedelta(days=3000))


class TestArtifact:
    def test_a_digest_is_enough(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        case = private.case(create())
        words = case.words(tmp_path)
        assert told([*words[:2], case.digest, *words[3:]], capsys)[0] == 0
        assert told([*words[:2], f"sha256:{'0' * 64}", *words[3:]], capsys)[0] == 3

    @pytest.mark.parametrize(
        "named", ["sha256:", "sha256:12", f"sha256:{'A' * 64}", f"sha256:{'0' * 65}"]
    )
    def test_what_is_no_digest_is_misuse(
        self, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = private.case(create()).words(tmp_path)
        assert told([*words[:2], named, *words[3:]], capsys)[0] == 2

    @pytest.mark.parametrize("missing", ["artifact", "bundle", "trusted_root"])
    def test_a_file_that_is_not_there_is_no_answer(
        self, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        case = private.case(create())
        words = case.words(tmp_path)
        getattr(case.write(tmp_path), missing).unlink()
        status, said = told(words, capsys)
        assert status == 1
        assert "no such file or directory" in str(said["error"])

    def test_a_directory_is_no_artifact(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = private.case(create()).words(tmp_path)
        assert told([*words[:2], str(tmp_path), *words[3:]], capsys)[0] == 1

    @pytest.mark.parametrize("which", ["artifact", "bundle", "trusted_root"])
    def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
        self, which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        case = private.case(create())
        words, path = case.words(tmp_path), getattr(case.write(tmp_path), which)
        path.unlink()
        os.mkfifo(path)
        status, said = told(words, capsys)
        assert status == 1
        assert "is no file" in str(said["error"])


_WATCHED = """\
import json, sys
seen = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        seen.append([event, str(args[1:])])
    if event == "open" and isinstance(args[0], str):
        seen.append([event, args[0]])
from snaproot.cli.boundary import guarded
from snaproot.trust.sigstore import reading, verifying, reasons
import sigstore.verify, sigstore.models, cryptography.hazmat.asn1
sys.addaudithook(hook)
status = guarded(sys.argv[1:])
json.dump({"status": status, "seen": seen}, sys.stderr)
"""


def test_it_opens_no_connection_and_no_file_but_those_it_was_given(tmp_path: Path) -> None:
    """HOME cannot be written, and has what the library would look for of its own accord."""
    home, given = tmp_path / "home", tmp_path / "given"
    for directory in (home, given):
        directory.mkdir()
    case = private.case(create(), rekor=2)
    words, files = case.words(given), case.write(given)
    home.chmod(0o500)
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, *words],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stderr)
    library = (sys.prefix, sys.base_prefix, str(Path(plain.__file__).parents[2]), "/usr/lib")
    opened = [name for event, name in told["seen"] if event == "open"]
    assert told["status"] == 0
    assert {str(path) for path in files} == {n for n in opened if not n.startswith(library)}
    assert [one for one in told["seen"] if one[0] != "open"] == []
    assert list(home.iterdir()) == []


def test_the_library_says_nothing_of_its_own(tmp_path: Path) -> None:
    """What it warns of would reach people in its words, and beside ours."""
    words = FAULTS["root-ct-key-garbled"](create()).words(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "snaproot", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("snaproot: ")
