import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snaproot.packages import aptarchives
from snaproot.packages.aptarchives import Listed, Signed
from snaproot.trust.policy import Archive

PRIMARY = "DA5C8555D81D7B876276C7A994AB88202D9DCFC6"
SUBKEY = "DF853447754279C6A9E40A6800FF08CB04D73E7F"
STRANGER = "44087DDB734565BCD65A4399ED1B2C2B6899FB46"
RELEASE = """\
Origin: Debian
Label: Debian
Suite: stable
Codename: trixie
Date: Sat, 14 Nov 2026 10:20:30 UTC
MD5Sum:
 00 1 main/binary-amd64/Packages
SHA256:
 0a0a 1 main/binary-amd64/Packages
 0b0b 12 ./Packages
 Origin: nobody
SHA512:
 ff 1 main/binary-amd64/Packages
"""
RELEASE_INDEX = "main/binary-amd64/Packages"
PIN = Archive("debian", "Debian", "trixie", (PRIMARY,))


def valid(key: str, primary: str, *, hash: int = 10) -> str:
    return f"[GNUPG:] VALIDSIG {key} 2026-11-30 1796063762 0 4 0 22 {hash} 01 {primary}\n"


def good(key: str, primary: str, *, hash: int = 10, word: str = "GOODSIG") -> str:
    return (
        f"[GNUPG:] NEWSIG\n[GNUPG:] KEY_CONSIDERED {primary} 0\n"
        f"[GNUPG:] {word} {key[-16:]} archive\n{valid(key, primary, hash=hash)}"
    )


MISSING = (
    f"[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG {STRANGER[-16:]} 22 10 01 1796063762 9 {STRANGER}\n"
    f"[GNUPG:] NO_PUBKEY {STRANGER[-16:]}\n"
)


def armored(key: bytes, headers: str = "") -> str:
    body = base64.encodebytes(key).decode()
    return (
        f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n{headers}\n{body}=HNb0\n"
        "-----END PGP PUBLIC KEY BLOCK-----\n"
    )


def test_every_index_has_its_release_file() -> None:
    names = [
        "lock",
        "partial",
        "deb.example.org_debian_dists_trixie_InRelease",
        "deb.example.org_debian_dists_trixie_main_binary-amd64_Packages",
        "deb.example.org_debian_dists_trixie_main_i18n_Translation-en",
        "deb.example.org_debian_dists_trixie-updates_InRelease",
        "deb.example.org_debian_dists_trixie-updates_main_binary-amd64_Packages.lz4",
        "_srv_flat_._Release",
        "_srv_flat_._Release.gpg",
        "_srv_flat_._Packages",
        "src.example.org_dists_sid_InRelease",
        "src.example.org_dists_sid_main_source_Sources",
    ]
    place = "deb.example.org_debian_dists_trixie"
    assert aptarchives.listed(names) == [
        Listed("srv/flat/.", "_srv_flat_._Release", "_srv_flat_._Release.gpg"),
        *(
            Listed(f"deb.example.org/debian/dists/{suite}", *[f"{file}_InRelease"] * 2)
            for suite, file in (("trixie-updates", f"{place}-updates"), ("trixie", place))
        ),
    ]


def test_an_index_without_a_signature_is_of_an_archive_all_the_same() -> None:
    unsigned = ["_srv_a%5fb_dists_demo_Release", "_srv_a%5fb_dists_demo_main_binary-arm64_Packages"]
    release = "_srv_a%5fb_dists_demo_Release"
    assert aptarchives.listed(unsigned) == [Listed("srv/a_b/dists/demo", release)]
    (found,) = aptarchives.listed(unsigned[1:])
    assert not found.release
    assert "srv/a_b" in found.name


def test_a_release_file_names_the_digest_of_each_index() -> None:
    names = ["_srv_x_InRelease", "_srv_x_dists_demo_InRelease", "_srv_x_._Release"]
    for file, archive, index in (
        ("_srv_x_dists_demo_main_binary-amd64_Packages", "srv/x/dists/demo", RELEASE_INDEX),
        ("_srv_x_._Packages", "srv/x/.", "Packages"),
    ):
        found, called = aptarchives.member(file, names)
        assert (found.name, called) == (archive, index)
    assert aptarchives.digests(RELEASE) == {RELEASE_INDEX: "0a0a", "Packages": "0b0b"}
    assert aptarchives.digests("Origin: x\nMD5Sum:\n 00 1 Packages\n") == {}


def test_the_keys_of_sources_are_found_in_both_formats() -> None:
    sources = (
        "deb [arch=amd64 signed-by=/etc/a.asc,/etc/b.gpg trusted=no] http://x y z\n"
        f"Types: deb\nSigned-By: /usr/c.gpg {PRIMARY}!\n"
        "# deb [signed-by=/none.gpg] http://x y z\nSigned-By:\n /usr/d.gpg\nSuites: x\n"
    )
    expected = ("/etc/a.asc", "/etc/b.gpg", "/usr/c.gpg", "/usr/d.gpg")
    assert aptarchives.keyrings(sources) == expected


