"""Faults of trusted roots: windows that do not hold the signature's time, and their form."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.trust.private import keys
from tests.trust.private.case import Case, Make, case
from tests.trust.private.certificates import DAY, MINUTE
from tests.trust.private.edits import Edit, drop, put
from tests.trust.private.encoding import Json, base64
from tests.trust.private.instance import Instance
from tests.trust.private.timestamps import Tsa

_KINDS = ("ca", "ct", "log", "log-v1", "tsa")
_KEY = "publicKey/rawBytes"


def _root(it: Instance, kind: str, listed: list[tuple[Instance, Json]]) -> Json:
    """Trust, of one kind, what is listed with its windows, and of the others the instance's."""
    match kind:
        case "ca":
            return it.trusted_root(cas=[of.ca.trusted(window) for of, window in listed])
        case "ct":
            return it.trusted_root(ct=[of.ct.trusted(window) for of, window in listed])
        case "tsa":
            return it.trusted_root(tsas=[of.tsa.trusted(window) for of, window in listed])
        case _:
            version = 1 if kind == "log-v1" else 2
            return it.trusted_root(logs=[of.logs[version].trusted(w) for of, w in listed])


def _version(kind: str) -> int:
    return 1 if kind == "log-v1" else 2


def _ended(kind: str) -> Make:
    """Sign a day after the window ended."""
    return lambda it: case(
        it, rekor=_version(kind), root=_root(it, kind, [(it, it.during(end=-DAY))])
    )


def _later(kind: str) -> Make:
    """Sign a minute before the window begins; by now it has begun."""
    return lambda it: case(
        it, rekor=_version(kind), root=_root(it, kind, [(it, it.during(MINUTE))])
    )


def _rotated(kind: str) -> Make:
    """Sign with the old one after the new one, of the same name, took over."""

    def make(it: Instance) -> Case:
        listed = [(it, it.during(end=-DAY)), (it.foreign(), it.during(-DAY))]
        return case(it, rekor=_version(kind), root=_root(it, kind, listed))

    return make


def _edited(edit: Edit) -> Make:
    def make(it: Instance) -> Case:
        root = it.trusted_root(logs=[it.logs[2].trusted(it.during())])
        edit(root)
        return case(it, root=root)

    return make


def _written(how: Callable[[bytes], bytes]) -> Make:
    def make(it: Instance) -> Case:
        made = case(it)
        return replace(made, trusted_root=how(made.trusted_root))

    return make


def _log_key_other(it: Instance) -> Case:
    """Trust another key of the log's name and id."""
    other = replace(it.logs[2], key=keys.ed25519())
    return case(it, root=it.trusted_root(logs=[other.trusted(it.during())]))


def _tsa_without_root(it: Instance) -> Case:
    alone = Tsa(it.tsa.signer, it.tsa.chain[:1])
    return case(it, root=it.trusted_root(tsas=[alone.trusted(it.during())]))


_WINDOWS: Mapping[str, Make] = {
    **{f"{kind}-window-ended": _ended(kind) for kind in _KINDS},
    **{f"{kind}-window-later": _later(kind) for kind in _KINDS},
    **{f"{kind}-rotated-away": _rotated(kind) for kind in _KINDS},
}
_FORMS: Mapping[str, Make] = {
    "root-without-cas": _edited(put("certificateAuthorities", [])),
    "root-without-ct": _edited(put("ctlogs", [])),
    "root-without-logs": _edited(put("tlogs", [])),
    "root-without-tsas": _edited(put("timestampAuthorities", [])),
    "root-without-tsas-at-all": _edited(drop("timestampAuthorities")),
    "root-tsa-incomplete": _tsa_without_root,
    "root-media-unknown": _edited(put("mediaType", "application/json")),
    "root-media-newer": _edited(
        put("mediaType", "application/vnd.dev.sigstore.trustedroot.v0.2+json")
    ),
    "root-field-unknown": _edited(put("more", "more")),
    "root-log-key-other": _log_key_other,
    "root-log-id-other": _edited(put("tlogs/0/logId/keyId", base64(bytes(32)))),
    "root-log-key-garbled": _edited(put(f"tlogs/0/{_KEY}", base64(b"a key"))),
    "root-log-details-unsupported": _edited(put("tlogs/0/publicKey/keyDetails", "ML_DSA_65")),
    "root-log-details-unknown": _edited(put("tlogs/0/publicKey/keyDetails", "PKIX_OTHER")),
    "root-log-details-wrong": _edited(
        put("tlogs/0/publicKey/keyDetails", "PKIX_ECDSA_P256_SHA_256")
    ),
    "root-ct-key-garbled": _edited(put(f"ctlogs/0/{_KEY}", base64(b"a key"))),
    "root-ct-details-unsupported": _edited(
        put("ctlogs/0/publicKey/keyDetails", "PKIX_RSA_PSS_2048_SHA256")
    ),
    "root-ca-garbled": _edited(
        put("certificateAuthorities/0/certChain/certificates/0/rawBytes", base64(b"a certificate"))
    ),
    "root-ca-empty": _edited(put("certificateAuthorities/0/certChain/certificates", [])),
    "root-window-no-time": _edited(put("certificateAuthorities/0/validFor/start", "long ago")),
    "root-window-missing": _edited(drop("certificateAuthorities/0/validFor")),
    "root-not-json": _written(lambda text: text[:-1]),
    "root-not-an-object": _written(lambda text: json.dumps([text.decode()]).encode()),
    "root-empty": _written(lambda _: b""),
}
ROOTS: Mapping[str, Make] = {**_WINDOWS, **_FORMS}
