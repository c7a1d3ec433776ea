"""What runs beside what: Kubernetes, Linux, the SGX driver and Intel's PSW, as a table that daemons and terminal read.

Pure: the caller says what it found, and gets what is known about it. Sources: `device-plugin.md` 1.5b and 2.2,
`cluster-addon.md`, `requirements.md` 2.6, as given at each row.
"""

import enum
import re
from dataclasses import dataclass

Version = tuple[int, ...]


class Part(enum.StrEnum):
    """What has a version."""

    KUBERNETES = "Kubernetes"
    LINUX = "Linux"
    DRIVER = "SGX driver"
    PSW = "Intel PSW"


class Verdict(enum.StrEnum):
    """What a version means for us; only `REFUSED` stops anything."""

    WORKS = "works"
    LIMITED = "works with limits"
    UNTRIED = "not tried"
    REFUSED = "does not work"


class DriverName(enum.StrEnum):
    """The SGX drivers that there are."""

    IN_TREE = "in-tree"
    DCAP = "DCAP"
    EPID = "EPID"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One range of versions, first to last inclusive in as many components as are given; None is open."""

    part: Part
    first: Version | None
    last: Version | None
    verdict: Verdict
    why: str

    def covers(self, version: Version) -> bool:
        """Whether a version lies in the range."""
        low = self.first is None or version[: len(self.first)] >= self.first
        return low and (self.last is None or version[: len(self.last)] <= self.last)

    @property
    def range(self) -> str:
        """The range for people: `1.30 - 1.35`."""
        first, last = (".".join(map(str, edge)) if edge else "" for edge in (self.first, self.last))
        if first and last:
            return first if first == last else f"{first} - {last}"
        return f"{first} and newer" if first else f"up to {last}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What the table says about something that was found."""

    part: Part
    found: str
    verdict: Verdict
    why: str


K, L, P = Part.KUBERNETES, Part.LINUX, Part.PSW
MATRIX: tuple[Row, ...] = (
    # The definition's rules are CEL with optional fields, GA from 1.29; and nobody supports anything before 1.30.
    Row(part=K, first=None, last=(1, 29), verdict=Verdict.REFUSED, why="older than 1.30, the first version supported"),
    Row(part=K, first=(1, 30), last=(1, 35), verdict=Verdict.WORKS, why="schemas checked; behaviour seen on 1.36 only"),
    # device-plugin.md 1.8: ResourceHealthStatus.
    Row(
        part=K,
        first=(1, 36),
        last=(1, 36),
        verdict=Verdict.LIMITED,
        why="a kubelet restart on a full node of over 16 GiB of EPC freezes it for minutes; see doctor",
    ),
    Row(
        part=K,
        first=(1, 37),
        last=(1, 37),
        verdict=Verdict.LIMITED,
        why="as 1.36, whose freeze nobody is known to have mended; only the schemas were checked",
    ),
    Row(part=K, first=(1, 38), last=None, verdict=Verdict.UNTRIED, why="newer than this version of confcom"),
    # device-plugin.md 2.1, 2.2.
    Row(
        part=L,
        first=None,
        last=(5, 10),
        verdict=Verdict.LIMITED,
        why="no SGX driver of its own; Intel's out-of-tree DCAP driver is needed",
    ),
    Row(
        part=L,
        first=(5, 11),
        last=(5, 16),
        verdict=Verdict.WORKS,
        why="in-tree driver; the EPC's size is asked of the CPU, since sysfs does not tell it",
    ),
    Row(part=L, first=(5, 17), last=(6, 18), verdict=Verdict.WORKS, why="in-tree driver, EPC in sysfs"),
    Row(
        part=L,
        first=(6, 19),
        last=None,
        verdict=Verdict.LIMITED,
        why="microcode can raise the CPU's SVN without a reboot, but only while no enclave runs, the helper's included",
    ),
    # Names of device nodes: linux-sgx issues 772 and 895. TCB baselines: requirements.md 2.6.
    Row(
        part=P,
        first=None,
        last=(2, 12),
        verdict=Verdict.LIMITED,
        why="below TCB baseline 11 of Azure Attestation, which needs 2.13.3",
    ),
    Row(
        part=P,
        first=(2, 13),
        last=(2, 15),
        verdict=Verdict.LIMITED,
        why="below TCB baseline 13; opens the old device names, which the device plugin gives as well",
    ),
    Row(part=P, first=(2, 16), last=(2, 16), verdict=Verdict.LIMITED, why="below TCB baseline 13, which needs 2.17"),
    Row(part=P, first=(2, 17), last=None, verdict=Verdict.WORKS, why="meets TCB baseline 13"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DriverRow:
    """One SGX driver: what it means for enclaves, and what for those who make quotes."""

    verdict: Verdict
    quoting: Verdict
    why: str


DRIVERS: dict[DriverName, DriverRow] = {
    DriverName.IN_TREE: DriverRow(verdict=Verdict.WORKS, quoting=Verdict.WORKS, why="Linux 5.11 and newer"),
    DriverName.DCAP: DriverRow(
        verdict=Verdict.WORKS, quoting=Verdict.WORKS, why="out-of-tree, from 1.33; for kernels before 5.11"
    ),
    DriverName.EPID: DriverRow(
        verdict=Verdict.LIMITED,
        quoting=Verdict.REFUSED,
        why="enclaves run, but isgx has no provision device, so DCAP quotes cannot be made",
    ),
}


def parse_version(text: str) -> Version | None:
    """The numbers at the start of a version: `v1.36.2` is (1, 36, 2), `6.8.0-1021-azure` is (6, 8, 0)."""
    match = re.match(r"v?(\d{1,6}(?:\.\d{1,6}){0,3})", text)
    return tuple(int(part) for part in match[1].split(".")) if match else None


def look_up(part: Part, text: str) -> Finding:
    """What the table says about one version; one that cannot be read is untried."""
    version = parse_version(text)
    row = next((row for row in MATRIX if row.part is part and version is not None and row.covers(version)), None)
    if row is None:
        return Finding(part=part, found=text, verdict=Verdict.UNTRIED, why="its version cannot be read")
    return Finding(part=part, found=text, verdict=row.verdict, why=row.why)


def look_up_driver(name: DriverName, *, quoting: bool) -> Finding:
    """What the table says about a driver, for a program that makes quotes or for one that only hands out devices."""
    row = DRIVERS[name]
    return Finding(part=Part.DRIVER, found=name, verdict=row.quoting if quoting else row.verdict, why=row.why)


def refusal(findings: tuple[Finding, ...]) -> str | None:
    """The sentence with which a start or an update is refused, or None."""
    for finding in findings:
        if finding.verdict is Verdict.REFUSED:
            return f"{finding.part} {finding.found} does not work with this version of confcom: {finding.why}"
    return None
