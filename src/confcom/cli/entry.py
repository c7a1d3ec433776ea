"""Where the `confcom` command begins and ends.

Loading the verbs takes some tenths of a second, and Ctrl-C may come in the middle of it: so this module takes it first,
and imports nothing heavy before.
"""

import os
import signal
import sys
from types import FrameType
from typing import Final, NoReturn

# What a shell shows for a program that SIGINT (2) ended.
INTERRUPTED_CODE: Final = 128 + 2


def run() -> NoReturn:
    """The console entry point; the exit codes are `main`'s, 130 after Ctrl-C, 141 where nobody reads the output."""
    # What was started with Ctrl-C ignored, as a job in the background is, goes on ignoring it.
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:
        signal.signal(signal.SIGINT, _end_at_once)
    from confcom.cli import streams  # noqa: PLC0415 - see the module's first lines

    streams.prepare()
    code = _run(listens=listens)
    if listens:
        signal.signal(signal.SIGINT, _end_at_once)
    sys.exit(code)


def _run(*, listens: bool) -> int:
    from confcom.cli.main import main  # noqa: PLC0415 - see the module's first lines

    try:
        if listens:
            # From here on there may be something to clean up.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return main(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED_CODE


def _end_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(INTERRUPTED_CODE)
