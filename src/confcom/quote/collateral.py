"""Collateral: what Intel signs about a platform, in one value and in one JSON file.

The file's form is the one that the verifier dcap-qvl reads and writes; members that are not known here are ignored,
so that others may add their own.
"""

import binascii
from dataclasses import dataclass, fields
from typing import Any, Self

import msgspec

from confcom.errors import CollateralFormatError
from confcom.quote.certificates import CertificateError, crl_der

# Real collateral has 14 to 21 kB; the largest part that may grow is the PCK CRL, by about 50 bytes an entry.
MAX_COLLATERAL_BYTES = 4 * 1024 * 1024

_CRLS = frozenset({"root_ca_crl", "pck_crl"})
# What is no text; in JSON it stands as hex.
BINARY_PARTS = _CRLS | {"tcb_info_signature", "qe_identity_signature"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Collateral:
    """The parts of `sgx_ql_qve_collateral_t` as bytes.

    Attributes:
        pck_crl_issuer_chain: PEM, the PCK certificate's CA and the root.
        root_ca_crl: DER.
        pck_crl: DER.
        tcb_info_issuer_chain: PEM, the TCB signer and the root.
        tcb_info: the inner JSON object exactly as it was signed.
        tcb_info_signature: r and s, 64 bytes, big endian.
        qe_identity_issuer_chain: PEM, the TCB signer and the root.
        qe_identity: the inner JSON object exactly as it was signed.
        qe_identity_signature: r and s, 64 bytes, big endian.
        pck_certificate_chain: PEM, leaf, intermediate, root, for quotes that do not carry it. Kept for dcap-qvl, which
            takes it in the place of the quote's own; nothing here looks at it.
    """

    pck_crl_issuer_chain: bytes
    root_ca_crl: bytes
    pck_crl: bytes
    tcb_info_issuer_chain: bytes
    tcb_info: bytes
    tcb_info_signature: bytes
    qe_identity_issuer_chain: bytes
    qe_identity: bytes
    qe_identity_signature: bytes
    pck_certificate_chain: bytes | None = None

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The collateral in a JSON object: chains and signed JSON as text, CRLs hex (or PEM), signatures hex.

        Whether the parts are genuine, whole and fresh is for the verification to say.

        Raises:
            CollateralFormatError: not JSON, or a member is missing, empty, or not in its encoding.
        """
        members = _json_object(data)
        known = [part.name for part in fields(cls)]
        values = {name: _decode(name, members[name]) for name in known if members.get(name) is not None}
        for name in PARTS:
            if name not in values:
                raise CollateralFormatError(name, "is missing")
        return cls(**values)

    def to_json(self) -> bytes:
        """The JSON object that `from_json` and dcap-qvl read.

        Raises:
            CollateralFormatError: a chain or signed JSON is not text.
        """
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return msgspec.json.encode({name: _encode(name, value) for name, value in parts.items() if value is not None})


# The parts that every verification needs.
PARTS = tuple(part.name for part in fields(Collateral) if part.name != "pck_certificate_chain")

# What a verification without any collateral takes: the quote's own steps are still judged.
NO_COLLATERAL = Collateral(**dict.fromkeys(PARTS, b""))


def _json_object(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_COLLATERAL_BYTES:
        raise CollateralFormatError("$", f"has {len(data)} bytes, at most {MAX_COLLATERAL_BYTES} are read")
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise CollateralFormatError("$", "is not a JSON object") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CollateralFormatError("$", f"is not JSON: {error}") from error


def _decode(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise CollateralFormatError(name, "must be a string")
    if not value.strip():
        raise CollateralFormatError(name, "is empty")
    try:
        content = value.encode()
    except UnicodeError as error:
        raise CollateralFormatError(name, "is not text") from error
    return _decode_hex(name, content) if name in BINARY_PARTS else content


def _decode_hex(name: str, text: bytes) -> bytes:
    try:
        if name in _CRLS and text.lstrip().startswith(b"-----BEGIN"):
            return crl_der(text)
        return binascii.unhexlify(text.strip())
    except CertificateError as error:
        raise CollateralFormatError(name, str(error)) from error
    except ValueError as error:
        raise CollateralFormatError(name, "is not hex") from error


def _encode(name: str, value: bytes) -> str:
    if name in BINARY_PARTS:
        return value.hex()
    try:
        return value.decode()
    except UnicodeError as error:
        raise CollateralFormatError(name, "is not text") from error
