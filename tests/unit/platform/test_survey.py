import platform as host
from pathlib import Path

import pytest

from confcom.errors import PlatformError
from confcom.platform import cpuid
from confcom.platform.cpuid import CPUIDFinding, decode
from confcom.platform.cpuinfo import CPUFlags, read_flags
from confcom.platform.device_nodes import DeviceNode, Driver, DriverNodes
from confcom.platform.epc import EPCFinding, from_sysfs
from confcom.platform.survey import Roots, Survey, survey

MIB, GIB = 1 << 20, 1 << 30

# EPC of every Azure size with SGX: DCsv2 in MiB, DCsv3 in GiB.
AZURE = {
    "DC1s_v2": 28 * MIB, "DC2s_v2": 56 * MIB, "DC4s_v2": 112 * MIB, "DC8_v2": 168 * MIB,
    "DC1s_v3": 4 * GIB, "DC2s_v3": 8 * GIB, "DC4s_v3": 16 * GIB, "DC8s_v3": 32 * GIB,
    "DC16s_v3": 64 * GIB, "DC24s_v3": 128 * GIB, "DC32s_v3": 192 * GIB, "DC48s_v3": 256 * GIB,
}  # fmt: skip


def processor(*sections, sgx=True, lc=True, sgx2=True, highest=0x1F, types=None):
    """A processor with these EPC sections, in bytes, as CPUID shows them."""
    types = types or [1] * len(sections)

    def read(leaf, subleaf):
        assert leaf <= highest, "a leaf that the processor does not have was asked"
        if leaf == 0:
            return highest, 0x756E6547, 0x6C65746E, 0x49656E69
        if leaf == 7:
            return 0, int(sgx) << 2, int(lc) << 30, 0
        if subleaf == 0:
            return 1 | int(sgx2) << 1, 0, 0, 0x241F
        index = subleaf - 2
        if not 0 <= index < len(sections):
            return 0, 0, 0, 0
        base, size = 0x70000000 + (index << 40), sections[index]
        return base & 0xFFFFF000 | types[index], base >> 32, size & 0xFFFFF000 | 1, size >> 32

    return read


def tree(tmp_path, *, sections=(), flags="fpu sgx sgx_lc"):
    for index, size in enumerate(sections):
        folder = tmp_path / f"sys/devices/system/node/node{index}/x86"
        folder.mkdir(parents=True)
        (folder / "sgx_total_bytes").write_text(f"{size}\n")
    (tmp_path / "proc").mkdir(exist_ok=True)
    (tmp_path / "proc/cpuinfo").write_text(
        f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}\n"
    )
    return Roots(dev=tmp_path / "dev", sys=tmp_path / "sys", proc=tmp_path / "proc")


@pytest.mark.parametrize("size", AZURE.values(), ids=AZURE)
def test_every_azure_size_by_cpuid(size):
    assert decode(processor(size)) == CPUIDFinding(
        sgx=True, launch_control=True, sgx1=True, sgx2=True, sections=(size,)
    )


@pytest.mark.parametrize("size", AZURE.values(), ids=AZURE)
def test_every_azure_size_by_sysfs(tmp_path, size):
    found = survey(tree(tmp_path, sections=(size,)), processor=lambda: processor(GIB))
    assert (found.epc, found.epc.mib, found.problem) == (
        EPCFinding(sections=(size,), source="sysfs"),
        size // MIB,
        None,
    )


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (processor(highest=6), CPUIDFinding(sgx=False)),
        (processor(sgx=False, lc=False), CPUIDFinding(sgx=False)),
        (processor(GIB, highest=0x11), CPUIDFinding(sgx=False, launch_control=True)),
        (processor(), CPUIDFinding(sgx=True, launch_control=True, sgx1=True, sgx2=True)),
        (processor(GIB, sgx2=False, lc=False), CPUIDFinding(sgx=True, sgx1=True, sections=(GIB,))),
        (
            processor(GIB, 2 * GIB),
            CPUIDFinding(sgx=True, launch_control=True, sgx1=True, sgx2=True, sections=(GIB, 2 * GIB)),
        ),
        (
            processor(GIB, GIB, GIB, types=[1, 0, 1]),
            CPUIDFinding(sgx=True, launch_control=True, sgx1=True, sgx2=True, sections=(GIB,)),
        ),
        (
            processor(*[MIB] * 12),
            CPUIDFinding(sgx=True, launch_control=True, sgx1=True, sgx2=True, sections=(MIB,) * 8),
        ),
    ],
    ids=[
        "no leaf 7",
        "no SGX",
        "no leaf 12H",
        "no section",
        "SGX1",
        "two sections",
        "ends at an invalid one",
        "at most eight",
    ],
)
def test_cpuid(read, expected):
    assert decode(read) == expected


def test_pages_that_are_no_whole_mib_are_rounded_down_in_each_section():
    assert EPCFinding(sections=(MIB + 4096, 2 * MIB - 4096), source="x").mib == 2


@pytest.mark.skipif(host.machine() != "x86_64", reason="CPUID is of x86 processors")
def test_this_processor_answers():
    read = cpuid.processor()
    highest, ebx, ecx, edx = read(0, 0)
    vendor = b"".join(register.to_bytes(4, "little") for register in (ebx, edx, ecx)).decode()
    assert f"vendor_id\t: {vendor}" in Path("/proc/cpuinfo").read_text()
    assert highest >= 1
    assert read(0, 0) == (highest, ebx, ecx, edx)
    assert isinstance(decode(read), CPUIDFinding)


@pytest.mark.skipif(host.machine() != "x86_64", reason="CPUID is of x86 processors")
def test_the_executable_page_is_made_once():
    assert cpuid.processor() is cpuid.processor()


