"""A table-driven reader and writer of packed little-endian structures: the one place where bytes become fields."""

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from confcom.errors import SGXFormatError


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a packed structure: `size` bytes that hold raw bytes, an unsigned integer or a structure."""

    name: str
    size: int
    type: type = bytes

    def decode(self, data: bytes, base: int) -> Any:
        """The field's value from exactly `size` bytes, which start at `base` of the outermost structure."""
        if self.type is bytes:
            return data
        if self.type is int:
            return int.from_bytes(data, "little")
        return self.type.from_bytes(data, base=base)  # type: ignore[attr-defined]

    def encode(self, value: Any) -> bytes:
        """The exact inverse of `decode`."""
        if self.type is bytes:
            return bytes(value)
        if self.type is int:
            return int(value).to_bytes(self.size, "little")
        encoded: bytes = value.to_bytes()
        return encoded

    def problem(self, value: Any) -> str | None:
        """Why `value` cannot stand in this field, or None."""
        if self.type is bytes and len(value) != self.size:
            return f"needs {self.size} bytes, not {len(value)}"
        if self.type is int and not 0 <= value < 1 << (8 * self.size):
            return f"{value} does not fit in {self.size} unsigned bytes"
        return None


class Structure:
    """Base of the fixed-size structures: subclasses are frozen dataclasses with a `FIELDS` table in wire order."""

    __slots__ = ()
    NAME: ClassVar[str]
    FIELDS: ClassVar[tuple[Field, ...]]
    SIZE: ClassVar[int]
    # Reading and checking go over it for every structure of every quote, so it is made once.
    _OFFSETS: ClassVar[tuple[tuple[Field, int], ...]]

    def __init_subclass__(cls) -> None:
        cls.SIZE = sum(field.size for field in cls.FIELDS)
        starts = itertools.accumulate((field.size for field in cls.FIELDS), initial=0)
        cls._OFFSETS = tuple(zip(cls.FIELDS, starts, strict=False))

    @classmethod
    def offsets(cls) -> tuple[tuple[Field, int], ...]:
        """Each field with its offset in bytes."""
        return cls._OFFSETS

    @classmethod
    def from_bytes(cls, data: bytes, *, base: int = 0) -> Self:
        """The structure in exactly `SIZE` bytes; `base` is where they start in an enclosing structure.

        Raises:
            SGXFormatError: the bytes end inside a field, or go on behind the last one.
        """
        values = {}
        for field, offset in cls.offsets():
            if len(data) < offset + field.size:
                there = max(0, len(data) - offset)
                raise SGXFormatError(
                    cls.NAME, field.name, base + offset, f"needs {field.size} bytes, the input has {there} left"
                )
            values[field.name] = field.decode(data[offset : offset + field.size], base + offset)
        if len(data) > cls.SIZE:
            raise SGXFormatError(
                cls.NAME, "end", base + cls.SIZE, f"{len(data) - cls.SIZE} bytes too many: it has {cls.SIZE}"
            )
        return cls(**values)

    def to_bytes(self) -> bytes:
        """The `SIZE` bytes of this structure, reserved fields included."""
        return b"".join(field.encode(getattr(self, field.name)) for field in self.FIELDS)

    def __post_init__(self) -> None:
        """Refuses values that have no encoding, so that `to_bytes` never fails."""
        for field, offset in self.offsets():
            if problem := field.problem(getattr(self, field.name)):
                raise SGXFormatError(self.NAME, field.name, offset, problem)
