"""X.509 certificates, their PEM chains and CRLs, read once into what verification asks of them.

`cryptography` parses; what it leaves open is closed here: P-256 and ecdsa-with-SHA256 only, critical extensions
that nobody has looked at are named, and signatures are checked over the received bytes, never over re-encoded ones.
"""

import binascii
import enum
from dataclasses import dataclass, field
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID

from confcom.errors import InputError
from confcom.quote import der
from confcom.quote.printing import printable
from confcom.quote.times import Window

# The longest chain is leaf, intermediate, root; more certificates than this are not read at all.
MAX_CHAIN = 8
# SGX extension of a PCK certificate (Intel, "PCK Certificate and CRL Profile Specification", 1.3.5).
SGX_EXTENSION_OID = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
# A name is printed in sentences; Intel's longest has 25 characters.
_MAX_NAME = 64

_ECDSA_SHA256 = ec.ECDSA(SHA256())
_P256_COORDINATE = 32
# What `cryptography` raises on bytes that are not a certificate or CRL, beside ValueError.
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class CertificateError(InputError):
    """Bytes are not a certificate, chain, CRL or SGX extension; the sentence goes on after the part's name."""


class KeyUse(enum.Enum):
    """What a certificate's key may do, as far as verification asks."""

    SIGN = "digitalSignature"
    CERTIFY = "keyCertSign"
    REVOKE = "cRLSign"


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """One certificate. `public_key_bytes` is x and y, 32 bytes each; names are DER, `common_name` is for people."""

    der: bytes
    signed: bytes
    signature: bytes
    subject: bytes
    issuer: bytes
    common_name: str
    serial: int
    window: Window
    public_key: ec.EllipticCurvePublicKey = field(repr=False, compare=False)
    public_key_bytes: bytes
    is_ca: bool
    path_length: int | None
    key_uses: frozenset[KeyUse]
    unknown_critical: tuple[str, ...]
    sgx_extension: bytes | None = field(repr=False)

    @classmethod
    def from_der(cls, data: bytes) -> Self:
        """The certificate that fills `data`.

        Raises:
            CertificateError: it is malformed, or uses another key or signature than ECDSA on P-256 with SHA-256.
        """
        try:
            signed = _signed_part(data, positive_serial=True)
            return cls._read(data, signed, x509.load_der_x509_certificate(data))
        except _UNREADABLE as error:
            raise CertificateError("is not a well-formed X.509 certificate") from error

    @classmethod
    def _read(cls, data: bytes, signed: bytes, found: x509.Certificate) -> Self:
        key = _p256_key(found.public_key())
        _require_ecdsa_sha256(found.signature_algorithm_oid)
        name = _common_name(found.subject)
        constraints, uses = _constraints(found.extensions), _key_uses(found.extensions)
        return cls(
            der=data,
            signed=signed,
            signature=found.signature,
            subject=found.subject.public_bytes(),
            issuer=found.issuer.public_bytes(),
            common_name=name,
            serial=found.serial_number,
            window=Window(
                name=f"certificate '{name}'", start=found.not_valid_before_utc, end=found.not_valid_after_utc
            ),
            public_key=key,
            public_key_bytes=key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:],
            is_ca=constraints is not None and constraints.ca,
            path_length=constraints.path_length if constraints else None,
            key_uses=uses,
            unknown_critical=_unknown_critical(found.extensions),
            sgx_extension=_extension(found.extensions, SGX_EXTENSION_OID),
        )

    def is_signed_by(self, issuer: "Certificate") -> bool:
        """Whether `issuer`'s key made this certificate's signature; says nothing about names."""
        return verify_der(issuer.public_key, self.signature, self.signed)


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationList:
    """One CRL; a serial number that it lists is revoked, whatever date or reason stands beside it."""

    issuer: bytes
    issuer_name: str
    window: Window
    signed: bytes
    signature: bytes
    unknown_critical: tuple[str, ...]
    missing_extensions: tuple[str, ...]
    _list: x509.CertificateRevocationList = field(repr=False, compare=False)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """The CRL in DER, PEM or hex of DER, all of which certificate services send; `name` stands in sentences.

        Raises:
            CertificateError: it is malformed, has no nextUpdate, or another signature algorithm.
        """
        content = crl_der(data)
        try:
            signed = _signed_part(content, positive_serial=False)
            return cls._read(signed, x509.load_der_x509_crl(content), name)
        except _UNREADABLE as error:
            raise CertificateError("is not a well-formed X.509 CRL") from error

    @classmethod
    def _read(cls, signed: bytes, found: x509.CertificateRevocationList, name: str) -> Self:
        _require_ecdsa_sha256(found.signature_algorithm_oid)
        if found.next_update_utc is None:
            raise CertificateError("has no nextUpdate: it never ends, so it cannot be trusted")
        wanted = {"CRL number": ExtensionOID.CRL_NUMBER, "authority key id": ExtensionOID.AUTHORITY_KEY_IDENTIFIER}
        there = {extension.oid for extension in found.extensions}
        return cls(
            issuer=found.issuer.public_bytes(),
            issuer_name=_common_name(found.issuer),
            window=Window(name=name, start=found.last_update_utc, end=found.next_update_utc),
            signed=signed,
            signature=found.signature,
            unknown_critical=_unknown_critical(found.extensions),
            missing_extensions=tuple(words for words, oid in wanted.items() if oid not in there),
            _list=found,
        )

    def is_signed_by(self, issuer: Certificate) -> bool:
        """Whether `issuer`'s key made this list's signature."""
        return verify_der(issuer.public_key, self.signature, self.signed)

    def revokes(self, certificate: Certificate) -> bool:
        """Whether the certificate's serial number is listed."""
        return self._list.get_revoked_certificate_by_serial_number(certificate.serial) is not None


