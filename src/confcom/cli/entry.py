"""Where the `confcom` command begins and ends.

Loading the verbs takes some tenths of a second, and Ctrl-C may come in the middle of it: so this module takes it first,
and imports nothing heavy before.
"""

import signal
import sys
from typing import NoReturn

from confcom.runtime.interrupts import INTERRUPTED_CODE, end_at_once


def run() -> NoReturn:
    """The console entry point; the exit codes are `main`'s, 130 after Ctrl-C, 141 where nobody reads the output."""
    listens = end_at_once()
    from confcom.cli import streams  # noqa: PLC0415 - see the module's first lines

    streams.prepare()
    code = _run(listens=listens)
    end_at_once()
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
