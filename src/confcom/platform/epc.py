"""How much EPC this machine has, and who says so."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class EPCFinding:
    """The EPC sections of a machine, in bytes, with the source of the numbers in words."""

    sections: tuple[int, ...]
    source: str

    @property
    def mib(self) -> int:
        """Whole MiB, rounded down in each section: a unit that lies in two sections does not exist."""
        return sum(size // MIB for size in self.sections)


def from_sysfs(sys_root: Path) -> tuple[int, ...]:
    """The EPC of each NUMA node in bytes, by `sgx_total_bytes` (Linux 5.17 and newer); empty where no node has one.

    Numbers that cannot be read are left out, since a section that nobody vouches for cannot be offered.
    """
    found = []
    for path in sorted(sys_root.glob("devices/system/node/node[0-9]*/x86/sgx_total_bytes")):
        try:
            size = int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if size > 0:
            found.append(size)
    return tuple(found)
