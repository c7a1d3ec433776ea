"""A quote's bytes as a verifier reads them: strictly, and where that fails as far as they still make sense."""

from dataclasses import replace

from confcom.errors import SGXFormatError
from confcom.sgx import Quote, QuoteHeader, ReportBody, quote_kind
from confcom.sgx.quote import CERT_TYPE_NAMES, INTEL_QE_VENDOR_ID, KEY_TYPE_ECDSA_P256, TEE_TYPE_SGX

# Real quotes have 4.6 to 4.8 kB, and AESM clients may pad them.
MAX_QUOTE_BYTES = 1024 * 1024
# Every real QE writes 32 bytes, and dcap-qvl refuses other sizes.
QE_AUTH_DATA_SIZE = 32

_CERTIFICATION_HEADER = 6
_VERSION_3, _VERSION_4, _VERSION_5 = (version.to_bytes(2, "little") for version in (3, 4, 5))


def read_quote(data: bytes) -> tuple[Quote | None, list[str]]:
    """The quote, and what is wrong with its form.

    Where version or signature data length do not fit, the rest is read as if they did, so that every other part can
    still be judged; the header is given as found.
    """
    if len(data) > MAX_QUOTE_BYTES:
        return None, [f"it has {len(data)} bytes; at most {MAX_QUOTE_BYTES} are read"]
    try:
        quote = Quote.from_bytes(data)
    except SGXFormatError as error:
        return None if other_kind(data) else _repaired(data), [str(error)]
    return quote, _header_problems(quote.header)


def other_kind(data: bytes) -> str | None:
    """The name of a quote of version 4 or 5, SGX or TDX; None for all else.

    Bytes that would be a whole quote of version 3 but for the version are one with a damaged version.
    """
    if data[:2] not in {_VERSION_4, _VERSION_5} or (kind := quote_kind(data)) is None:
        return None
    try:
        Quote.from_bytes(_VERSION_3 + data[2:])
    except SGXFormatError:
        return kind
    return None


def read_identity(data: bytes) -> ReportBody | None:
    """The report body of an SGX quote, if the bytes reach to its end."""
    body = data[QuoteHeader.SIZE : Quote.SIGNED_SIZE]
    if len(body) < ReportBody.SIZE or other_kind(data):
        return None
    return ReportBody.from_bytes(body)


def quote_warnings(quote: Quote) -> list[str]:
    """What verifiers let pass, but a person may want to know."""
    found = {
        f"{len(quote.trailing)} bytes follow the quote; no signature covers them": bool(quote.trailing),
        "the last 4 bytes of the header's user data are not zero": any(quote.header.user_data[16:]),
        "reserved bytes of the report body are not zero": not quote.report.reserved_is_zero,
        "reserved bytes of the QE report are not zero": not quote.qe_report.reserved_is_zero,
        "the report has not the attribute INITTED, which hardware always sets": not quote.report.attributes.initted,
        f"QE auth data has {len(quote.auth_data)} bytes, real QEs write 32": len(quote.auth_data) != QE_AUTH_DATA_SIZE,
    }
    return [sentence for sentence, holds in found.items() if holds]


def other_certification_data(kind: int) -> str:
    """Why certification data of another type than 5 cannot be verified, and what to do."""
    name = CERT_TYPE_NAMES.get(kind, "unknown")
    return (
        f"it is of type {kind} ({name}), not 5 (PCK certificate chain): the quote carries no certificates."
        " Make it on a node whose quote provider library reaches a certificate service"
    )


def _header_problems(header: QuoteHeader) -> list[str]:
    compared = (
        ("att_key_type", header.att_key_type, KEY_TYPE_ECDSA_P256, "ECDSA P-256"),
        ("tee_type", header.tee_type, TEE_TYPE_SGX, "SGX"),
    )
    problems = [
        f"{name} is {found}, must be {wanted} ({word})" for name, found, wanted, word in compared if found != wanted
    ]
    if header.vendor_id != INTEL_QE_VENDOR_ID:
        problems.append(f"QE vendor id is {header.vendor_id.hex()}, must be Intel's {INTEL_QE_VENDOR_ID.hex()}")
    return problems


def _repaired(data: bytes) -> Quote | None:
    """The quote with version 3 and the length that its parts take, under its own header; None where that fails too."""
    auth_size = int.from_bytes(data[Quote.AUTH_SIZE_AT : Quote.AUTH_SIZE_AT + 2], "little")
    behind = Quote.AUTH_SIZE_AT + 2 + auth_size + _CERTIFICATION_HEADER
    end = behind + int.from_bytes(data[behind - 4 : behind], "little")
    if len(data) < max(behind, end):
        return None
    start = Quote.SIGNED_SIZE + 4
    length = (end - start).to_bytes(4, "little")
    try:
        quote = Quote.from_bytes(_VERSION_3 + data[2 : Quote.SIGNED_SIZE] + length + data[start:])
    except SGXFormatError:
        return None
    return replace(quote, header=QuoteHeader.from_bytes(data[: QuoteHeader.SIZE]))
