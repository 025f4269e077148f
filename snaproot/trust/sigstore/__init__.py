"""The one importer of sigstore: reads its files into our words, and lets it verify.

What it verifies against is narrowed to the one log, the one certificate transparency log and the
one authority that were chosen, so that what verified is known. Its policies are not used: it is
asked whether a bundle holds together, ours is asked whom to believe. The release is pinned: a few
of its private names are used, and the words of its errors are told apart, here alone.

Sources: sigstore's client specification; protobuf-specs.
"""

import logging
import warnings

# What the libraries would like to warn of is judged by us; otherwise it would be printed.
logging.getLogger("sigstore").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", module=r"(snaproot\.trust|sigstore|cryptography)(\.|$)")
