"""What programs put around a quote in binary: Open Enclave's headers, RA-TLS certificates, and CBOR evidence in them.

Sources: Open Enclave's `report.h` and `attestation/plugin.h`; the extension OIDs of Gramine's and Intel's RA-TLS; TCG
DICE Attestation Architecture 1.1 with the CBOR tags of IANA's registry. Nothing is verified here, only found.
"""

import binascii
from collections.abc import Iterator

from confcom.quote import der

# oe_report_header_t: version 1, report type 2 (SGX, remote), then the size of what follows, 8 bytes.
_OE_REPORT = bytes.fromhex("0100000002000000")
_OE_REPORT_HEADER = 16
# oe_attestation_header_t: version 3, a UUID of 16 bytes, the size of what follows; packed or padded to 8 bytes.
_OE_EVIDENCE = bytes.fromhex("03000000")
_OE_EVIDENCE_HEADERS = (32, 28)

_EXTENSIONS = {
    # Gramine 1.0 and later write the whole tag and length into the OID's content, 0.6.9.42.840.113741.1337.6.
    bytes.fromhex("06092a864886f84d8a3906"): "Gramine's quote extension",
    bytes.fromhex("2a864886f84d8a3906"): "the quote extension 1.2.840.113741.1337.6",
    bytes.fromhex("2a864886f84d010d01"): "Intel's quote extension",
    bytes.fromhex("678105050409"): "the TCG DICE evidence extension",
    bytes.fromhex("2a864886f7140a0101"): "Open Enclave's quote extension",
    bytes.fromhex("2a864886f7140a0102"): "Open Enclave's evidence extension",
    bytes.fromhex("2b0601040182376901"): "Open Enclave's quote extension",
    bytes.fromhex("2b0601040182376902"): "Open Enclave's evidence extension",
}
# The extensions of one certificate; real ones have under a dozen.
_MAX_EXTENSIONS = 64

_PEM_BEGIN, _PEM_END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
# CBOR tags of Intel TEE quotes: IANA's 60000, and the one that RATS-TLS used before.
_CBOR_QUOTE_TAGS = (bytes.fromhex("d9ea60"), bytes.fromhex("da001a7501"))
_CBOR_BYTES, _CBOR_ARRAY = 2, 4


def unwrap(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What may lie in binary `data`: the wrapping's name and the bytes in it; none where it is no known wrapping."""
    if data.startswith(_OE_REPORT):
        yield "an Open Enclave report", _sized(data, _OE_REPORT_HEADER)
    elif data.startswith(_OE_EVIDENCE):
        sizes = (_sized(data, header) for header in _OE_EVIDENCE_HEADERS)
        yield "Open Enclave evidence", next(filter(None, sizes), b"")
    elif data.lstrip().startswith(_PEM_BEGIN):
        yield from _pem(data)
    elif data[:1] == b"\x30":
        yield from _certificate(data)
    elif data.startswith(_CBOR_QUOTE_TAGS):
        yield from _cbor(data)


def is_certificate(data: bytes) -> bool:
    """Whether `data` is an X.509 certificate, by its outer form."""
    return data.lstrip().startswith(_PEM_BEGIN) or _extension_list(data) is not None


def _sized(data: bytes, header: int) -> bytes:
    """What follows a header that ends in the size of what follows; an impossible size gives nothing."""
    size = int.from_bytes(data[header - 8 : header], "little")
    return data[header : header + size] if size <= len(data) - header else b""


def _pem(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The first certificate only: the others of a chain are those of its issuers."""
    body = data.partition(_PEM_BEGIN)[2].partition(_PEM_END)[0]
    try:
        yield "PEM", binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except binascii.Error:
        return


def _certificate(data: bytes) -> Iterator[tuple[str, bytes]]:
    for oid, value in _extension_list(data) or ():
        if name := _EXTENSIONS.get(oid):
            yield f"{name} of an X.509 certificate", value
            # Some makers put an OCTET STRING into the OCTET STRING that every extension's value is.
            if value[:1] == bytes((der.OCTET_STRING,)):
                yield f"{name} of an X.509 certificate", _octets(value)


def _octets(value: bytes) -> bytes:
    try:
        return der.read_only(value, der.OCTET_STRING)
    except der.DERError:
        return b""


def _extension_list(data: bytes) -> list[tuple[bytes, bytes]] | None:
    """OID and value of each extension (RFC 5280, 4.1); None where `data` is not a certificate with extensions."""
    try:
        tag, certificate, _ = der.read(data)
        der.expect(tag, der.SEQUENCE)
        tag, signed, _ = der.read(certificate)
        der.expect(tag, der.SEQUENCE)
        last_tag, content = der.children(signed)[-1]
        der.expect(last_tag, der.CONTEXT_3)
        found = der.children(der.read_only(content, der.SEQUENCE))[:_MAX_EXTENSIONS]
        parts = [der.children(extension) for _, extension in found]
        return [(part[0][1], part[-1][1]) for part in parts if len(part) in {2, 3}]
    except (der.DERError, IndexError):
        return None


def _cbor(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Tagged evidence: an array whose first element is the quote, or the quote alone (RFC 8949, 3)."""
    tag = next(tag for tag in _CBOR_QUOTE_TAGS if data.startswith(tag))
    start = len(tag)
    if data[start : start + 1] and data[start] >> 5 == _CBOR_ARRAY:
        start += 1
    if data[start : start + 1] and data[start] >> 5 == _CBOR_BYTES:
        yield "CBOR evidence", _cbor_bytes(data, start)


def _cbor_bytes(data: bytes, start: int) -> bytes:
    """The byte string at `start`; empty where its length is not given, or is beyond the end."""
    short = data[start] & 0x1F
    digits = {24: 1, 25: 2, 26: 4}.get(short, 0)
    if short >= 24 and not digits:
        return b""
    content = start + 1 + digits
    size = int.from_bytes(data[start + 1 : content]) if digits else short
    return data[content : content + size] if size <= len(data) - content else b""
