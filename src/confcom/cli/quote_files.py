"""Quotes out of files and folders, one at a time: of many, no more than one is held."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from confcom.cli.option_values import is_folder
from confcom.cli.output import read_input
from confcom.errors import InputError
from confcom.quote import FoundQuote, find_quote

# A folder with more files is another one.
MAX_FILES = 100_000


def list_files(paths: Iterable[str]) -> list[str]:
    """Each file as it is named, and each folder's files by name; hidden ones and folders in folders are left out.

    Raises:
        InputError: a folder cannot be read or holds no files, or there are more than 100,000.
    """
    found: list[str] = []
    for path in paths:
        found += _in_folder(path) if path != "-" and is_folder(path) else [path]
        if len(found) > MAX_FILES:
            raise InputError(f"{path}: over {MAX_FILES} files; name fewer at a time")
    return found


def read_quote_file(path: str) -> FoundQuote:
    """The quote in a file, or in standard input for `-`.

    Raises:
        InputError: the file cannot be read, or holds no quote.
    """
    content = read_input(path, "quote")
    try:
        return find_quote(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _in_folder(path: str) -> list[str]:
    try:
        names = sorted(_names(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if not names:
        raise InputError(f"{path}: the folder holds no files")
    return [str(Path(path) / name) for name in names]


def _names(path: str) -> Iterator[str]:
    with os.scandir(path) as entries:
        yield from (entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
