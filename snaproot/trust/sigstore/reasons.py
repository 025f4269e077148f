"""Which of our reasons an error of the library's is.

Its classes are too few to tell a forged log entry from a wrong artifact, so its words are told
apart; a release whose words are others says `verification.failed`, and a test goes red.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from snaproot.trust.facts import Distrusted, Unverifiable

READING: Mapping[str, str] = MappingProxyType(
    {
        "expected certificate": "bundle.certificate",
        "expected non-empty certificate chain": "bundle.certificate",
        "bundle contains an invalid leaf": "bundle.certificate",
        "publicKey, x509CertificateChain": "bundle.certificate",
        "error parsing asn1 value": "bundle.certificate",
        "messageSignature or dsseEnvelope": "bundle.content",
        "expected exactly one log entry": "bundle.log-entries",
        "Expected log entry version": "bundle.entry-version",
        "entry must contain inclusion proof": "bundle.inclusion-proof",
        "must contain an inclusion promise": "bundle.time",
        "Invalid Timestamp Response": "time.malformed",
    }
)
VERIFYING: Mapping[str, str] = MappingProxyType(
    {
        "no Timestamp Authorities": "time.authority-unknown",
        "too many signed timestamp": "time.count",
        "duplicate timestamp": "time.duplicate",
        "Integrated time only supported": "time.entry-version",
        "failed to build timestamp certificate chain": "certificate.chain",
        "failed to verify SCT": "sct.signature",
        "inclusion proof has wrong size": "log.proof",
        "inclusion proof contains invalid root hash": "log.proof",
        "Inclusion proof contains invalid root hash signature": "log.checkpoint-root",
        "note must contain one blank line": "log.checkpoint",
        "malformed Note": "log.checkpoint",
        "malformed LogCheckpoint": "log.checkpoint",
        "Incorrect padding": "log.checkpoint",
        "Invalid base64-encoded string": "log.checkpoint",
        "checkpoint: invalid signature": "log.checkpoint-signature",
        "checkpoint: Signature not found": "log.checkpoint-signature",
        "SET: invalid inclusion promise": "log.promise",
        "Bundle message digest mismatch": "signature.digest",
        "Signature is invalid for input": "signature.invalid",
        "DSSE: invalid signature": "signature.invalid",
        "envelope must contain": "signature.count",
        "envelope signature must": "signature.count",
        "Expected entry type hashedrekord": "log.entry-kind",
        "Unsupported": "log.entry-kind",
        "log entry": "log.entry",
        "validation error": "log.entry",
    }
)
"""What the library says, the more telling words first, and the reason that it is."""

_LINE = 200


@contextmanager
def refusing(words: Mapping[str, str], otherwise: str, what: str) -> Iterator[None]:
    """Turn whatever the library raises into Distrusted: for what was read from a bundle alone."""
    try:
        yield
    except (Distrusted, Unverifiable):
        raise
    except Exception as error:
        raise Distrusted(
            _reason(error, words) or otherwise,
            f"{what} cannot be believed: {said(error)}; nothing of it was used",
        ) from error


@contextmanager
def verifying(what: str) -> Iterator[None]:
    """Turn what the library says of a bundle into Distrusted, and any other into Unverifiable.

    A ValueError is of what it parses late, the body of a log entry.
    """
    from sigstore.errors import Error

    try:
        yield
    except (Distrusted, Unverifiable):
        raise
    except (Error, ValueError) as error:
        raise Distrusted(
            _reason(error, VERIFYING) or "verification.failed",
            f"{what} cannot be believed: {said(error)}; nothing of it was used",
        ) from error
    except Exception as error:
        raise Unverifiable(
            "verification.unexpected",
            f"{what} could not be verified: {type(error).__name__}: {said(error)}; "
            "nothing of it was used",
        ) from error


def said(error: Exception) -> str:
    """Return what an error says, on one line that is not too long.

    Some repeat what the file says, and that is not to write to a terminal.
    """
    words = " ".join(str(error).split())
    words = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in words)
    return f"{words[:_LINE]}..." if len(words) > _LINE else words or type(error).__name__


def _reason(error: Exception, words: Mapping[str, str]) -> str | None:
    text = str(error)
    return next((reason for word, reason in words.items() if word in text), None)