def test_keys_are_read_in_whatever_form_apt_reads_them() -> None:
    key = b"\x98" + bytes(range(120))
    folded = "".join(f" {line or '.'}\n" for line in armored(key).splitlines())
    assert aptarchives.inline_keys(f"Types: deb\nSigned-By:\n{folded}Suites: x\n") == key
    assert aptarchives.inline_keys("Types: deb\nSigned-By: /a.gpg\n") == b""
    for form in (armored(key), armored(key, "Version: 1\n"), armored(key).replace("\n", "\r\n")):
        assert aptarchives.binary(form.encode()) == key
    assert aptarchives.binary((armored(key) + armored(b"\x99")).encode()) == key + b"\x99"
    assert aptarchives.binary(key) == key


@pytest.mark.parametrize(
    "content", [b"", b"KBXf", b"\xff\xfe", armored(b"x").replace("eA", "e!").encode()]
)
def test_what_is_no_keyring_holds_no_key(content: bytes) -> None:
    assert aptarchives.binary(content) == b""


@given(st.binary(max_size=400), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_keys_are_cut_and_none_is_lost(keys: bytes, size: int) -> None:
    cut = aptarchives.chunks(keys, size)
    assert all(len(one) <= size for one in cut)
    assert base64.b64decode("".join(cut)) == keys


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        ("", ()),
        (f"{PRIMARY}\n{STRANGER}\n", (PRIMARY, STRANGER)),
        (good(SUBKEY, PRIMARY), (PRIMARY,)),
        (good(SUBKEY, PRIMARY) + MISSING, (PRIMARY,)),
        (MISSING + good(SUBKEY, PRIMARY), (PRIMARY,)),
        (good(SUBKEY, PRIMARY) * 2, (PRIMARY,)),
        (MISSING, ()),
        (good(SUBKEY, PRIMARY, word="EXPKEYSIG"), ()),
        (good(SUBKEY, PRIMARY, word="REVKEYSIG"), ()),
        (good(STRANGER, STRANGER) + good(SUBKEY, PRIMARY, word="EXPKEYSIG"), (STRANGER,)),
        (good(SUBKEY, PRIMARY, hash=2), ()),
        (valid(SUBKEY, PRIMARY), ()),
        (f"[GNUPG:] GOODSIG {PRIMARY[-16:]} {PRIMARY}\n", ()),
        (f"[GNUPG:] \n[GNUPG:]\n[GNUPG:] VALIDSIG\nsqv: {PRIMARY}\n", ()),
    ],
    ids=[
        *("nobody", "sqv", "gpgv", "one-key-missing", "the-first-missing", "twice", "none-known"),
        *("expired", "revoked", "good-then-expired", "weak", "not-good", "half", "garbage"),
    ],
)
def test_who_signed_is_who_has_a_good_signature(said: str, keys: tuple[str, ...]) -> None:
    found = aptarchives.signed("x", said, RELEASE)
    assert found == Signed("x", keys, "Debian", "stable", "trixie")


@given(st.text("[GNUPG:] VALIDSOEXRKY\n 0123456789ABCDEF", max_size=300), st.text(max_size=100))
@settings(max_examples=200, deadline=None)
def test_whatever_is_said_can_be_read(said: str, text: str) -> None:
    found = aptarchives.signed("x", said, text)
    assert all(len(key) in {40, 64} for key in found.keys)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"suite": "trixie", "codename": ""}, ""),
        ({"keys": (STRANGER, PRIMARY)}, ""),
        ({"keys": ()}, "no key of this root's vouches for it"),
        ({"keys": (STRANGER,)}, f"it is signed by {STRANGER}, and debian is by other keys"),
        ({"origin": "Other"}, 'its origin is "Other", its suite "stable" (trixie)'),
        ({"codename": "sid"}, 'its origin is "Debian", its suite "stable" (sid)'),
        ({"suite": "", "codename": ""}, 'its origin is "Debian", its suite "" (-)'),
    ],
    ids=["pinned", "by-suite", "one-of-two", "unsigned", "key", "origin", "suite", "nothing"],
)
def test_only_what_is_pinned_in_all_three_is_pinned(changed: dict[str, object], why: str) -> None:
    facts = {"keys": (PRIMARY,), "origin": "Debian", "suite": "stable", "codename": "trixie"}
    found = Signed("x", **facts | changed)  # type: ignore[arg-type]
    assert aptarchives.unpinned(found, [PIN]) == why


def test_the_key_of_one_pin_is_none_for_another() -> None:
    other = Archive("other", "Other", "trixie", (STRANGER,))
    found = Signed("x", (STRANGER,), "Debian", "stable", "trixie")
    assert aptarchives.unpinned(found, [PIN, other])
    assert not aptarchives.unpinned(found, [PIN, Archive("b", "Debian", "stable", (STRANGER,))])
