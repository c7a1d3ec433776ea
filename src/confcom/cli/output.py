"""What every verb shares: the output format, data on stdout, talk on stderr."""

import enum
import errno
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from confcom.errors import InputError, PlatformError

# A quote, a report or collateral is far smaller; what is larger was given by mistake.
MAX_INPUT_BYTES = 16 * 1024 * 1024

# No table of ours has longer lines, node names and sentences included.
PIPED_TABLE_WIDTH = 1000

talk = Console(stderr=True, highlight=False, soft_wrap=True)
data = Console(highlight=False, soft_wrap=True)


class OutputFormat(enum.StrEnum):
    """The two forms of every reading verb."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[OutputFormat, typer.Option("--output", help="How the result is printed.")]


def print_table(table: Table) -> None:
    """A table on stdout, its cells as they are: as wide as the terminal, or as itself where it is piped."""
    console = data if data.is_terminal else Console(width=PIPED_TABLE_WIDTH, highlight=False)
    console.print(table, markup=False)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(to_json(value) + "\n")


def to_json(value: Any) -> str:
    """A JSON document in lines and in ASCII: so every terminal shows it, and a file's name may have any bytes."""
    return json.dumps(msgspec.to_builtins(value), indent=2)


def read_input(path: str, what: str) -> bytes:
    """The bytes of a file, or of standard input for `-`; `what` names them in errors.

    Raises:
        InputError: the file cannot be read, or has over 16 MiB.
    """
    try:
        with sys.stdin.buffer if path == "-" else Path(path).open("rb") as stream:
            content = stream.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        closed = path == "-" and error.errno == errno.EBADF
        problem = "standard input is closed" if closed else error.strerror or error
        raise InputError(f"{what} {path}: {problem}") from error
    if len(content) > MAX_INPUT_BYTES:
        raise InputError(f"{what} {path}: over {MAX_INPUT_BYTES >> 20} MiB, which no {what} is")
    return content


def require_one_standard_input(*named: tuple[str | None, ...]) -> None:
    """Refuses `-` in two places; each of `named` begins with its flag, values follow.

    Raises:
        InputError: standard input, which can be read once only, was named twice; the sentence says where.
    """
    flags = [str(flag) for flag, *values in named for value in values if value == "-"]
    if len(flags) > 1:
        raise InputError(f"{flags[0]} - and {flags[1]} -: both cannot be standard input; name a file for one of them")


def write_output(path: str, content: bytes, what: str) -> None:
    """Writes bytes to a file, or to standard output for `-`.

    Raises:
        PlatformError: the file cannot be written.
    """
    if path == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise PlatformError(f"{what} {path}: cannot be written: {error.strerror or error}") from error
