"""Strict reading of the JSON that Intel signs: exact types, sizes and dates, errors with the member's path."""

import re
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec

from confcom.errors import CollateralFormatError
from confcom.quote.printing import printable
from confcom.quote.times import parse_time

# A component's SVN is one byte of CPUSVN; PCESVN and ISVSVN have two bytes.
SVN8 = Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
SVN16 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
# Versions and types are small, and evaluation numbers were 12 in 2022 and 21 in 2026.
Count = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]

_Document = TypeVar("_Document")
# A stranger's value is quoted up to here.
_MAX_QUOTED = 200
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def decode(text: bytes, decoder: "msgspec.json.Decoder[_Document]", name: str) -> _Document:
    """The document `name` in `text`, checked against the decoder's types; unknown members are allowed.

    Raises:
        CollateralFormatError: not JSON, or a member is missing or not as the types say.
    """
    try:
        # The decoder looks at no text that it passes over, so it would take bytes that are none.
        return decoder.decode(text.decode())
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        raise CollateralFormatError(name + where.rstrip("`"), printable(problem, _MAX_QUOTED)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CollateralFormatError(name, f"is not JSON: {error}") from error


def time(text: str, path: str) -> datetime:
    """The time in `YYYY-MM-DDTHH:MM:SSZ`.

    Raises:
        CollateralFormatError: another form.
    """
    try:
        return parse_time(text)
    except ValueError as error:
        raise CollateralFormatError(path, str(error)) from error


def require_id(found: str, wanted: str, path: str) -> None:
    """Refuses a document of another enclave.

    Raises:
        CollateralFormatError: its id is not the wanted one.
    """
    if found != wanted:
        raise CollateralFormatError(path, f"must be '{wanted}', is '{printable(found, _MAX_QUOTED)}'")


def unhex(text: str, size: int, path: str) -> bytes:
    """The `size` bytes written as hex, in either case.

    Raises:
        CollateralFormatError: no hex, or another length.
    """
    if not _HEX.fullmatch(text) or len(text) != 2 * size:
        raise CollateralFormatError(path, f"must be {2 * size} hex digits")
    return bytes.fromhex(text)