def verify_der(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether an ECDSA signature in DER, over SHA-256, is by `key`."""
    try:
        key.verify(signature, message, _ECDSA_SHA256)
    except InvalidSignature:
        return False
    return True


def verify_raw(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether a signature of 64 bytes, r and s big endian as quotes and collateral carry it, is by `key`."""
    if len(signature) != 2 * _P256_COORDINATE:
        return False
    r, s = (int.from_bytes(signature[at : at + _P256_COORDINATE]) for at in (0, _P256_COORDINATE))
    return verify_der(key, utils.encode_dss_signature(r, s), message)


def key_from_raw(point: bytes) -> ec.EllipticCurvePublicKey | None:
    """The P-256 key in 64 bytes, x and y big endian as a quote carries it; None where they are no point of it."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError:
        return None


def split_chain(text: bytes) -> tuple[bytes, ...]:
    """The DER of each certificate in a PEM chain; NUL bytes at its end, as C strings leave them, are ignored.

    Raises:
        CertificateError: text besides the certificates, a damaged one, or more than 8.
    """
    return tuple(_pem_blocks(text, "CERTIFICATE"))


def crl_der(data: bytes) -> bytes:
    """The DER of a CRL that came as DER, as PEM or as hex of DER.

    Raises:
        CertificateError: PEM that is damaged or holds several CRLs.
    """
    text = data.strip()
    if text.startswith(b"-----BEGIN"):
        blocks = _pem_blocks(text, "X509 CRL")
        if len(blocks) != 1:
            raise CertificateError(f"holds {len(blocks)} CRLs, one belongs there")
        return blocks[0]
    if text[:2] == b"30":
        try:
            return bytes.fromhex(text.decode())
        except ValueError:
            return data
    return data


def _pem_blocks(text: bytes, label: str) -> list[bytes]:
    begin, end = (f"-----{word} {label}-----".encode() for word in ("BEGIN", "END"))
    rest = text.rstrip(b"\0").strip()
    blocks: list[bytes] = []
    while rest:
        if len(blocks) == MAX_CHAIN:
            raise CertificateError(f"holds more than {MAX_CHAIN} PEM blocks")
        body, found, behind = rest.partition(end)
        if not found or not body.startswith(begin):
            raise CertificateError(f"has text where a PEM block '{label}' belongs")
        blocks.append(_unarmour(body.removeprefix(begin)))
        rest = behind.lstrip()
    return blocks


def _unarmour(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except binascii.Error as error:
        raise CertificateError("has a PEM block that is not base64") from error


def _signed_part(data: bytes, *, positive_serial: bool) -> bytes:
    """The bytes that a certificate's or CRL's signature covers: its first element, tag and length included.

    A serial number that is not positive is refused here, because `cryptography` answers it with a warning only.
    """
    whole = der.read_only(data, der.SEQUENCE)
    tag, content, end = der.read(whole)
    der.expect(tag, der.SEQUENCE)
    if positive_serial:
        tag, value, start = der.read(content)
        if tag == der.CONTEXT_0:
            tag, value, _ = der.read(content, start)
        der.expect(tag, der.INTEGER)
        if value[:1] > b"\x7f" or not any(value):
            raise der.DERError("a serial number that is not positive")
    return whole[:end]


def _p256_key(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("has a key that is not on the curve P-256")
    return key


def _require_ecdsa_sha256(oid: x509.ObjectIdentifier) -> None:
    if oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise CertificateError("has a signature that is not ecdsa-with-SHA256")


def _common_name(name: x509.Name) -> str:
    """The common name, fit to be printed: certificates come from strangers."""
    values = [str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return printable(values[0], _MAX_NAME) if values else "without a common name"


def _constraints(extensions: x509.Extensions) -> x509.BasicConstraints | None:
    found = [extension.value for extension in extensions if isinstance(extension.value, x509.BasicConstraints)]
    return found[0] if found else None


def _key_uses(extensions: x509.Extensions) -> frozenset[KeyUse]:
    """Without the extension a key may do anything (RFC 5280, 4.2.1.3)."""
    for extension in extensions:
        if isinstance(usage := extension.value, x509.KeyUsage):
            allowed = (usage.digital_signature, usage.key_cert_sign, usage.crl_sign)
            return frozenset(use for use, given in zip(KeyUse, allowed, strict=True) if given)
    return frozenset(KeyUse)


def _extension(extensions: x509.Extensions, oid: x509.ObjectIdentifier) -> bytes | None:
    for extension in extensions:
        if extension.oid == oid and isinstance(extension.value, x509.UnrecognizedExtension):
            return extension.value.value
    return None


def _unknown_critical(extensions: x509.Extensions) -> tuple[str, ...]:
    """Critical extensions that verification does not act on; a certificate or CRL with one must be refused."""
    known = {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, SGX_EXTENSION_OID}
    return tuple(found.oid.dotted_string for found in extensions if found.critical and found.oid not in known)
