"""Signed notes: what is one, and whose signatures hold."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snaproot.tlog import note
from snaproot.tlog.note import LARGEST, MOST, Key, Kind, Note, Signature
from snaproot.trust.facts import Distrusted
from tests.tlog.signers import NOON, ORIGIN, Signer, ecdsa, ed25519, head, mldsa44, signed, witness

TEXT = head()
LOG, OLD, SEEN, PQ = ed25519(ORIGIN), ecdsa("old.example"), witness("w.example"), mldsa44("pq")
ALL = (LOG, OLD, SEEN, PQ)
KEYS = tuple(signer.key for signer in ALL)
WHEN = datetime.fromtimestamp(NOON, UTC)
SIGNED = signed(TEXT, *ALL)
kinds = pytest.mark.parametrize("signer", ALL, ids=[signer.key.kind.name for signer in ALL])


def reason(what: str | bytes, *keys: Key) -> str:
    """Why it is refused; empty where it is not."""
    try:
        note.verify(note.parse(what), keys)
    except Distrusted as error:
        return error.reason
    return ""


# -- notes of others -----------------------------------------------------------------------------

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
CRYPTOGRAPHY = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=
"""  # noqa: E501
REKOR = (
    "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBc"
    "K5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc="
)
REKORS = """\
Rekor
798034
f+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=

— rekor.sigstore.dev wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=
"""  # noqa: E501
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
ARCHE = (
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
)
ARCHES = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
"""  # noqa: E501
MLDSA, MLDSAS = Path(__file__).with_name("mldsa44.txt").read_text().split("\n", 1)


@pytest.mark.parametrize(
    ("text", "vkeys", "times"),
    [
        (CRYPTOGRAPHY, (PETER, ENOCH), (None, None)),
        (CRYPTOGRAPHY, (ENOCH,), (None,)),
        (REKORS, (REKOR,), (None,)),
        (ARCHES, (ARCHE, REMORA), (None, datetime(2026, 5, 23, 21, 50, 24, tzinfo=UTC))),
        (MLDSAS, (MLDSA,), (None,)),
    ],
    ids=["Go's own", "one key of two", "Rekor", "an armored witness", "litewitness's ML-DSA-44"],
)
def test_notes_that_others_signed(
    text: str, vkeys: tuple[str, ...], times: tuple[datetime | None, ...]
) -> None:
    keys = [Key.parse(vkey) for vkey in vkeys]
    found = note.verify(note.parse(text), keys)
    assert [(one.key, one.time) for one in found] == list(zip(keys, times, strict=True))


@pytest.mark.parametrize(
    ("text", "vkey", "old", "new"),
    [
        (CRYPTOGRAPHY, PETER, "your", "our"),
        (REKORS, REKOR, "798034", "798035"),
        (ARCHES, REMORA, "1432088532", "1432088533"),
        (MLDSAS, MLDSA, "\n1\n", "\n2\n"),
        (MLDSAS, MLDSA, "example.com/mldsa-log\n", "example.com/mldsa\n"),
    ],
    ids=["Ed25519", "ECDSA", "Ed25519 cosignature", "a tree by ML-DSA-44", "a log by ML-DSA-44"],
)
def test_others_did_not_sign_another_text(text: str, vkey: str, old: str, new: str) -> None:
    assert reason(text.replace(old, new, 1), Key.parse(vkey)) == "note.signature"


# -- what is a note ------------------------------------------------------------------------------

LINE = LOG.line(TEXT)


def test_it_is_text_and_signatures() -> None:
    found = note.parse(f"a\n\n\nb\n\n{LINE}{SEEN.line(TEXT)}")
    assert found.text == "a\n\n\nb\n"
    assert [(one.name, one.id) for one in found.signatures] == [
        (LOG.key.name, LOG.key.id),
        (SEEN.key.name, SEEN.key.id),
    ]
    assert len(found.signatures[0].value) == 64


def test_bytes_and_text_are_read_alike() -> None:
    assert note.parse(SIGNED.encode()) == note.parse(SIGNED)


NAME = LINE.rpartition(" ")[0]
BAD = {
    "nothing": "",
    "empty lines": "\n\n",
    "text": TEXT,
    "no signature": f"{TEXT}\n",
    "no empty line": f"{TEXT}{LINE}",
    "no text": f"\n{LINE}",
    "a signature alone": LINE,
    "no end": f"{TEXT}\n{LINE[:-1]}",
    "an empty line at the end": f"{TEXT}\n{LINE}\n",
    "two": f"{TEXT}\n{LINE}\n\n",
    "a line after": f"{TEXT}\n{LINE}more\n",
    "a line before": f"{TEXT}\nmore\n{LINE}",
    "lines of DOS": f"{TEXT}\n{LINE}".replace("\n", "\r\n"),
    "UTF-16": f"{TEXT}\n{LINE}".encode("utf-16"),
    "Latin-1": f"ö\n\n{LINE}".encode("latin-1", "replace"),
    "half a pair": f"\ud800{TEXT}\n{LINE}",
    "a control character": f"\x01{TEXT}\n{LINE}",
    "a tab": f"a\tb\n\n{LINE}",
    "a zero byte": f"\0{TEXT}\n{LINE}",
    "another dash": f"{TEXT}\n{LINE.replace('— ', '- ')}",
    "no space": f"{TEXT}\n{LINE.replace('— ', '—')}",
    "more space": f"{TEXT}\n{LINE.replace('— ', '—  ')}",
    "a plus in the name": f"{TEXT}\n{LINE.replace(' log', ' l+g')}",
    "a space in the name": f"{TEXT}\n{LINE.replace(' log', ' l og')}",
    "a wide space in the name": f"{TEXT}\n{LINE}".replace(" log", " l\u2003g"),
    "a next line in the name": f"{TEXT}\n{LINE}".replace(" log", " l\u0085g"),
    "a name alone": f"{TEXT}\n{NAME}\n",
    "a name and a space": f"{TEXT}\n{NAME} \n",
    "space at the end": f"{TEXT}\n{LINE[:-1]} \n",
    "no padding": f"{TEXT}\n{LINE[:-2]}\n",
    "more padding": f"{TEXT}\n{LINE[:-1]}=\n",
    "an id alone": f"{TEXT}\n{NAME} AAAAAA==\n",
    "loose bits": f"{TEXT}\n{NAME} AAAAAAB=\n",
    "base64 of URLs": f"{TEXT}\n{NAME} AAAA_-A=\n",
    "no ASCII": f"{TEXT}\n{NAME} AAAAAÄA=\n",
    "many signatures": f"{TEXT}\n{LINE * (MOST + 1)}",
    "a long text": f"{'x' * LARGEST}\n\n{LINE}",
    "a long text in UTF-8": f"{'ö' * (LARGEST // 2)}\n\n{LINE}",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_note(data: str | bytes) -> None:
    assert reason(data, *KEYS) == "note.malformed"


def test_notes_to_the_bounds() -> None:
    assert len(note.parse(f"{TEXT}\n{LINE * MOST}").signatures) == MOST
    note.parse(f"{'x' * (LARGEST - 2 - len(LINE.encode()))}\n\n{LINE}")


@given(st.one_of(st.binary(), st.text(), st.text().map(lambda text: f"{text}\n\n{LINE}")))
@example(SIGNED)
@settings(deadline=None)
def test_there_is_one_way_to_write_a_note(data: str | bytes) -> None:
    try:
        found = note.parse(data)
    except Distrusted:
        return
    assert written(found) == (data.encode() if isinstance(data, str) else data)


def written(found: Note) -> bytes:
    lines = [f"— {one.name} {encoded(one)}\n" for one in found.signatures]
    return f"{found.text}\n{''.join(lines)}".encode()


def encoded(one: Signature) -> str:
    return base64.b64encode(one.id + one.value).decode()


# -- whose signatures hold -----------------------------------------------------------------------


def test_all_four_kinds_are_verified() -> None:
    found = note.verify(note.parse(SIGNED), KEYS)
    assert [one.key for one in found] == list(KEYS)
    assert [one.time for one in found] == [None, None, WHEN, WHEN]


@kinds
def test_each_kind_alone(signer: Signer) -> None:
    (found,) = note.verify(note.parse(SIGNED), [signer.key, signer.key])
    assert found.key == signer.key


@kinds
def test_a_bad_signature_of_a_known_key_refuses_the_note(signer: Signer) -> None:
    others = [one for one in ALL if one is not signer]
    bad = signer.line(TEXT.replace("2", "3"))
    assert reason(signed(TEXT, *others) + bad, *KEYS) == "note.signature"
    assert reason(signed(TEXT, *ALL) + bad, *KEYS) == "note.signature"
    assert reason(signed(TEXT, *others) + bad, *(one.key for one in others)) == ""


@kinds
def test_a_note_without_a_known_key_is_refused(signer: Signer) -> None:
    others = [one for one in ALL if one is not signer]
    assert reason(signed(TEXT, *others), signer.key) == "note.unsigned"
    assert reason(signed(TEXT, *others)) == "note.unsigned"
    assert note.signed(note.parse(signed(TEXT, *others)), [signer.key]) == ()


@kinds
def test_a_signature_counts_under_its_own_name_alone(signer: Signer) -> None:
    renamed = signer.line(TEXT).replace(f" {signer.key.name} ", " else.example ")
    assert reason(f"{TEXT}\n{renamed}", signer.key) == "note.unsigned"


@kinds
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 63, 65, 72, 73, 2419, 2429])
def test_signatures_of_any_length_are_bad(signer: Signer, size: int) -> None:
    value = base64.b64encode(signer.key.id + b"\1" * size).decode()
    said = "note.signature" if size else "note.malformed"
    assert reason(f"{TEXT}\n— {signer.key.name} {value}\n", signer.key) == said


@pytest.mark.parametrize("byte", [b"\0", b"\1", b"\xff"])
@pytest.mark.parametrize("kind", [Kind.ED25519, Kind.ED25519_COSIGNATURE, Kind.MLDSA44_COSIGNATURE])
def test_nothing_is_signed_by_a_key_that_is_no_point(kind: Kind, byte: bytes) -> None:
    key = Key("log.example", kind, byte * (1312 if kind is Kind.MLDSA44_COSIGNATURE else 32))
    size = {Kind.ED25519: 64, Kind.ED25519_COSIGNATURE: 72, Kind.MLDSA44_COSIGNATURE: 2428}[kind]
    value = base64.b64encode(key.id + bytes(size)).decode()
    assert reason(f"{TEXT}\n— log.example {value}\n", key) == "note.signature"


@kinds
def test_a_signature_is_none_of_another_kind(signer: Signer) -> None:
    """A witness's key may be a log's key; what it signs as the one counts not as the other."""
    turned = {Kind.ED25519: Kind.ED25519_COSIGNATURE, Kind.ED25519_COSIGNATURE: Kind.ED25519}
    if signer.key.kind in turned:
        other = Key(signer.key.name, turned[signer.key.kind], signer.key.material)
        line = note.parse(f"{TEXT}\n{signer.line(TEXT)}").signatures[0]
        forged = encoded(Signature(line.name, other.id, line.value))
        assert reason(f"{TEXT}\n— {line.name} {forged}\n", other) == "note.signature"


def test_of_keys_that_look_alike_none_stands_in_for_the_other() -> None:
    """These have one id; an id is not more than a hint."""
    alike = [ed25519("log.example", seed=seed) for seed in ("25990", "57706")]
    assert len({one.key.id for one in alike}) == 1
    for one, other in (alike, alike[::-1]):
        assert reason(signed(TEXT, one), one.key) == ""
        assert reason(signed(TEXT, one), one.key, other.key) == "note.signature"


def test_the_time_is_part_of_what_a_witness_signed() -> None:
    for signer in (SEEN, PQ):
        line = note.parse(f"{TEXT}\n{signer.line(TEXT)}").signatures[0]
        later = (NOON + 1).to_bytes(8) + line.value[8:]
        forged = encoded(Signature(line.name, line.id, later))
        assert reason(f"{TEXT}\n— {line.name} {forged}\n", signer.key) == "note.signature"


def test_a_witness_by_another_name_signs_something_else() -> None:
    """With ML-DSA-44, where the name is signed, too."""
    twin = Key("twin", PQ.key.kind, PQ.key.material)
    line = note.parse(f"{TEXT}\n{PQ.line(TEXT)}").signatures[0]
    forged = encoded(Signature(twin.name, twin.id, line.value))
    assert reason(f"{TEXT}\n— twin {forged}\n", twin) == "note.signature"


def test_what_is_no_checkpoint_has_no_cosignatures() -> None:
    text = "no checkpoint\n"
    message = f"cosignature/v1\ntime {NOON}\n{text}".encode()
    value = SEEN.key.id + NOON.to_bytes(8) + SEEN.sign(message)
    line = f"— {SEEN.key.name} {base64.b64encode(value).decode()}\n"
    assert reason(f"{text}\n{line}", SEEN.key) == "checkpoint.malformed"
    assert reason(f"{text}\n{line}{LOG.line(text)}", LOG.key) == ""


def test_extension_lines_are_signed_by_all_who_can() -> None:
    text = head(extensions=("more",))
    assert reason(signed(text, LOG, OLD, SEEN), *KEYS) == ""
    assert reason(signed(text, LOG, PQ), *KEYS) == "note.signature"


MARKS = [0, len(TEXT), len(TEXT) + 1, *(i for i, one in enumerate(SIGNED) if one in " \n—")]


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """Cut, put in, doubled, swapped or changed: near what matters, or anywhere."""
    places = st.one_of(st.sampled_from(MARKS), st.integers(0, len(SIGNED)))
    begin, end = sorted((draw(places), draw(places)))
    piece = draw(st.one_of(st.text(max_size=3), st.sampled_from(SIGNED.splitlines(keepends=True))))
    whole, cut = SIGNED, SIGNED[begin:end]
    match draw(st.sampled_from(["cut", "put", "one", "double", "move"])):
        case "cut":
            return whole[:begin] + whole[end:]
        case "put":
            return whole[:begin] + piece + whole[begin:]
        case "one":
            return whole[:begin] + piece[:1] + whole[begin + 1 :]
        case "double":
            return whole[:end] + cut + whole[end:]
        case _:
            return whole[:begin] + whole[end:] + cut


@given(mutations())
@settings(deadline=None)
def test_a_changed_note_says_the_same_or_nothing(data: str) -> None:
    try:
        found = note.parse(data)
        by = note.verify(found, KEYS)
    except Distrusted:
        return
    assert found.text == TEXT
    assert set(by) <= set(note.verify(note.parse(SIGNED), KEYS))


def test_messages_are_one_printable_line() -> None:
    for data in ("\x1b[31m", f"{TEXT}\n\u009b31m\u2028\n", f"{TEXT}\n{'x' * 5000}\n"):
        with pytest.raises(Distrusted) as caught:
            note.parse(data)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 200
