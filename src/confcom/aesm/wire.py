"""The part of the protobuf encoding that AESM's proto2 messages use: varints and length-delimited fields."""

import functools
from collections.abc import Iterator

from confcom.errors import AESMProtocolError

VARINT = 0
FIXED64 = 1
BYTES = 2
FIXED32 = 5

# A varint carries 64 bits in groups of seven, so ten bytes at the most.
_MAX_VARINT_BYTES = 10
# The largest real message has eight fields. Each costs a microsecond of the helper's one loop, for two bytes of whoever
# sends them: thousands in a frame would make everybody else wait.
MAX_FIELDS = 16
_MASK64 = (1 << 64) - 1


# The sizes and codes of a helper's answers are few, and encoding one takes longer than finding it again.
@functools.lru_cache(maxsize=1024)
def encode_varint(value: int) -> bytes:
    """The shortest encoding of an unsigned 64-bit integer.

    Raises:
        ValueError: it is negative or larger.
    """
    if not 0 <= value <= _MASK64:
        raise ValueError(f"{value} is no unsigned integer of 64 bits")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_varint(data: bytes, offset: int) -> tuple[int, int]:
    """The integer at `offset`, cut to 64 bits as protobuf does, and the offset behind it.

    Raises:
        AESMProtocolError: the bytes end inside it, or it has over ten bytes.
    """
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if offset + index >= len(data):
            raise AESMProtocolError(f"message ends inside the integer at offset {offset}")
        byte = data[offset + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & _MASK64, offset + index + 1
    raise AESMProtocolError(f"integer at offset {offset} has over {_MAX_VARINT_BYTES} bytes")


def encode_tag(number: int, *, is_bytes: bool) -> bytes:
    """The tag of a length-delimited field, or of a varint."""
    return encode_varint(number << 3 | (BYTES if is_bytes else VARINT))


def decode_fields(data: bytes) -> Iterator[tuple[int, int | bytes | None]]:
    """Each field's number and value in wire order; None for a fixed-width field, which no AESM message has.

    Raises:
        AESMProtocolError: the bytes are not a protobuf message, hold the long-deprecated groups, or too many fields.
    """
    offset = count = 0
    end = len(data)
    while offset < end:
        start = offset
        count += 1
        if count > MAX_FIELDS:
            raise AESMProtocolError(f"message has over {MAX_FIELDS} fields")
        tag, offset = decode_varint(data, offset)
        number, wire_type = tag >> 3, tag & 7
        # The tag is a 32-bit varint: field numbers have 29 bits.
        if not 0 < number < 1 << 29:
            raise AESMProtocolError(f"field number {number} at offset {start} is not possible")
        value: int | bytes | None = None
        if wire_type == VARINT:
            value, offset = decode_varint(data, offset)
        elif wire_type == BYTES:
            size, offset = decode_varint(data, offset)
            value = data[offset : offset + size]
            offset += size
        elif wire_type in (FIXED32, FIXED64):
            offset += 4 if wire_type == FIXED32 else 8
        else:
            raise AESMProtocolError(f"field {number} at offset {start} has the unknown wire type {wire_type}")
        if offset > end:
            raise AESMProtocolError(f"message ends inside field {number} at offset {start}")
        yield number, value
