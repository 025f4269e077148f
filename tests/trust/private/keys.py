"""Keys that sign, with the names that Sigstore has for their kinds."""

from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Private = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey
Public = ec.EllipticCurvePublicKey | Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Key:
    """A private key; `details` is how trusted_root.json and Rekor v2 name its kind."""

    private: Private
    details: str

    @property
    def public(self) -> Public:
        return self.private.public_key()

    @property
    def spki(self) -> bytes:
        """The public key as DER SubjectPublicKeyInfo."""
        return self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def raw(self) -> bytes:
        """The 32 octets of a public Ed25519 key."""
        return self.spki[-32:]

    @property
    def id(self) -> bytes:
        """What CT and Rekor v1 call it: the SHA-256 of the public key (RFC 6962, 3.2)."""
        return sha256(self.spki).digest()

    @property
    def hash(self) -> hashes.SHA256 | None:
        """SHA-256 with every key that takes a hash: Sigstore's clients do so for P-384, too."""
        return None if isinstance(self.private, Ed25519PrivateKey) else hashes.SHA256()

    def sign(self, message: bytes) -> bytes:
        match self.private:
            case Ed25519PrivateKey() as private:
                return private.sign(message)
            case ec.EllipticCurvePrivateKey() as private:
                return private.sign(message, ec.ECDSA(hashes.SHA256()))
            case private:
                return private.sign(message, padding.PKCS1v15(), hashes.SHA256())


def p256() -> Key:
    return Key(ec.generate_private_key(ec.SECP256R1()), "PKIX_ECDSA_P256_SHA_256")


def p384() -> Key:
    return Key(ec.generate_private_key(ec.SECP384R1()), "PKIX_ECDSA_P384_SHA_384")


def p521() -> Key:
    return Key(ec.generate_private_key(ec.SECP521R1()), "PKIX_ECDSA_P521_SHA_512")


def ed25519() -> Key:
    return Key(Ed25519PrivateKey.generate(), "PKIX_ED25519")


def rsa2048() -> Key:
    return Key(rsa.generate_private_key(65537, 2048), "PKIX_RSA_PKCS1V15_2048_SHA256")
