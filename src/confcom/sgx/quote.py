"""Quote version 3 for ECDSA-P256 (`sgx_quote_3.h`), and the names of the versions that are not read here."""

from dataclasses import dataclass
from typing import ClassVar, Self

from confcom.errors import SGXFormatError
from confcom.sgx.layout import Field, Structure
from confcom.sgx.report import ReportBody

INTEL_QE_VENDOR_ID = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
KEY_TYPE_ECDSA_P256 = 2
# The second is P-384, which no QE for SGX makes and every verifier refuses.
_ECDSA_KEY_TYPES = (KEY_TYPE_ECDSA_P256, 3)
TEE_TYPE_SGX = 0
TEE_TYPE_TDX = 0x81

CERT_TYPE_PCK_CHAIN = 5
CERT_TYPE_NAMES = {
    1: "PPID in clear text",
    2: "PPID, RSA-2048 encrypted",
    3: "PPID, RSA-3072 encrypted",
    4: "PCK leaf certificate",
    5: "PCK certificate chain (PEM)",
    6: "QE report certification data",
    7: "platform manifest",
}

# Quote version 5 says what its body is (Intel TDX DCAP quote format).
_BODY_TYPE_SIZE = 2
_BODY_TYPES = {1: "SGX", 2: "TD 1.0", 3: "TD 1.5", 4: "TD 1.5 extended"}


@dataclass(frozen=True, kw_only=True, slots=True)
class QuoteHeader(Structure):
    """The first 48 bytes of a quote. `tee_type` is "att key data" in version 3, and zero there."""

    NAME: ClassVar = "quote header"
    FIELDS: ClassVar = (
        Field("version", 2, int),
        Field("att_key_type", 2, int),
        Field("tee_type", 4, int),
        Field("qe_svn", 2, int),
        Field("pce_svn", 2, int),
        Field("vendor_id", 16),
        Field("user_data", 20),
    )

    version: int = 3
    att_key_type: int = KEY_TYPE_ECDSA_P256
    tee_type: int = TEE_TYPE_SGX
    qe_svn: int = 0
    pce_svn: int = 0
    vendor_id: bytes = INTEL_QE_VENDOR_ID
    user_data: bytes = bytes(20)


def quote_kind(data: bytes) -> str | None:
    """What a quote calls itself, for example `TDX quote, version 4`; None where no known header is found.

    Known are versions 3 to 5 with an ECDSA key (P-256 or P-384) and the TEE type of SGX or TDX; the vendor id may be
    any. Looks at the first 50 bytes only and never raises.
    """
    if len(data) < QuoteHeader.SIZE:
        return None
    header = QuoteHeader.from_bytes(data[: QuoteHeader.SIZE])
    tee = {TEE_TYPE_SGX: "SGX", TEE_TYPE_TDX: "TDX"}.get(header.tee_type)
    if header.version not in (3, 4, 5) or tee is None or header.att_key_type not in _ECDSA_KEY_TYPES:
        return None
    if header.version < 5:
        return f"{tee} quote, version {header.version}"
    if len(data) < QuoteHeader.SIZE + _BODY_TYPE_SIZE:
        return f"{tee} quote, version 5, cut off"
    body_type = int.from_bytes(data[QuoteHeader.SIZE : QuoteHeader.SIZE + _BODY_TYPE_SIZE], "little")
    return f"{tee} quote, version 5, body {_BODY_TYPES.get(body_type, f'of unknown type {body_type}')}"


