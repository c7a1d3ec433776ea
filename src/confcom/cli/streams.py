"""The standard streams as the command finds them: open, closed, full, or with nobody at the other end.

Light on purpose: `entry` imports it before anything that takes time.
"""

import errno
import io
import os
import sys
from typing import Any, Final, TextIO

from confcom.errors import PlatformError

STDIN, STDOUT, STDERR = 0, 1, 2
# What a shell shows for a program that SIGPIPE (13) ended, as it ends other tools whose reader has gone.
READER_GONE_CODE: Final = 128 + 13


class OutputError(PlatformError):
    """Standard output takes no more: its disk is full, or it was closed before the start."""


class ReaderGoneError(OutputError):
    """Nobody reads standard output any more, as in `confcom ... | head -1`; there is nothing to say about it."""

    exit_code = READER_GONE_CODE


def prepare() -> None:
    """Opens what was closed before the start, and makes standard output say by itself what is wrong."""
    closed = [number for number in (STDIN, STDOUT, STDERR) if not _is_open(number)]
    for number in closed:
        _reserve(number)
    sys.stdin = sys.stdin or open(STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _text(_Output(STDOUT, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Talk(STDERR, "w", closefd=False), sys.stderr, by_line=True)


def abandon_output() -> None:
    """Leads standard output nowhere, since the interpreter's own last flush would complain a second time."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    os.close(nowhere)


class _Output(io.FileIO):
    """Errors of writing as ours, so that nothing between here and the verb takes them for something else."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except BrokenPipeError as error:
            raise ReaderGoneError("nobody reads standard output any more") from error
        except OSError as error:
            problem = "is closed" if error.errno == errno.EBADF else f"cannot be written: {error.strerror}"
            raise OutputError(f"standard output {problem}") from error


class _Talk(io.FileIO):
    """What cannot be said keeps nobody from working."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


def _text(raw: io.FileIO, former: TextIO | None, *, by_line: bool = False) -> TextIO:
    encoding = former.encoding if former else "utf-8"
    by_line = by_line or raw.isatty()
    # A name from a disk need not be in the terminal's encoding; it is shown as far as it can be.
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=by_line)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _reserve(number: int) -> None:
    """Keeps the number from the next file that is opened, which would get the output or be read as the input.

    Standard input and output are opened the wrong way round, so that using them fails; talk on stderr just vanishes.
    """
    opened = os.open(os.devnull, os.O_RDONLY if number == STDOUT else os.O_WRONLY)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)
