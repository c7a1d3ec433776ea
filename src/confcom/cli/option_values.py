"""Values that several verbs read in the same way: paths, times, and bytes in hex."""

import os
from datetime import UTC, datetime
from pathlib import Path

import typer

from confcom.errors import InputError
from confcom.quote import parse_time
from confcom.quote.report_data import REPORT_DATA_SIZE


def named(text: str) -> str:
    """A file, folder or socket by its name, kept as it was written.

    Raises:
        typer.BadParameter: it is empty, as of a variable that was not set; as a path it would be the current folder.
    """
    if not text:
        raise typer.BadParameter("is empty: name one, or leave it out")
    return text


def named_path(text: str) -> Path:
    """The same as a path."""
    return Path(named(text))


def is_folder(path: str | Path) -> bool:
    """Whether a folder is there; unlike `Path.is_dir` it says no where a folder on the way may not be looked into."""
    return os.path.isdir(path)  # noqa: PTH112


def moment_of(at: str | None) -> datetime:
    """The time that `--at` names; without it, now.

    Raises:
        InputError: it is no time.
    """
    if at is None:
        return datetime.now(UTC)
    try:
        return parse_time(at)
    except ValueError as error:
        raise InputError(f"--at {at}: {error}") from error


def unhex(flag: str, text: str) -> bytes:
    """The bytes of hex digits.

    Raises:
        InputError: these are none; the sentence begins with the flag.
    """
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InputError(f"{flag}: is not hex: write two digits 0-9a-f for each byte") from None


def unhex_exactly(flag: str, text: str, size: int) -> bytes:
    """So many bytes of hex digits.

    Raises:
        InputError: these are none, or more or fewer.
    """
    value = unhex(flag, text)
    if len(value) != size:
        raise InputError(f"{flag}: has {len(value)} bytes; it must have exactly {size}")
    return value


def pad_report_data(flag: str, text: str) -> bytes:
    """The 64 bytes of a report's data: those of the hex digits, then zeros.

    Raises:
        InputError: it is no hex, or more than 64 bytes.
    """
    given = unhex(flag, text)
    if len(given) > REPORT_DATA_SIZE:
        raise InputError(f"{flag}: has {len(given)} bytes; a report takes {REPORT_DATA_SIZE}")
    return given.ljust(REPORT_DATA_SIZE, b"\0")
