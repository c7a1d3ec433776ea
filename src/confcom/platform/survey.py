"""What this machine has of SGX, from every source there is, and in words what is wrong where they disagree."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confcom.errors import PlatformError
from confcom.platform import cpuid, device_nodes
from confcom.platform.cpuid import CPUIDFinding
from confcom.platform.cpuinfo import CPUFlags, read_flags
from confcom.platform.device_nodes import DriverNodes
from confcom.platform.epc import EPCFinding, from_sysfs

NONE = EPCFinding(sections=(), source="none")


@dataclass(frozen=True, kw_only=True, slots=True)
class Roots:
    """Where the host's file systems are seen; a pod may have them mounted elsewhere."""

    dev: Path = Path("/dev")
    sys: Path = Path("/sys")
    proc: Path = Path("/proc")


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """Every finding, and the EPC that follows from them.

    `cpuid` is None where the processor could not be asked, and `cpuid_problem` says why.
    """

    sysfs: tuple[int, ...]
    cpuid: CPUIDFinding | None
    cpuid_problem: str | None
    flags: CPUFlags
    nodes: DriverNodes
    configured: int | None = None

    @property
    def enabled(self) -> bool:
        """Whether an SGX driver works here: only the kernel's own signs count, not what the processor could do."""
        return bool(self.sysfs) or self.flags.sgx or self.nodes.enclave is not None

    @property
    def epc(self) -> EPCFinding:
        """The EPC to offer: sysfs before CPUID before configuration, and none where SGX is not enabled."""
        if not self.enabled:
            return NONE
        if self.sysfs:
            return EPCFinding(sections=self.sysfs, source="sysfs")
        if self.cpuid is not None and self.cpuid.sections:
            return EPCFinding(sections=self.cpuid.sections, source="CPUID")
        if self.configured:
            return EPCFinding(sections=(self.configured,), source="configuration")
        return NONE

    @property
    def problem(self) -> str | None:
        """Why this machine has no EPC to offer, in words with the next step, or None where it has some."""
        if self.epc.mib:
            return None
        if self.enabled:
            return (
                "an SGX driver is here, but neither the kernel (sysfs, from Linux 5.17) nor CPUID tells the size of "
                f"the EPC{_because(self.cpuid_problem)}: name it with --epc"
            )
        if self.cpuid is None:
            return f"no SGX driver, and the processor could not be asked{_because(self.cpuid_problem)}"
        if not self.cpuid.sgx:
            return "the processor, or the virtual machine it is shown to, has no SGX"
        if not self.cpuid.sections:
            return "the processor has SGX, but the firmware reserves no EPC: switch SGX on in the BIOS (not 'software')"
        return (
            "the processor has SGX, but the kernel does not use it: it is off in the BIOS, or this kernel has no SGX "
            "driver (CONFIG_X86_SGX, from Linux 5.11)" + ("" if self.cpuid.launch_control else _NO_LAUNCH_CONTROL)
        )


_NO_LAUNCH_CONTROL = "; launch control (SGX_LC) is off, without which that driver does not start"


def _because(problem: str | None) -> str:
    return f" ({problem})" if problem else ""


def survey(
    roots: Roots, *, configured: int | None = None, processor: Callable[[], cpuid.Reader] = cpuid.processor
) -> Survey:
    """Looks at everything once; `configured` is the EPC in bytes that the operator named."""
    finding, problem = _ask(processor)
    return Survey(
        sysfs=from_sysfs(roots.sys),
        cpuid=finding,
        cpuid_problem=problem,
        flags=read_flags(roots.proc),
        nodes=device_nodes.find_nodes(roots.dev),
        configured=configured,
    )


def _ask(processor: Callable[[], cpuid.Reader]) -> tuple[CPUIDFinding | None, str | None]:
    try:
        return cpuid.decode(processor()), None
    except PlatformError as error:
        return None, str(error)
