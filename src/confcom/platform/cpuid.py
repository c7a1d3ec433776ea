"""What CPUID says about SGX: leaf 7 for the feature, leaf 12H for its versions and EPC sections (Intel SDM 3A).

The decoding is pure and takes a reader; the reader of this machine is a few bytes of machine code in executable
memory, on x86-64 only, since /dev/cpu/*/cpuid needs a module and root.
"""

import ctypes
import functools
import mmap
import platform
from collections.abc import Callable
from dataclasses import dataclass

from confcom.errors import PlatformError

Registers = tuple[int, int, int, int]
# EAX, EBX, ECX, EDX of one leaf (EAX) and sub-leaf (ECX).
Reader = Callable[[int, int], Registers]

LEAF_FEATURES = 0x07
LEAF_SGX = 0x12
FIRST_EPC_SUBLEAF = 2
# Linux reads no more (SGX_MAX_EPC_SECTIONS in its driver).
MAX_SECTIONS = 8
_EPC_SECTION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CPUIDFinding:
    """The SGX part of CPUID; sections are sizes in bytes, in the order of the sub-leaves."""

    sgx: bool
    launch_control: bool = False
    sgx1: bool = False
    sgx2: bool = False
    sections: tuple[int, ...] = ()


def decode(read: Reader) -> CPUIDFinding:
    """Asks `read` for the leaves that matter, and for none that the processor does not have."""
    highest = read(0, 0)[0]
    if highest < LEAF_FEATURES:
        return CPUIDFinding(sgx=False)
    _, features, more_features, _ = read(LEAF_FEATURES, 0)
    launch_control = bool(more_features >> 30 & 1)
    if not features >> 2 & 1 or highest < LEAF_SGX:
        return CPUIDFinding(sgx=False, launch_control=launch_control)
    versions = read(LEAF_SGX, 0)[0]
    return CPUIDFinding(
        sgx=True,
        launch_control=launch_control,
        sgx1=bool(versions & 1),
        sgx2=bool(versions >> 1 & 1),
        sections=_sections(read),
    )


def _sections(read: Reader) -> tuple[int, ...]:
    sections = []
    for subleaf in range(FIRST_EPC_SUBLEAF, FIRST_EPC_SUBLEAF + MAX_SECTIONS):
        eax, _, ecx, edx = read(LEAF_SGX, subleaf)
        if eax & 0xF != _EPC_SECTION:
            break
        # Bits 51:32 of the size are EDX[19:0], bits 31:12 are ECX[31:12]; a section is whole pages.
        sections.append((edx & 0xFFFFF) << 32 | ecx & 0xFFFFF000)
    return tuple(sections)


# System V calling convention: leaf in EDI, sub-leaf in ESI, address of four 32-bit results in RDX.
_CODE = bytes.fromhex(
    "53"  # push rbx, which CPUID overwrites and the caller wants back
    "4989d0"  # mov r8, rdx
    "89f8"  # mov eax, edi
    "89f1"  # mov ecx, esi
    "0fa2"  # cpuid
    "418900"  # mov [r8], eax
    "41895804"  # mov [r8+4], ebx
    "41894808"  # mov [r8+8], ecx
    "4189500c"  # mov [r8+12], edx
    "5b"  # pop rbx
    "c3"  # ret
)


@functools.cache
def processor(machine: str = platform.machine()) -> Reader:
    """The reader of this machine's processor, made once per process.

    Raises:
        PlatformError: it is not x86-64, or the kernel allows no executable memory (SELinux `execmem`, for example).
    """
    if machine not in ("x86_64", "AMD64"):
        raise PlatformError(f"CPUID is of x86 processors, and this is {machine}")
    function = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)(_executable(_CODE))

    def read(leaf: int, subleaf: int) -> Registers:
        results = (ctypes.c_uint32 * 4)()
        function(leaf, subleaf, ctypes.addressof(results))
        return results[0], results[1], results[2], results[3]

    return read


def _executable(code: bytes) -> int:
    """The address of a page that holds `code`: writable first, executable after, never both; it is never freed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    address = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise PlatformError("CPUID cannot be asked: the kernel gives no memory for it")
    ctypes.memmove(address, code, len(code))
    if libc.mprotect(address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise PlatformError("CPUID cannot be asked: the kernel allows this process no executable memory")
    return int(address)
