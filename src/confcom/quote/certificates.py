"""X.509 certificates, their PEM chains and CRLs, read once into what verification asks of them.

Everything but P-256 and ecdsa-with-SHA256 is refused. `cryptography` reads keys, dates and the entries of CRLs; names
and extensions are read here, because they must be compared byte by byte and because `cryptography` answers some that
are malformed with a warning only.
"""

import binascii
from dataclasses import dataclass, field
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from confcom.errors import InputError
from confcom.quote import der
from confcom.quote.envelope import Envelope, common_name
from confcom.quote.extensions import Extensions
from confcom.quote.times import Window

# The longest chain is leaf, intermediate, root; more certificates than this are not read at all.
MAX_CHAIN = 8
_BLANKS = b"\r\n"
_ECDSA_SHA256 = ec.ECDSA(SHA256())
_P256_COORDINATE = 32
# What `cryptography` raises on bytes that are not a certificate or CRL, beside ValueError.
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
)


class CertificateError(InputError):
    """Bytes are not a certificate, chain, CRL or SGX extension; the sentence goes on after the part's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """One certificate.

    Attributes:
        der: its bytes.
        signed: the part of them that the signature covers.
        signature: ECDSA in DER.
        subject: the content of the name's DER, to be compared.
        issuer: likewise.
        common_name: the subject's, to be printed.
        serial: positive, at most 20 bytes in the field.
        window: from notBefore to notAfter.
        public_key: on P-256.
        public_key_bytes: x and y, 32 bytes each, to be compared.
        extensions: what the key may do, and for what platform.
    """

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
    extensions: Extensions

    @classmethod
    def from_der(cls, data: bytes) -> Self:
        """The certificate that fills `data`.

        Raises:
            CertificateError: it is malformed, or uses another key or signature than ECDSA on P-256 with SHA-256.
        """
        try:
            envelope = Envelope.from_der(data)
            _require_positive_serial(envelope)
            return cls._read(data, envelope, x509.load_der_x509_certificate(data))
        except der.DERError as error:
            raise CertificateError(f"is not a well-formed X.509 certificate: {error}") from error
        except _UNREADABLE as error:
            raise CertificateError("is not a well-formed X.509 certificate") from error

    @classmethod
    def _read(cls, data: bytes, envelope: Envelope, found: x509.Certificate) -> Self:
        key = _p256_key(found.public_key())
        _, issuer, _, subject, *_ = envelope.sequences()
        name = common_name(subject)
        start, end = found.not_valid_before_utc, found.not_valid_after_utc
        return cls(
            der=data,
            signed=envelope.signed,
            signature=envelope.signature,
            subject=subject,
            issuer=issuer,
            common_name=name,
            serial=found.serial_number,
            window=Window(name=f"certificate '{name}'", start=start, end=end),
            public_key=key,
            public_key_bytes=key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:],
            extensions=envelope.extensions(der.CONTEXT_3),
        )

    @property
    def sgx_extension(self) -> bytes | None:
        """The DER of the SGX extension, which PCK certificates carry."""
        return self.extensions.sgx

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
    extensions: Extensions
    _list: x509.CertificateRevocationList = field(repr=False, compare=False)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """The CRL in DER, PEM or hex of DER, all of which certificate services send; `name` stands in sentences.

        Raises:
            CertificateError: it is malformed, has no nextUpdate, or another signature algorithm.
        """
        content = crl_der(data)
        try:
            return cls._read(Envelope.from_der(content), x509.load_der_x509_crl(content), name)
        except der.DERError as error:
            raise CertificateError(f"is not a well-formed X.509 CRL: {error}") from error
        except _UNREADABLE as error:
            raise CertificateError("is not a well-formed X.509 CRL") from error

    @classmethod
    def _read(cls, envelope: Envelope, found: x509.CertificateRevocationList, name: str) -> Self:
        if found.next_update_utc is None:
            raise CertificateError("has no nextUpdate: it never ends, so it cannot be trusted")
        _, issuer, *_ = envelope.sequences()
        return cls(
            issuer=issuer,
            issuer_name=common_name(issuer),
            window=Window(name=name, start=found.last_update_utc, end=found.next_update_utc, renewable=True),
            signed=envelope.signed,
            signature=envelope.signature,
            extensions=envelope.extensions(der.CONTEXT_0),
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
    rest = text.rstrip(b"\0").strip(_BLANKS)
    blocks: list[bytes] = []
    while rest:
        if len(blocks) == MAX_CHAIN:
            raise CertificateError(f"holds more than {MAX_CHAIN} PEM blocks")
        body, found, behind = rest.partition(end)
        # Markers stand on lines of their own: OpenSSL's readers and others refuse what is behind them.
        if not found or not body.startswith((begin + b"\n", begin + b"\r\n")) or not body.endswith(b"\n"):
            raise CertificateError(f"has text where a PEM block '{label}' belongs")
        blocks.append(_unarmour(body.removeprefix(begin)))
        rest = behind.lstrip(_BLANKS)
    return blocks


def _unarmour(body: bytes) -> bytes:
    """The bytes in a PEM block; only the one encoding that base64 has for them is taken, so that no bit is free."""
    text = body.translate(None, _BLANKS)
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise CertificateError("has a PEM block that is not base64") from error
    if binascii.b2a_base64(content, newline=False) != text:
        raise CertificateError("has a PEM block with stray bits in its base64")
    return content


def _require_positive_serial(envelope: Envelope) -> None:
    """Refuses what `cryptography` answers with a warning only."""
    tag, serial = next((part for part in envelope.parts if part[0] != der.CONTEXT_0), (0, b""))
    der.expect(tag, der.INTEGER)
    if serial[:1] > b"\x7f" or not any(serial):
        raise der.DERError("a serial number that is not positive")


def _p256_key(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("has a key that is not on the curve P-256")
    return key
