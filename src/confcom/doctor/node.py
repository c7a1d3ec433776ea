"""The checks of one node: processor, firmware and kernel, EPC, device nodes, the kubelet's folder, the list's size."""

import stat
from pathlib import Path

from confcom.device_plugin import freeze
from confcom.device_plugin.inventory import EPC_RESOURCE, Wanted, plan
from confcom.device_plugin.listing import list_bytes, size_problem
from confcom.device_plugin.server import SOCKET_PREFIX
from confcom.doctor.check import Check, Verdict
from confcom.kubelet.contract import KUBELET_SOCKET, MAX_LIST_BYTES
from confcom.platform.device_nodes import DeviceNode
from confcom.platform.survey import Survey

# What a container that runs as somebody else than the device's owner and group needs.
_EVERYBODY = stat.S_IROTH | stat.S_IWOTH


def node_checks(
    found: Survey, *, dev_root: Path, device_plugin_dir: Path, wanted: Wanted, helper_epc_mib: int
) -> tuple[Check, ...]:
    """Every check, in the order in which one depends on the other; the host's /dev is seen at `dev_root`."""
    inventory = plan(epc_mib=found.epc.mib, helper_epc_mib=helper_epc_mib, wanted=wanted)
    return (
        processor(found),
        kernel(found),
        epc(found),
        enclave_device(found),
        *enclave_device_mode(found, dev_root),
        provision_device(found),
        *other_devices(found),
        kubelet(device_plugin_dir),
        list_size(inventory.offered_mib),
        stand_still(inventory.offered_mib),
    )


def processor(found: Survey) -> Check:
    """Whether CPUID shows SGX."""
    source = "CPUID leaves 7 and 12H"
    seen = found.cpuid
    if seen is None:
        return Check(
            name="processor", verdict=Verdict.WARNING, source=source, evidence=found.cpuid_problem or "unknown"
        )
    if not seen.sgx:
        return Check(
            name="processor",
            verdict=Verdict.WARNING if found.enabled else Verdict.FAILED,
            source=source,
            evidence="no SGX" + (", yet a driver works: CPUID is hidden or altered here" if found.enabled else ""),
            fix=None
            if found.enabled
            else "use a machine, or a virtual machine size, with SGX (on Azure: DCsv3 and DCdsv3)",
        )
    shown = {"SGX1": seen.sgx1, "SGX2": seen.sgx2, "launch control": seen.launch_control}
    evidence = "SGX with " + (", ".join(name for name, there in shown.items() if there) or "nothing further")
    return Check(name="processor", verdict=Verdict.OK, source=source, evidence=evidence)


def kernel(found: Survey) -> Check:
    """Whether the firmware left SGX on and the kernel uses it: the flags stand there only then."""
    source = "/proc/cpuinfo"
    flags = found.flags
    if not flags.readable:
        return Check(name="kernel", verdict=Verdict.WARNING, source=source, evidence="it shows no flags")
    evidence = f"flag sgx {_on(flags.sgx)}, flag sgx_lc {_on(flags.sgx_lc)}"
    if flags.sgx:
        return Check(name="kernel", verdict=Verdict.OK, source=source, evidence=evidence)
    if found.enabled:
        evidence += "; a driver outside the kernel is loaded, which needs no flag"
        return Check(name="kernel", verdict=Verdict.OK, source=source, evidence=evidence)
    # Where the processor has no SGX, its own check has said so.
    fix = None if found.cpuid is not None and not found.cpuid.sgx else found.problem
    return Check(name="kernel", verdict=Verdict.FAILED, source=source, evidence=evidence, fix=fix)


def _on(there: bool) -> str:
    return "set" if there else "not set"


def epc(found: Survey) -> Check:
    """How much EPC there is, and whether the sources agree."""
    sysfs, by_cpuid = found.sysfs, found.cpuid.sections if found.cpuid else ()
    evidence = f"{found.epc.mib:,} MiB in {len(found.epc.sections)} section(s)"
    if not found.epc.mib:
        fix = found.problem if found.enabled else None
        return Check(name="EPC", verdict=Verdict.FAILED, source=found.epc.source, evidence="none", fix=fix)
    if sysfs and by_cpuid and sum(sysfs) != sum(by_cpuid):
        return Check(
            name="EPC",
            verdict=Verdict.WARNING,
            source="sysfs and CPUID",
            evidence=f"{evidence}; sysfs says {sum(sysfs):,} bytes, CPUID {sum(by_cpuid):,}",
            fix="sysfs is believed, since the kernel manages that memory; look for 'sgx:' in the kernel's log",
        )
    return Check(name="EPC", verdict=Verdict.OK, source=found.epc.source, evidence=evidence)


