"""What a verifier is to refuse, by name: one fault each, with all around it signed as usual."""

from collections.abc import Mapping

from tests.trust.private.case import Make
from tests.trust.private.faults.bundles import BUNDLES
from tests.trust.private.faults.certificates import CERTIFICATES
from tests.trust.private.faults.checkpoints import CHECKPOINTS
from tests.trust.private.faults.entries import ENTRIES
from tests.trust.private.faults.envelopes import ENVELOPES
from tests.trust.private.faults.roots import ROOTS
from tests.trust.private.faults.stamps import STAMPS

FAULTS: Mapping[str, Make] = {
    **CERTIFICATES,
    **ENTRIES,
    **CHECKPOINTS,
    **STAMPS,
    **BUNDLES,
    **ENVELOPES,
    **ROOTS,
}

MINOR = frozenset(
    {
        "ca-root-expired",
        "checkpoint-name-other",
        "checkpoint-size-padded",
        "digest-algorithm-other",
        "dsse-entry-envelope-other-v1",
        "index-other",
        "leaf-p521",
        "proof-size-smaller",
        "root-log-id-other",
        "sct-log-unknown",
        "signature-with-junk",
        "stamp-certificate-other",
        "stamp-content-type-other",
    }
)
"""Wrong in what proves nothing, mostly hints that nobody signs: a strict verifier refuses them, a
sound one need not."""
