"""A private Sigstore in this process, for tests: CA, CT log, Rekor v1 and v2, timestamps.

It is written on `cryptography` and the standard library alone. No code of Sigstore's has part in
it, so that what verifies it is shown by something else. In use::

    it = create()                                # or create(now), all else is relative to it
    bundle = it.sign(b"...", who=Leaf(workflow()), rekor=1)
    case = FAULTS["leaf-expired"](it)            # or HAPPY["e-mail artifact v2"](it)
    files = case.write(tmp_path)                 # artifact, bundle, trusted_root
    status = run("snaproot", *case.words(tmp_path))

FAULTS and HAPPY name what a verifier is to refuse and to accept, MINOR those faults that do no
harm; `case(it, ...)` makes more of either. Leaf, Sct, Entry and Stamp say what is unusual about a
certificate, its log, the log of signatures, a timestamp. A service that lies is one of the
instance's with something replaced: `Entry(by=replace(it.logs[2], key=keys.ed25519()))`. Windows
are relative, too: `it.trusted_root(cas=[it.ca.trusted(it.during(end=-DAY))])`. What is signed
already is changed by path: `case(it, edit=edits.put(f"{edits.ENTRY}/logIndex", "7"))`.
"""

from tests.trust.private import edits, keys
from tests.trust.private.authority import Authority, Leaf, Signer
from tests.trust.private.case import ARTIFACT, Case, Files, Make, case, statement
from tests.trust.private.certificates import DAY, MINUTE
from tests.trust.private.contents import Artifact, Envelope
from tests.trust.private.faults import FAULTS, MINOR
from tests.trust.private.identity import (
    CLAIMS,
    ISSUER,
    PERSON,
    USER,
    WORKFLOW,
    Identity,
    email,
    person,
    uri,
    user,
    username,
    workflow,
)
from tests.trust.private.instance import V01, V02, V03, V03_NEW, How, Instance, create
from tests.trust.private.log import Entry, Log
from tests.trust.private.note import Head, Witness, quantum_witness, witness
from tests.trust.private.timestamps import Stamp, Tsa
from tests.trust.private.transparency import CtLog, Sct
from tests.trust.private.variants import HAPPY

__all__ = [
    "ARTIFACT",
    "CLAIMS",
    "DAY",
    "FAULTS",
    "HAPPY",
    "ISSUER",
    "MINOR",
    "MINUTE",
    "PERSON",
    "USER",
    "V01",
    "V02",
    "V03",
    "V03_NEW",
    "WORKFLOW",
    "Artifact",
    "Authority",
    "Case",
    "CtLog",
    "Entry",
    "Envelope",
    "Files",
    "Head",
    "How",
    "Identity",
    "Instance",
    "Leaf",
    "Log",
    "Make",
    "Sct",
    "Signer",
    "Stamp",
    "Tsa",
    "Witness",
    "case",
    "create",
    "edits",
    "email",
    "keys",
    "person",
    "quantum_witness",
    "statement",
    "uri",
    "user",
    "username",
    "witness",
    "workflow",
]