def enclave_device(found: Survey) -> Check:
    """Whether applications can be given an enclave device."""
    return _device("enclave device", found.nodes.enclave, "/dev/sgx_enclave", Verdict.FAILED)


def enclave_device_mode(found: Survey, dev_root: Path) -> tuple[Check, ...]:
    """Whether containers that are not root may open the enclave device: it has the host's owner and mode in them."""
    node = found.nodes.enclave
    if node is None:
        return ()
    name = "enclave device mode"
    try:
        seen = node.seen_at(dev_root).stat()
    except OSError as error:
        evidence = f"cannot be looked at: {error.strerror or error}"
        return (Check(name=name, verdict=Verdict.WARNING, source=node.host_path, evidence=evidence),)
    evidence = f"{stat.S_IMODE(seen.st_mode):04o}, of user {seen.st_uid} and group {seen.st_gid}"
    if seen.st_mode & _EVERYBODY == _EVERYBODY:
        return (Check(name=name, verdict=Verdict.OK, source=node.host_path, evidence=evidence),)
    fix = (
        "containers that are not root cannot open it, unless they are in a group that may: set "
        "device_ownership_from_security_context in the container runtime, or mode 0666 by a udev rule "
        "(docs/how-to/own-nodes.md, 4)"
    )
    return (Check(name=name, verdict=Verdict.WARNING, source=node.host_path, evidence=evidence, fix=fix),)


def provision_device(found: Survey) -> Check:
    """Whether the quote helper can be given the provision device; applications work without it."""
    return _device("provision device", found.nodes.provision, "/dev/sgx_provision", Verdict.WARNING)


def _device(name: str, node: DeviceNode | None, usual: str, missing: Verdict) -> Check:
    if node is None:
        fix = f"load the SGX driver; with the in-tree one (Linux 5.11) it is {usual}"
        return Check(name=name, verdict=missing, source="/dev", evidence="none", fix=fix)
    evidence = f"{node.host_path}, {node.driver.value}"
    return Check(name=name, verdict=Verdict.OK, source="/dev", evidence=evidence)


def other_devices(found: Survey) -> tuple[Check, ...]:
    """Names of SGX devices that are there, but lead nowhere."""
    fix = "remove it, or load the driver again so that udev makes it anew"
    return tuple(
        Check(name="device name", verdict=Verdict.WARNING, source="/dev", evidence=problem, fix=fix)
        for problem in found.nodes.problems
    )


def kubelet(directory: Path) -> Check:
    """Whether the kubelet can be registered with, and whether a plugin of ours has."""
    try:
        names = [entry.name for entry in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        evidence = f"cannot be read: {error.strerror or error}"
        return Check(
            name="kubelet", verdict=Verdict.FAILED, source=str(directory), evidence=evidence, fix="run as root"
        )
    if KUBELET_SOCKET not in names:
        return Check(
            name="kubelet",
            verdict=Verdict.FAILED,
            source=str(directory),
            evidence=f"{directory / KUBELET_SOCKET} does not exist",
            fix="start the kubelet; where it runs in a container or a snap, name its folder by --device-plugin-dir",
        )
    ours = [name for name in names if name.startswith(SOCKET_PREFIX)]
    evidence = f"kubelet.sock, and {len(ours)} socket(s) of this plugin"
    if ours:
        return Check(name="kubelet", verdict=Verdict.OK, source=str(directory), evidence=evidence)
    fix = "start the device plugin, or look at its log"
    return Check(name="kubelet", verdict=Verdict.WARNING, source=str(directory), evidence=evidence, fix=fix)


def list_size(units: int) -> Check:
    """Whether the list fits the kubelet's message."""
    evidence = f"{units:,} units take {list_bytes(units):,} of {MAX_LIST_BYTES:,} bytes"
    problem = size_problem(EPC_RESOURCE, units)
    verdict = Verdict.FAILED if problem else Verdict.OK
    return Check(name="list size", verdict=verdict, source="calculated", evidence=evidence, fix=problem)


def stand_still(units: int) -> Check:
    """How long a kubelet of 1.36 or newer admits no pod after its restart."""
    seconds = freeze.freeze_seconds(units, units)
    fix = freeze.advice(units)
    verdict = Verdict.WARNING if fix else Verdict.OK
    evidence = f"up to {freeze.in_words(seconds)} on Kubernetes 1.36 and newer, when all units are allocated"
    return Check(name="kubelet restart", verdict=verdict, source="estimate", evidence=evidence, fix=fix)
