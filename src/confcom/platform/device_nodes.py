"""The SGX driver's device nodes under the host's /dev: which driver made them, and under which names containers look.

Each name is looked at with `lstat` under the root that was given, and symbolic links are resolved inside that root:
the host's /dev may be mounted anywhere in a pod, and a container runtime wants the real node, not a link to it.
"""

import enum
import os
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# As in the kernel's own path walk, where 40 is the bound; udev makes one link.
MAX_LINKS = 8
DEV = "/dev"
# What simulation hands out. Every use of it as an SGX device fails at once and clearly: ioctl gives ENOTTY, mmap
# ENODEV. /dev/zero would be mapped, and an application would believe in an enclave that is not there.
SIMULATED_NODE = "null"


class Driver(enum.StrEnum):
    """Who made a device node."""

    IN_TREE = "in-tree driver (Linux 5.11 and newer)"
    DCAP = "out-of-tree DCAP driver"
    EPID = "out-of-tree EPID driver"
    SIMULATED = "simulation"


# Both generations of names; the newer first. SDK and PSW from 2.16 on open the new ones first, older ones the others.
ENCLAVE_PATHS = ("/dev/sgx_enclave", "/dev/sgx/enclave")
PROVISION_PATHS = ("/dev/sgx_provision", "/dev/sgx/provision")
ISGX_PATHS = ("/dev/isgx",)

_CANDIDATES = (
    ("enclave", "sgx_enclave", Driver.IN_TREE, ENCLAVE_PATHS),
    ("enclave", "sgx/enclave", Driver.DCAP, ENCLAVE_PATHS),
    ("enclave", "isgx", Driver.EPID, ISGX_PATHS),
    ("provision", "sgx_provision", Driver.IN_TREE, PROVISION_PATHS),
    ("provision", "sgx/provision", Driver.DCAP, PROVISION_PATHS),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceNode:
    """One character device of the host, and the paths under which a container gets it."""

    host_path: str
    container_paths: tuple[str, ...]
    driver: Driver

    def seen_at(self, dev_root: Path) -> Path:
        """Where this process finds it, which sees the host's /dev at `dev_root`."""
        return dev_root / self.host_path.removeprefix(f"{DEV}/")


@dataclass(frozen=True, kw_only=True, slots=True)
class DriverNodes:
    """What was found, and in `problems` each name that is there but cannot be used."""

    enclave: DeviceNode | None
    provision: DeviceNode | None
    problems: tuple[str, ...] = ()


Stat = Callable[[Path], os.stat_result]


def find_nodes(dev_root: Path, lstat: Stat = os.lstat) -> DriverNodes:
    """The SGX device nodes of the host whose /dev is seen at `dev_root`."""
    found: dict[str, DeviceNode] = {}
    problems = []
    for kind, name, driver, container_paths in _CANDIDATES:
        host_path, problem = resolve(dev_root, name, lstat)
        if problem:
            problems.append(problem)
        if host_path and kind not in found:
            found[kind] = DeviceNode(host_path=host_path, container_paths=container_paths, driver=driver)
    return DriverNodes(enclave=found.get("enclave"), provision=found.get("provision"), problems=tuple(problems))


def simulated_nodes(dev_root: Path, lstat: Stat = os.lstat) -> DriverNodes:
    """A harmless character device of the host in the place of both SGX nodes."""
    host_path, problem = resolve(dev_root, SIMULATED_NODE, lstat)
    if host_path is None:
        return DriverNodes(enclave=None, provision=None, problems=(problem or f"{DEV}/{SIMULATED_NODE} is missing",))
    return DriverNodes(
        enclave=DeviceNode(host_path=host_path, container_paths=ENCLAVE_PATHS, driver=Driver.SIMULATED),
        provision=DeviceNode(host_path=host_path, container_paths=PROVISION_PATHS, driver=Driver.SIMULATED),
    )


def resolve(dev_root: Path, name: str, lstat: Stat = os.lstat) -> tuple[str | None, str | None]:
    """The path on the host of the character device that `name` under /dev leads to, and what is wrong otherwise.

    Both are None where nothing has that name. Links are followed inside /dev only.
    """
    here = name
    for _ in range(MAX_LINKS):
        try:
            mode = lstat(dev_root / here).st_mode
            target = str((dev_root / here).readlink()) if stat.S_ISLNK(mode) else None
        except (FileNotFoundError, NotADirectoryError):
            dangling = f"{DEV}/{name} is a link to {DEV}/{here}, which does not exist" if here != name else None
            return None, dangling
        except OSError as error:
            return None, f"{DEV}/{here} cannot be looked at: {error.strerror or error}"
        if target is None:
            if stat.S_ISCHR(mode):
                return f"{DEV}/{here}", None
            return None, f"{DEV}/{here} is not a character device but a {_kind(mode)}"
        landing = posixpath.normpath(posixpath.join(DEV, posixpath.dirname(here), target))
        if not landing.startswith(DEV + "/"):
            return None, f"{DEV}/{name} is a link that leaves {DEV}, to {landing}"
        here = landing.removeprefix(DEV + "/")
    return None, f"{DEV}/{name}: over {MAX_LINKS} links in a row"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    return "block device" if stat.S_ISBLK(mode) else "socket or pipe"
