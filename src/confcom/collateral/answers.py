"""A certificate service's answers, read into the parts of a collateral: chains out of headers, signed text untouched.

Source: Intel's PCS API v4, and what PCCS and Azure's THIM do otherwise: CRLs in PEM, hex or DER.
"""

import binascii
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from confcom.errors import CollateralError
from confcom.quote.certificates import CertificateError, RevocationList, crl_der, split_chain

PCK_CRL_CHAIN = "SGX-PCK-CRL-Issuer-Chain"
TCB_INFO_CHAIN = "TCB-Info-Issuer-Chain"
QE_IDENTITY_CHAIN = "SGX-Enclave-Identity-Issuer-Chain"
# The name of the TCB info's chain until API v3.
_V3_TCB_INFO_CHAIN = "SGX-TCB-Info-Issuer-Chain"

_SIGNATURE_BYTES = 64


class _TCBInfoBody(msgspec.Struct):
    text: msgspec.Raw = msgspec.field(name="tcbInfo")
    signature: str


class _QEIdentityBody(msgspec.Struct):
    text: msgspec.Raw = msgspec.field(name="enclaveIdentity")
    signature: str


def issuer_chain(headers: Mapping[str, str], name: str, where: str) -> bytes:
    """The PEM chain in the header `name`, which is URL-encoded.

    Raises:
        CollateralError: the header is missing, or holds no certificates; `where` begins the sentence.
    """
    value = headers.get(name.lower())
    if value is None:
        if name == TCB_INFO_CHAIN and _V3_TCB_INFO_CHAIN.lower() in headers:
            raise CollateralError(
                f"{where}: answers in the shape of API v3 (header {_V3_TCB_INFO_CHAIN}), which Intel ended on "
                "2026-04-30: a PCCS must be of DCAP 1.27 or newer"
            )
        raise CollateralError(
            f"{where}: the answer has no header {name}: a proxy took it away, or this is no certificate service"
        )
    # Not unquote_plus: a plus sign is base64 here.
    chain = unquote_to_bytes(value)
    try:
        empty = not split_chain(chain)
    except CertificateError as error:
        raise CollateralError(f"{where}: the header {name} {error}") from error
    if empty:
        raise CollateralError(f"{where}: the header {name} holds no certificate")
    return chain


def revocation_list(body: bytes, where: str) -> bytes:
    """The DER of a CRL that came as DER, PEM, or hex of DER.

    Raises:
        CollateralError: it is none of them; `where` begins the sentence.
    """
    try:
        RevocationList.from_bytes(body, where)
        return crl_der(body)
    except CertificateError as error:
        raise CollateralError(f"{where}: {error} (tried DER, PEM and hex of DER){_looks_like(body)}") from error


def tcb_info(body: bytes, where: str) -> tuple[bytes, bytes]:
    """The signed text, byte for byte, and its signature of 64 bytes.

    Raises:
        CollateralError: another JSON, or none; `where` begins the sentence.
    """
    return _signed(body, _TCBInfoBody, where)


def qe_identity(body: bytes, where: str) -> tuple[bytes, bytes]:
    """The signed text, byte for byte, and its signature of 64 bytes.

    Raises:
        CollateralError: another JSON, or none; `where` begins the sentence.
    """
    return _signed(body, _QEIdentityBody, where)


def _signed(body: bytes, kind: type[_TCBInfoBody] | type[_QEIdentityBody], where: str) -> tuple[bytes, bytes]:
    try:
        found = msgspec.json.decode(body, type=kind)
        signature = binascii.unhexlify(found.signature)
    except msgspec.ValidationError as error:
        raise CollateralError(f"{where}: the answer is another JSON than expected: {error}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CollateralError(f"{where}: the answer is not whole JSON{_looks_like(body)}: {error}") from error
    except ValueError as error:
        raise CollateralError(f"{where}: the signature is not hex") from error
    if len(signature) != _SIGNATURE_BYTES:
        raise CollateralError(f"{where}: the signature has {len(signature)} bytes, not {_SIGNATURE_BYTES}")
    return bytes(found.text), signature


def _looks_like(body: bytes) -> str:
    """A guess at what came instead."""
    if not body.strip():
        return "; it is empty"
    if body.lstrip()[:1] == b"<":
        return "; it looks like a web page: the URL is of something else, or a proxy answers"
    return ""
