"""Ctrl-C while a program loads: its end, quietly and at once, where Python would print a traceback.

Standard library only, and little of it: programs call this before they import anything that takes time.
"""

import os
import signal
from types import FrameType
from typing import Final, NoReturn

# What a shell shows for a program that SIGINT (2) ended.
INTERRUPTED_CODE: Final = 128 + 2


def end_at_once() -> bool:
    """Makes SIGINT end the process at once, for times in which there is nothing to clean up.

    Returns:
        Whether it listens to SIGINT at all; what was started with it ignored, as a job in the background is, goes on
        ignoring it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return False
    signal.signal(signal.SIGINT, _end)
    return True


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(INTERRUPTED_CODE)
