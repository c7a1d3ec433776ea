"""The extensions of certificates and CRLs (RFC 5280, 4.2 and 5.2), as far as verification acts on them.

They are read here and not by `cryptography`, which reads every extension as soon as one is asked for and answers some
malformed ones with a warning only.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from confcom.quote import der

_KEY_USAGE = bytes.fromhex("551d0f")
_BASIC_CONSTRAINTS = bytes.fromhex("551d13")
_CRL_NUMBER = bytes.fromhex("551d14")
_AUTHORITY_KEY_ID = bytes.fromhex("551d23")
# SGX extension of a PCK certificate, 1.2.840.113741.1.13.1 (Intel, "PCK Certificate and CRL Profile", 1.3.5).
_SGX = bytes.fromhex("2a864886f84d010d01")
_ACTED_ON = frozenset({_KEY_USAGE, _BASIC_CONSTRAINTS, _SGX})


class KeyUse(enum.IntEnum):
    """What a certificate's key may do, as far as verification asks; the values are bits of KeyUsage's first byte."""

    SIGN = 0x80
    CERTIFY = 0x04
    REVOKE = 0x02


@dataclass(frozen=True, kw_only=True, slots=True)
class Extensions:
    """The extensions of a certificate or CRL.

    Attributes:
        is_ca: BasicConstraints says so.
        path_length: how many CAs may stand below; None without a limit.
        key_uses: what the key may do; everything where KeyUsage is absent.
        sgx: the SGX extension's value, DER.
        has_crl_number: as every conforming CRL has.
        has_authority_key_id: as every conforming certificate and CRL has.
        unknown_critical: OIDs of critical extensions that nothing here acts on; who has one must be refused.
    """

    is_ca: bool
    path_length: int | None
    key_uses: frozenset[KeyUse]
    sgx: bytes | None = field(repr=False)
    has_crl_number: bool
    has_authority_key_id: bool
    unknown_critical: tuple[str, ...]

    @classmethod
    def from_der(cls, content: bytes) -> Self:
        """The extensions in the SEQUENCE that `content` holds; none where it is empty.

        Raises:
            DERError: they are malformed, or one stands there twice.
        """
        values: dict[bytes, bytes] = {}
        critical = []
        for tag, extension in der.children(der.read_only(content, der.SEQUENCE)) if content else ():
            der.expect(tag, der.SEQUENCE)
            oid, is_critical, value = _extension(extension)
            if oid in values:
                raise der.DERError("an extension that stands there twice")
            values[oid] = value
            critical += [oid] if is_critical else []
        is_ca, path_length = _basic_constraints(values)
        return cls(
            is_ca=is_ca,
            path_length=path_length,
            key_uses=_key_uses(values),
            sgx=values.get(_SGX),
            has_crl_number=_CRL_NUMBER in values,
            has_authority_key_id=_AUTHORITY_KEY_ID in values,
            unknown_critical=tuple(der.dotted(oid) for oid in critical if oid not in _ACTED_ON),
        )


def _extension(content: bytes) -> tuple[bytes, bool, bytes]:
    """OID, whether it is critical (absent means no), value."""
    parts = der.children(content)
    if [tag for tag, _ in parts] == [der.OBJECT_IDENTIFIER, der.BOOLEAN, der.OCTET_STRING]:
        (_, oid), (_, critical), (_, value) = parts
        return oid, der.boolean(critical), value
    if [tag for tag, _ in parts] == [der.OBJECT_IDENTIFIER, der.OCTET_STRING]:
        (_, oid), (_, value) = parts
        return oid, False, value
    raise der.DERError("an extension that is not OID, criticality and value")


def _basic_constraints(values: Mapping[bytes, bytes]) -> tuple[bool, int | None]:
    if _BASIC_CONSTRAINTS not in values:
        return False, None
    parts = der.children(der.read_only(values[_BASIC_CONSTRAINTS], der.SEQUENCE))
    tags = [tag for tag, _ in parts]
    if tags not in ([], [der.BOOLEAN], [der.BOOLEAN, der.INTEGER]):
        raise der.DERError("basic constraints that are not CA flag and path length")
    is_ca = bool(parts) and der.boolean(parts[0][1])
    return is_ca, der.unsigned(parts[1][1]) if len(parts) > 1 else None


def _key_uses(values: Mapping[bytes, bytes]) -> frozenset[KeyUse]:
    if _KEY_USAGE not in values:
        return frozenset(KeyUse)
    bits = der.read_only(values[_KEY_USAGE], der.BIT_STRING)
    if not 2 <= len(bits) <= 3:
        raise der.DERError("a key usage of another size")
    return frozenset(use for use in KeyUse if bits[1] & use)
