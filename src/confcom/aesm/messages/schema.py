"""The shape of AESM's messages: scalar types, fields, and what every sub-message can do."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Self, TypeVar

import msgspec

from confcom.aesm.wire import decode_fields, encode_tag, encode_varint

# What a response that lacks its errorCode means: the field's proto2 default.
ERROR_CODE_DEFAULT = 1


class Kind(Enum):
    """Scalar types of the schema, by what a decoder does with the wire's 64 bits."""

    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    BYTES = "bytes"

    def value_from(self, wire: int | bytes | None) -> Any:
        """The field's value, or None where the wire type is another one (an unknown field for protobuf)."""
        if isinstance(wire, bytes):
            return wire if self is Kind.BYTES else None
        if wire is None or self is Kind.BYTES:
            return None
        if self is Kind.BOOL:
            return wire != 0
        return wire & 0xFFFFFFFF if self is Kind.UINT32 else wire


U32, U64, BOOL, BYTES = Kind.UINT32, Kind.UINT64, Kind.BOOL, Kind.BYTES


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field of a message: number, name, type, and whether proto2 requires it."""

    number: int
    name: str
    kind: Kind
    required: bool = False


def fields(*rows: tuple[int, str, Kind] | tuple[int, str, Kind, bool]) -> tuple[FieldType, ...]:
    """A message's schema from rows of number, name, type and whether it is required."""
    return tuple(FieldType(*row) for row in rows)


class Message(msgspec.Struct, frozen=True, gc=False):
    """Base of all sub-messages: `NUMBER` is the envelope's field, `FIELDS` the schema in order of number."""

    NUMBER: ClassVar[int]
    FIELDS: ClassVar[tuple[FieldType, ...]]
    _BY_NUMBER: ClassVar[dict[int, FieldType]]
    _ENVELOPE_TAG: ClassVar[bytes]
    _TAGS: ClassVar[tuple[tuple[str, bytes, bool], ...]]
    _REQUIRED: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        if "FIELDS" in cls.__dict__:
            cls._BY_NUMBER = {field.number: field for field in cls.FIELDS}
            cls._ENVELOPE_TAG = encode_tag(cls.NUMBER, is_bytes=True)
            cls._TAGS = tuple(
                (f.name, encode_tag(f.number, is_bytes=f.kind is BYTES), f.kind is BYTES) for f in cls.FIELDS
            )
            cls._REQUIRED = tuple(field.name for field in cls.FIELDS if field.required)

    @classmethod
    def decode(cls, *pieces: bytes) -> Self:
        """The message in one piece or merged from several; unknown fields are ignored, of a repeated one the last.

        Raises:
            AESMProtocolError: a piece is not a protobuf message.
        """
        values: dict[str, Any] = {}
        for piece in pieces:
            for number, wire in decode_fields(piece):
                field = cls._BY_NUMBER.get(number)
                if field is not None and (value := field.kind.value_from(wire)) is not None:
                    values[field.name] = value
        return cls(**values)

    def envelope(self) -> bytes:
        """The Request or Response that holds this sub-message: its fields in order of number, absent ones left out."""
        parts = self._parts()
        return b"".join((self._ENVELOPE_TAG, encode_varint(sum(map(len, parts))), *parts))

    def _parts(self) -> list[bytes]:
        parts: list[bytes] = []
        for name, tag, is_bytes in self._TAGS:
            value = getattr(self, name)
            if value is None:
                continue
            if is_bytes:
                parts += (tag, encode_varint(len(value)), value)
            else:
                parts += (tag, encode_varint(value))
        return parts

    def missing(self) -> str | None:
        """The first required field that is absent."""
        for name in self._REQUIRED:
            if getattr(self, name) is None:
                return name
        return None


M = TypeVar("M", bound=Message)
