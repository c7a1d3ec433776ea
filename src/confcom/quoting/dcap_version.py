"""Which PSW the quoting libraries run on, and what the table of compatibility says of all that they run beside.

`python -m confcom.quoting.dcap_version` loads the SGX runtime as the libraries do and prints the version that is
written in it: several can be installed, and only the dynamic loader knows which one counts.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from confcom.platform.compatibility import Finding, Part, look_up
from confcom.platform.device_nodes import find_nodes
from confcom.platform.versions import UNKNOWN, look_around, psw_version

# Loading one library takes some milliseconds; a file system that does not answer must not hold up the start.
LOOK_SECONDS: Final = 10.0
_MAPS: Final = Path("/proc/self/maps")


def look_around_for_quotes(dev_root: Path, proc_root: Path) -> tuple[Finding, ...]:
    """Kernel, SGX driver and PSW, as far as each can be seen, and what the table says about each."""
    found = look_around(proc_root, find_nodes(dev_root), quoting=True)
    version = installed_psw()
    return found if version is None else (*found, look_up(Part.PSW, version))


def installed_psw() -> str | None:
    """The version of the SGX runtime that the loader finds, `unknown` where it has none, None where there is none.

    It is asked for in a child, so that this process stays small.
    """
    command = [sys.executable, "-m", "confcom.quoting.dcap_version"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, check=False, capture_output=True, text=True, timeout=LOOK_SECONDS
        )
    except subprocess.TimeoutExpired:
        return UNKNOWN
    return done.stdout.strip() if done.returncode == 0 else None


def loaded_file(maps: str, name: str) -> Path | None:
    """The file behind a loaded library, by the text of /proc/self/maps (`proc_pid_maps(5)`): a path is its last field.

    The file may have another name than the one that was asked for: that is often a link.
    """
    stem = name.partition(".so")[0]
    for line in maps.splitlines():
        path = line[line.find("/") :] if "/" in line else ""
        if path.rpartition("/")[2].startswith(f"{stem}.so"):
            return Path(path)
    return None


def main() -> int:
    """Exit 0 and the version, or exit 1 where the runtime cannot be loaded."""
    # Not for the helper's front, which imports this module to ask a child.
    import ctypes  # noqa: PLC0415

    from confcom.quoting.dcap_probe import URTS  # noqa: PLC0415

    try:
        ctypes.CDLL(URTS)
        file = loaded_file(_MAPS.read_text(encoding="utf-8", errors="surrogateescape"), URTS)
        version = psw_version(file) if file else None
    except OSError:
        return 1
    sys.stdout.write(f"{version or UNKNOWN}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
