"""Verifier keys: what is one, and what is not."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from snaproot.tlog import note
from snaproot.tlog.note import Key, Kind
from snaproot.trust.facts import Distrusted
from tests.tlog.signers import Signer, ecdsa, ed25519, head, mldsa44, signed, witness

ALL = (ed25519("log.example/x"), ecdsa("old.example"), witness("w.example"), mldsa44("pq"))
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
kinds = pytest.mark.parametrize("signer", ALL, ids=[signer.key.kind.name for signer in ALL])


@kinds
def test_a_key_is_read_as_it_is_written(signer: Signer) -> None:
    assert Key.parse(signer.vkey) == signer.key


def vkey(name: str, kind: int, material: bytes, id: str = "") -> str:
    """Write a key with the id that it would have."""
    try:
        id = id or Key(name, Kind(kind), material).id.hex()
    except (Distrusted, ValueError):
        id = "00000000"
    return f"{name}+{id}+{base64.b64encode(bytes([kind]) + material).decode()}"


PUBLIC = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
POINT = ec.derive_private_key(5, ec.SECP256R1()).public_key()
SPKI = POINT.public_bytes(*PUBLIC)
COMPRESSED = (
    SPKI[:1]
    + b"\x39"
    + SPKI[2:24]
    + b"\x22\0"
    + POINT.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
)
KOBLITZ = ec.derive_private_key(5, ec.SECP256K1()).public_key().public_bytes(*PUBLIC)
RSA = rsa.generate_private_key(65537, 1024).public_key().public_bytes(*PUBLIC)  # noqa: S505


MALFORMED = {
    "nothing": "",
    "a name": "PeterNeumann",
    "no key": "PeterNeumann+c74f20a3",
    "an empty key": "PeterNeumann+c74f20a3+",
    "a cut key": PETER[:-1],
    "padding": f"{PETER[:-1]}=",
    "a newline": f"{PETER}\n",
    "a space": f" {PETER}",
    "upper case": PETER.replace("c74", "C74"),
    "a space in the name": PETER.replace("Peter", "Peter "),
    "a plus in the name": PETER.replace("Peter", "Peter+"),
    "a wide space in the name": PETER.replace("Peter", "Peter\u3000"),
    "no Unicode": PETER.replace("Peter", "Peter\ud800"),
    "a long name": vkey("n" * 256, 1, bytes(32)),
    "a byte less": vkey("name", 1, bytes(31)),
    "a byte more": vkey("name", 1, bytes(33)),
    "no byte": vkey("name", 1, b""),
    "the other cosignature's key": vkey("name", 4, bytes(1312)),
    "and the other way round": vkey("name", 6, bytes(32)),
    "no DER": vkey("name", 2, bytes(32)),
    "no DER at all": vkey("name", 2, b""),
    "more than DER": vkey("name", 2, SPKI + b"\0"),
    "cut DER": vkey("name", 2, SPKI[:-1]),
    "a compressed point": vkey("name", 2, COMPRESSED),
    "Bitcoin's curve": vkey("name", 2, KOBLITZ),
    "RSA": vkey("name", 2, RSA),
}
KINDS = {f"kind {kind}": vkey("name", kind, bytes(32)) for kind in (0, 3, 5, 7, 0xFA, 0xFF)}
IDS = {
    "a cut name": PETER[1:],
    "another id": PETER.replace("c74", "c75"),
    "another key": PETER[:-1] + "X",
    "ECDSA's other id": vkey("name", 2, SPKI, "00000000"),
    "the id of a log": PETER.replace("+AR", "+BB"),
}
REFUSED = [
    *(pytest.param(text, "key.malformed", id=name) for name, text in MALFORMED.items()),
    *(pytest.param(text, "key.kind", id=name) for name, text in KINDS.items()),
    *(pytest.param(text, "key.id", id=name) for name, text in IDS.items()),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_is_no_key(text: str, said: str) -> None:
    with pytest.raises(Distrusted) as caught:
        Key.parse(text)
    assert caught.value.reason == said


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_the_curves_of_ecdsa(curve: ec.EllipticCurve) -> None:
    signer = ecdsa("log.example", curve)
    assert note.verify(note.parse(signed(head(), signer)), [Key.parse(signer.vkey)])


@given(st.text(), st.sampled_from(ALL[:3]), st.data())
@settings(deadline=None)
def test_another_text_is_no_key_or_another(text: str, good: Signer, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(good.vkey)))
    for end in (place, place + 1, len(good.vkey)):
        changed = good.vkey[:place] + text + good.vkey[end:]
        try:
            found = Key.parse(changed)
        except Distrusted:
            continue
        assert (found == good.key) == (changed == good.vkey)
