"""Makes what the self-test asks about: `python -m tests.trust.known`.

Each run makes another Sigstore, and so other bytes; its keys end with it. Needed only where a
question is added: what was signed once stays good.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from snaproot.trust import selftest
from snaproot.trust.documents import written
from tests.trust import private
from tests.trust.private import (
    FAULTS,
    MINUTE,
    Authority,
    Case,
    Instance,
    Leaf,
    Sct,
    create,
    edits,
    keys,
    workflow,
)

_YEARS = timedelta(days=100 * 365)
_ROOTS = {"root-ended": "ca-window-ended", "root-other-log": "root-log-key-other"}
_BUNDLES = {
    "attestation-entry-other": "dsse-entry-of-another",
    "attestation-entry-other-v1": "dsse-entry-of-another-v1",
    "attestation-other-key": "dsse-by-another-key",
    "entry-other": "entry-of-another-artifact",
    "entry-other-v1": "entry-of-another-artifact-v1",
    "promise-forged": "promise-forged",
    "stamp-other-key": "stamp-key-other",
}
"""What is broken, and the fault of the private Sigstore that it has."""


def make(directory: Path) -> None:
    """Write all files anew, and leave no others."""
    for path in directory.glob("*.json"):
        path.unlink()
    for name, content in _files(create(selftest.SIGNED)).items():
        (directory / f"{name}.json").write_bytes(content + b"\n")


def _files(it: Instance) -> Mapping[str, bytes]:
    good = private.case(it)
    attested = private.case(it, private.statement(), rekor=1, who=Leaf(workflow()))
    return {
        "signature": good.bundle,
        "attestation": attested.bundle,
        "root": good.trusted_root,
        "revocations": _revocations(good),
        **{name: made.bundle for name, made in _broken(it).items()},
        **{name: FAULTS[fault](it).bundle for name, fault in _BUNDLES.items()},
        **{name: FAULTS[fault](it).trusted_root for name, fault in _ROOTS.items()},
    }


def _broken(it: Instance) -> Mapping[str, Case]:
    """Break what is the same in both versions of the log in the first, which is the faster."""
    lying = Authority(replace(it.ca.issuer, key=keys.p256()), it.ca.root)
    unlogged = Sct(by=replace(it.ct, key=keys.p256()))
    expired = (-20 * MINUTE, -10 * MINUTE)
    corrupted = edits.change(f"{edits.PROOF}/hashes/0", edits.flipped)
    return {
        "certificate-expired": private.case(it, rekor=1, who=Leaf(life=expired)),
        "certificate-other-key": private.case(it, rekor=1, who=Leaf(by=lying)),
        "sct-other-key": private.case(it, rekor=1, who=Leaf(scts=(unlogged,))),
        "signature-other-key": private.case(it, rekor=1, key=keys.p256()),
        "proof-forged": private.case(it, rekor=1, edit=corrupted),
    }


def _revocations(good: Case) -> bytes:
    listed = {
        "schema": 1,
        "version": 1,
        "issued": written(selftest.SIGNED),
        "expires": written(selftest.SIGNED + _YEARS),
        "entries": [{"kind": "digest", "value": good.digest}],
    }
    return json.dumps(listed).encode()


if __name__ == "__main__":
    make(selftest.KNOWN)
    sys.exit(any(not answer.ok for answer in selftest.run(selftest.SIGNED)))
