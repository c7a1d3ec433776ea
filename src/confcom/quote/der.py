"""A strict reader of DER (ITU-T X.690): definite, shortest lengths and single-byte tags, nothing else.

X.509 itself is read by `cryptography`; this is for what it does not read, or not strictly: extensions, and the exact
bytes that a signature covers.
"""

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
SEQUENCE = 0x30
SET = 0x31
# [0] EXPLICIT: a certificate's version, a CRL's extensions. [3] EXPLICIT: a certificate's extensions.
CONTEXT_0 = 0xA0
CONTEXT_3 = 0xA3

# A certificate is about 1 kB, a CRL of many thousand entries a few MB: four digits of length are plenty.
_MAX_LENGTH_DIGITS = 4
# The largest number that is read here is a PCESVN, of 16 bits; Python refuses to print one of some thousand digits.
_MAX_NUMBER_BYTES = 8


class DERError(ValueError):
    """Bytes are not the DER that they were taken for."""


def read(data: bytes, start: int = 0) -> tuple[int, bytes, int]:
    """The element at `start`: its tag, its content, and where the next one begins.

    Raises:
        DERError: the element is cut off, or not encoded as DER demands.
    """
    if len(data) < start + 2:
        raise DERError("an element is cut off")
    tag, length, content = data[start], data[start + 1], start + 2
    if tag & 0x1F == 0x1F:
        raise DERError("a tag of several bytes")
    if length >= 0x80:
        digits = length & 0x7F
        encoded = data[content : content + digits]
        length = int.from_bytes(encoded)
        content += digits
        if not 1 <= digits <= _MAX_LENGTH_DIGITS or len(encoded) < digits or not encoded[0] or length < 0x80:
            raise DERError("a length that is not in its shortest form")
    if len(data) < content + length:
        raise DERError("an element is cut off")
    return tag, data[content : content + length], content + length


def read_only(data: bytes, tag: int) -> bytes:
    """The content of the one element that fills `data` and carries `tag`.

    Raises:
        DERError: another tag, or bytes behind the element.
    """
    found, content, end = read(data)
    expect(found, tag)
    if end != len(data):
        raise DERError("bytes behind the last element")
    return content


def children(content: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each element that a SEQUENCE holds.

    Raises:
        DERError: one of them is malformed.
    """
    found = []
    start = 0
    while start < len(content):
        tag, value, start = read(content, start)
        found.append((tag, value))
    return found


def expect(found: int, wanted: int) -> None:
    """Refuses a tag that is not the wanted one.

    Raises:
        DERError: it is another.
    """
    if found != wanted:
        raise DERError(f"tag {found:#04x} where {wanted:#04x} belongs")


def unsigned(content: bytes) -> int:
    """The number in the content of an INTEGER or ENUMERATED.

    Raises:
        DERError: it is negative, empty, of more than 8 bytes, or not in its shortest form.
    """
    if not content or content[0] & 0x80:
        raise DERError("a number that is empty or negative")
    if len(content) > _MAX_NUMBER_BYTES:
        raise DERError(f"a number of {len(content)} bytes; at most {_MAX_NUMBER_BYTES} are read")
    if len(content) > 1 and not content[0] and not content[1] & 0x80:
        raise DERError("a number that is not in its shortest form")
    return int.from_bytes(content)


def boolean(content: bytes) -> bool:
    """The value in the content of a BOOLEAN: 00 or FF in DER.

    Raises:
        DERError: it is neither.
    """
    if content not in {b"\x00", b"\xff"}:
        raise DERError("a BOOLEAN that is neither 00 nor FF")
    return content == b"\xff"


def dotted(oid: bytes) -> str:
    """The content of an OBJECT IDENTIFIER as people write it, for example `2.5.29.15`."""
    arcs = [0]
    for octet in oid:
        arcs[-1] = arcs[-1] << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(0)
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:-1])))