_AUTH_SIZE, _CERT_TYPE = Field("auth_data size", 2, int), Field("certification_data type", 2, int)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """An SGX quote, version 3, ECDSA-P256.

    Sizes in bytes: header 48, report body 384, sig 64 (r, s), attest_pub_key 64 (x, y), qe_report 384,
    qe_report_sig 64; auth_data and certification_data carry their own lengths. Signatures and keys are raw and big
    endian. `trailing` is what follows the declared end: AESM pads with zeros to the client's buffer.
    """

    NAME: ClassVar = "quote"
    # What the attestation key signs: header and report body.
    SIGNED_SIZE: ClassVar = 432
    # sig, attest_pub_key, qe_report, qe_report_sig and the sizes of auth data and certification data.
    SIGNATURE_FIXED_SIZE: ClassVar = 584
    # A quote with neither auth data nor certification data.
    MIN_SIZE: ClassVar = SIGNED_SIZE + 4 + SIGNATURE_FIXED_SIZE
    # Offset of the size of auth data, behind which every offset depends on what stands there.
    AUTH_SIZE_AT: ClassVar = 1012
    _RAW: ClassVar = ((Field("sig", 64), 436), (Field("attest_pub_key", 64), 500), (Field("qe_report_sig", 64), 948))

    header: QuoteHeader
    report: ReportBody
    sig: bytes
    attest_pub_key: bytes
    qe_report: ReportBody
    qe_report_sig: bytes
    auth_data: bytes
    certification_data_type: int
    certification_data: bytes
    trailing: bytes = b""

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The quote in `data`.

        Raises:
            SGXFormatError: another version, a field that the input ends in, or lengths that contradict each other.
        """
        reader = _Reader(data)
        header = QuoteHeader.from_bytes(data[: QuoteHeader.SIZE])
        if header.version != 3:
            named = quote_kind(data) or f"version {header.version}"
            raise SGXFormatError(cls.NAME, "version", 0, f"this is a {named}; SGX quotes of version 3 are read here")
        reader.take("header", QuoteHeader.SIZE)
        report = ReportBody.from_bytes(reader.take("report", ReportBody.SIZE), base=QuoteHeader.SIZE)
        declared = reader.integer("signature_data_len", 4)
        if len(data) - reader.offset < declared:
            problem = f"declares {declared} bytes, the input has {len(data) - reader.offset} left"
            raise SGXFormatError(cls.NAME, "signature_data_len", reader.offset - 4, problem)
        end = reader.offset + declared
        reader.data = data[:end]
        quote = cls(
            header=header,
            report=report,
            sig=reader.take("sig", 64),
            attest_pub_key=reader.take("attest_pub_key", 64),
            qe_report=ReportBody.from_bytes(
                reader.take("qe_report", ReportBody.SIZE), base=reader.offset - ReportBody.SIZE
            ),
            qe_report_sig=reader.take("qe_report_sig", 64),
            auth_data=reader.take("auth_data", reader.integer("auth_data size", 2)),
            certification_data_type=reader.integer("certification_data type", 2),
            certification_data=reader.take("certification_data", reader.integer("certification_data size", 4)),
            trailing=data[end:],
        )
        if reader.offset != end:
            problem = f"declares {declared} bytes, its parts take {declared - (end - reader.offset)}"
            raise SGXFormatError(cls.NAME, "signature_data_len", cls.SIGNED_SIZE, problem)
        return quote

    def __post_init__(self) -> None:
        """Refuses values that have no encoding, so that `to_bytes` never fails.

        Raises:
            SGXFormatError: a signature or key has not 64 bytes, or a length does not fit in its field.
        """
        type_at = self.AUTH_SIZE_AT + 2 + len(self.auth_data)
        for field, offset, value in (
            *((field, offset, getattr(self, field.name)) for field, offset in self._RAW),
            (_AUTH_SIZE, self.AUTH_SIZE_AT, len(self.auth_data)),
            (_CERT_TYPE, type_at, self.certification_data_type),
        ):
            if problem := field.problem(value):
                raise SGXFormatError(self.NAME, field.name, offset, problem)

    def signed_bytes(self) -> bytes:
        """The 432 bytes that `sig` covers."""
        return self.header.to_bytes() + self.report.to_bytes()

    def to_bytes(self) -> bytes:
        """The exact inverse of `from_bytes`, trailing bytes included."""
        signature_data = b"".join(
            (
                self.sig,
                self.attest_pub_key,
                self.qe_report.to_bytes(),
                self.qe_report_sig,
                len(self.auth_data).to_bytes(2, "little"),
                self.auth_data,
                self.certification_data_type.to_bytes(2, "little"),
                len(self.certification_data).to_bytes(4, "little"),
                self.certification_data,
            )
        )
        return self.signed_bytes() + len(signature_data).to_bytes(4, "little") + signature_data + self.trailing


class _Reader:
    """Takes field after field from bytes and says which one the bytes end in."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, field: str, size: int) -> bytes:
        left = len(self.data) - self.offset
        if left < size:
            raise SGXFormatError(Quote.NAME, field, self.offset, f"needs {size} bytes, the input has {left} left")
        self.offset += size
        return self.data[self.offset - size : self.offset]

    def integer(self, field: str, size: int) -> int:
        return int.from_bytes(self.take(field, size), "little")
