"""The processes of this machine, any of which may end while it is looked at."""

import contextlib
from pathlib import Path


def command_line(pid):
    """The command line of a process, empty once it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def processes_that_name(folder):
    """The command lines of the processes in whose words the folder stands."""
    lines = [command_line(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [line for line in lines if str(folder).encode() in line]