def test_other_machines_have_no_cpuid():
    with pytest.raises(PlatformError, match=r"^CPUID is of x86 processors, and this is aarch64$"):
        cpuid.processor("aarch64")


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ([], ()),
        (["8589934592"], (8 * GIB,)),
        (["1073741824", "3221225472"], (GIB, 3 * GIB)),
        (["0"], ()),
        (["", "x", "-5", "1073741824"], (GIB,)),
    ],
    ids=["no node", "one node", "two nodes", "zero", "broken files"],
)
def test_sysfs(tmp_path, contents, expected):
    for index, text in enumerate(contents):
        folder = tmp_path / f"devices/system/node/node{index}/x86"
        folder.mkdir(parents=True)
        (folder / "sgx_total_bytes").write_text(text)
    assert from_sysfs(tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags : fpu sgx sgx_lc\n", CPUFlags(readable=True, sgx=True, sgx_lc=True)),
        ("flags : fpu sgx\n", CPUFlags(readable=True, sgx=True)),
        ("flags : fpu sgxx tsgx\n", CPUFlags(readable=True)),
        ("Features : sgx\n", CPUFlags(readable=False)),
        ("", CPUFlags(readable=False)),
    ],
    ids=["both", "no launch control", "words that hold it", "not x86", "empty"],
)
def test_cpuinfo(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert read_flags(tmp_path) == expected


def test_no_cpuinfo(tmp_path):
    assert read_flags(tmp_path) == CPUFlags(readable=False)


NODE = DeviceNode(host_path="/dev/sgx_enclave", container_paths=(), driver=Driver.IN_TREE)
NO_NODES, NODES = DriverNodes(enclave=None, provision=None), DriverNodes(enclave=NODE, provision=None)
OFF, ON = CPUFlags(readable=True), CPUFlags(readable=True, sgx=True, sgx_lc=True)
SGX = CPUIDFinding(sgx=True, launch_control=True, sgx1=True, sections=(GIB,))


def found(**changes):
    values = {"sysfs": (), "cpuid": SGX, "cpuid_problem": None, "flags": ON, "nodes": NODES, "configured": None}
    return Survey(**{**values, **changes})


@pytest.mark.parametrize(
    ("seen", "epc"),
    [
        (found(sysfs=(2 * GIB,), configured=5 * GIB), EPCFinding(sections=(2 * GIB,), source="sysfs")),
        (found(configured=5 * GIB), EPCFinding(sections=(GIB,), source="CPUID")),
        (found(cpuid=None, configured=5 * GIB), EPCFinding(sections=(5 * GIB,), source="configuration")),
        (found(flags=OFF), EPCFinding(sections=(GIB,), source="CPUID")),
        (found(nodes=NO_NODES), EPCFinding(sections=(GIB,), source="CPUID")),
        (found(flags=OFF, nodes=NO_NODES, configured=GIB), EPCFinding(sections=(), source="none")),
    ],
    ids=[
        "sysfs first",
        "then CPUID",
        "then configuration",
        "old driver, no flag",
        "driver not loaded yet",
        "off in the BIOS",
    ],
)
def test_order_of_the_sources(seen, epc):
    assert seen.epc == epc
    assert (seen.problem is None) == bool(epc.mib)


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (
            found(cpuid=CPUIDFinding(sgx=False), flags=OFF, nodes=NO_NODES),
            "the processor, or the virtual machine it is shown to, has no SGX",
        ),
        (
            found(cpuid=CPUIDFinding(sgx=True), flags=OFF, nodes=NO_NODES),
            "the processor has SGX, but the firmware reserves no EPC: switch SGX on in the BIOS (not 'software')",
        ),
        (
            found(flags=OFF, nodes=NO_NODES),
            (
                "the processor has SGX, but the kernel does not use it: it is off in the BIOS, or this kernel has no SGX "
                "driver (CONFIG_X86_SGX, from Linux 5.11)"
            ),
        ),
        (
            found(cpuid=CPUIDFinding(sgx=True, sections=(GIB,)), flags=OFF, nodes=NO_NODES),
            (
                "the processor has SGX, but the kernel does not use it: it is off in the BIOS, or this kernel has no SGX "
                "driver (CONFIG_X86_SGX, from Linux 5.11); launch control (SGX_LC) is off, without which that driver does "
                "not start"
            ),
        ),
        (
            found(cpuid=None, cpuid_problem="no memory", flags=OFF, nodes=NO_NODES),
            "no SGX driver, and the processor could not be asked (no memory)",
        ),
        (
            found(cpuid=None, cpuid_problem="no memory"),
            (
                "an SGX driver is here, but neither the kernel (sysfs, from Linux 5.17) nor CPUID tells the size of the EPC "
                "(no memory): name it with --epc"
            ),
        ),
    ],
    ids=["no SGX", "no EPC reserved", "off in the BIOS", "no launch control", "not x86", "size unknown"],
)
def test_why_there_is_none_in_words(seen, problem):
    assert seen.problem == problem


def test_a_processor_that_cannot_be_asked_is_no_error(tmp_path):
    def refuse():
        raise PlatformError("CPUID cannot be asked")

    seen = survey(tree(tmp_path, sections=(GIB,)), processor=refuse)
    assert (seen.cpuid, seen.cpuid_problem, seen.epc.source) == (None, "CPUID cannot be asked", "sysfs")


def test_virtual_machine_without_anything(tmp_path):
    seen = survey(tree(tmp_path, flags="fpu"), processor=lambda: processor(sgx=False))
    assert (seen.enabled, seen.epc.mib) == (False, 0)
