"""The few DER types that the SGX extension of a PCK certificate is made of (ITU-T X.690), written by hand.

`cryptography` writes certificates but no free-form ASN.1, and the exact types matter: Intel's verifier reads
SGX Type as ENUMERATED and nothing else.
"""

_BOOLEAN = 0x01
_INTEGER = 0x02
_OCTET_STRING = 0x04
_OBJECT_IDENTIFIER = 0x06
_ENUMERATED = 0x0A
_SEQUENCE = 0x30


def boolean(value: bool) -> bytes:
    """BOOLEAN; DER writes TRUE as FF."""
    return _element(_BOOLEAN, b"\xff" if value else b"\x00")


def integer(value: int) -> bytes:
    """INTEGER of a number that is not negative: 127 is 02 01 7F, 255 is 02 02 00 FF."""
    return _element(_INTEGER, _number(value))


def enumerated(value: int) -> bytes:
    """ENUMERATED of a number that is not negative."""
    return _element(_ENUMERATED, _number(value))


def octet_string(value: bytes) -> bytes:
    """OCTET STRING."""
    return _element(_OCTET_STRING, value)


def object_identifier(dotted: str) -> bytes:
    """OBJECT IDENTIFIER: the first two arcs share a byte, the others go in groups of seven bits."""
    first, second, *others = (int(arc) for arc in dotted.split("."))
    return _element(_OBJECT_IDENTIFIER, b"".join(_base128(arc) for arc in (40 * first + second, *others)))


def sequence(*elements: bytes) -> bytes:
    """SEQUENCE of elements that are DER already."""
    return _element(_SEQUENCE, b"".join(elements))


def _element(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + _length(len(content)) + content


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    digits = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((0x80 | len(digits),)) + digits


def _number(value: int) -> bytes:
    # One bit more than the number needs: a leading 1 would make it negative.
    return value.to_bytes(value.bit_length() // 8 + 1)


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(0x80 | arc & 0x7F)
    return bytes(reversed(groups))
