"""The processor's flags as the kernel shows them: `sgx` and `sgx_lc` stand there only if the kernel enabled them."""

from dataclasses import dataclass
from pathlib import Path

# One processor's block has some 1.5 KiB; all of them say the same about SGX.
READ_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class CPUFlags:
    """Whether the kernel uses SGX and launch control; `readable` is False where /proc/cpuinfo has no flags."""

    readable: bool
    sgx: bool = False
    sgx_lc: bool = False


def read_flags(proc_root: Path) -> CPUFlags:
    """The flags of the first processor in `proc_root`/cpuinfo."""
    try:
        with (proc_root / "cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(READ_BYTES)
    except OSError:
        return CPUFlags(readable=False)
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            flags = value.split()
            return CPUFlags(readable=True, sgx="sgx" in flags, sgx_lc="sgx_lc" in flags)
    return CPUFlags(readable=False)
