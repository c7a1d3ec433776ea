"""What a program can see of what it runs beside: the kernel, the SGX driver, Intel's PSW.

`compatibility` says what it means.
"""

import re
from pathlib import Path

from confcom.platform.compatibility import DriverName, Finding, Part, look_up, look_up_driver, parse_version
from confcom.platform.device_nodes import Driver, DriverNodes

# Before it Linux has no SGX driver of its own (device-plugin.md 2.2).
FIRST_IN_TREE = (5, 11)
# A line of some twenty characters.
MAX_RELEASE_BYTES = 256
# Intel's runtime has its version as text in its data, which Intel's own samples look for.
_PSW_MARK = re.compile(rb"SGX_URTS_VERSION_(\d{1,6}(?:\.\d{1,6}){1,3})")
# libsgx_urts.so has half a megabyte.
MAX_LIBRARY_BYTES = 64 * 1024 * 1024

UNKNOWN = "unknown"

_NAMES = {Driver.IN_TREE: DriverName.IN_TREE, Driver.DCAP: DriverName.DCAP, Driver.EPID: DriverName.EPID}


def look_around(proc_root: Path, nodes: DriverNodes, *, quoting: bool) -> tuple[Finding, ...]:
    """What the table says about the kernel and the driver here; `quoting` as in `look_up_driver`.

    Both are of use to hardware only: a simulation has neither to look at.
    """
    release = kernel_release(proc_root)
    kernel = look_up(Part.LINUX, release or UNKNOWN)
    driver = driver_of(nodes, release)
    return (kernel,) if driver is None else (kernel, look_up_driver(driver, quoting=quoting))


def kernel_release(proc_root: Path) -> str | None:
    """The kernel's release as `uname -r` shows it, or None where it cannot be read."""
    try:
        with (proc_root / "sys/kernel/osrelease").open(encoding="ascii", errors="replace") as stream:
            return stream.read(MAX_RELEASE_BYTES).strip() or None
    except OSError:
        return None


def driver_of(nodes: DriverNodes, release: str | None) -> DriverName | None:
    """Which driver made the enclave device; None where there is no device of a driver.

    The device plugin gives a container the node under both names, so there the name alone does not tell: on a kernel
    without a driver of its own, the driver is the out-of-tree one.
    """
    name = _NAMES.get(nodes.enclave.driver) if nodes.enclave is not None else None
    version = parse_version(release or "")
    if name is DriverName.IN_TREE and version is not None and version < FIRST_IN_TREE:
        return DriverName.DCAP
    return name


def psw_version(library: Path) -> str | None:
    """The version that an SGX runtime (libsgx_urts) has written into it, or None where it has none.

    Raises:
        OSError: the file cannot be read.
    """
    with library.open("rb") as stream:
        found = _PSW_MARK.search(stream.read(MAX_LIBRARY_BYTES))
    return found[1].decode() if found else None
