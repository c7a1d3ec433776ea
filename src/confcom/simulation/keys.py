"""P-256 keys and signatures in the raw form of quotes and signed collateral: big endian, r || s and x || y."""

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

_SHA256 = ec.ECDSA(hashes.SHA256())
_COORDINATE = 32


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """ECDSA with SHA-256 over `message`: r and s, 32 bytes each."""
    r, s = decode_dss_signature(key.sign(message, _SHA256))
    return r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)


def raw_public_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public point: x and y, 32 bytes each, without the 0x04 of the SEC 1 form."""
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(_COORDINATE) + numbers.y.to_bytes(_COORDINATE)


def key_to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, PEM, not encrypted: file permissions protect it, and it vouches for nothing real."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_from_pem(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The inverse of `key_to_pem`.

    Raises:
        ValueError: this is no P-256 private key.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the key is not on the curve P-256")  # noqa: TRY004 - callers know one error
    return key
