"""Whether this node can make quotes of hardware: the device nodes, opened, and the libraries, loaded in a child.

A missing device, one that may not be opened and a missing library are told apart: seen from a client all three are
the same refusal, and Intel's service even shows the second as an unsupported key.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confcom.codes import AESM
from confcom.errors import PlatformError
from confcom.platform.device_nodes import DEV, DriverNodes, find_nodes

# Loading the libraries takes some milliseconds; a file system that does not answer must not hold up the start.
LOOK_SECONDS = 10.0

_FROM_PLUGIN = "in a cluster the device plugin hands it over with the resource confcom.io/sgx-quote-helper"
_ADVICE = {
    "enclave": "SGX must be on in the BIOS (or the machine type must have it) and the kernel 5.11 or newer",
    "provision": "QE and PCE cannot be loaded without it",
}
_GROUP = {"enclave": "the group sgx, on some distributions", "provision": "the group sgx_prv"}
_CODE = {"enclave": AESM.NO_DEVICE, "provision": AESM.ENCLAVE_LOAD}

Open = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lack:
    """What this node lacks, in words with what to do, and the AESM code of a helper in that state."""

    code: AESM
    sentence: str


def open_node(path: Path) -> None:
    """Opens a device read-write, as the SGX runtime will, and closes it."""
    os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))


def missing_device(dev_root: Path, opened: Open = open_node) -> Lack | None:
    """The first of enclave and provision device that is not there or cannot be opened read-write, or None."""
    nodes = find_nodes(dev_root)
    for kind in ("enclave", "provision"):
        problem = _problem(kind, nodes, dev_root, opened)
        if problem:
            return Lack(code=_CODE[kind], sentence=problem)
    return None


def _problem(kind: str, nodes: DriverNodes, dev_root: Path, opened: Open) -> str | None:
    node = nodes.enclave if kind == "enclave" else nodes.provision
    if node is None:
        found = "".join(f" ({problem})" for problem in nodes.problems)
        return f"there is no device {DEV}/sgx_{kind}{found}: {_ADVICE[kind]}; {_FROM_PLUGIN}"
    try:
        opened(node.seen_at(dev_root))
    except PermissionError as error:
        return (
            f"{node.host_path} is there but may not be opened ({error.strerror}): the helper must run as root or in "
            f"{_GROUP[kind]}, and its container must be given the device; {_FROM_PLUGIN}"
        )
    except OSError as error:
        return f"{node.host_path} is there but cannot be opened ({error.strerror}): look at the kernel's log"
    return None


def missing_library() -> Lack | None:
    """Why the quoting libraries cannot be loaded, or None; tried in a child, so that this process stays small."""
    command = [sys.executable, "-m", "confcom.quoting.dcap_library"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, check=False, capture_output=True, text=True, timeout=LOOK_SECONDS
        )
    except subprocess.TimeoutExpired:
        sentence = f"loading the quoting libraries did not end within {LOOK_SECONDS:g} s"
        return Lack(code=AESM.SERVICE_UNAVAILABLE, sentence=sentence)
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
    return Lack(code=AESM.SERVICE_UNAVAILABLE, sentence=last)


def lack(dev_root: Path) -> Lack | None:
    """What keeps this node from making quotes of hardware, or None."""
    return missing_device(dev_root) or missing_library()


def require_hardware(dev_root: Path) -> None:
    """Sees to it that this node can make quotes of hardware.

    Raises:
        PlatformError: it cannot; the sentence names what is missing and what to do.
    """
    if missing := lack(dev_root):
        raise PlatformError(
            f"--backend auto: this node cannot make quotes of hardware: {missing.sentence}. To wait until it can, say "
            "--backend dcap; for quotes without SGX, name a folder with --simulated-platform"
        )
