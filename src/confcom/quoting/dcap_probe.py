"""A REPORT of the one enclave that Intel packages and that anybody may load: the self-check's probe on hardware.

`python -m confcom.quoting.dcap_probe ENCLAVE` reads a TARGETINFO (512 bytes) and writes a REPORT (432 bytes). It runs
as a child of the worker: an enclave that crashes or hangs in it takes no quote with it, and its EPC is free again at
once. The enclave is `pck_id_retrieval_tool_enclave.signed.so`; its report data is always zero.
"""

import ctypes
import logging
import subprocess
import sys
from pathlib import Path

from confcom.errors import PlatformError
from confcom.quoting.dcap_structures import CreateReportCall, NoOcalls, SgxReport, SgxTargetInfo
from confcom.runtime.logs import event
from confcom.sgx import Report, TargetInfo

logger = logging.getLogger(__name__)

# Where Intel's package sgx-pck-id-retrieval-tool puts it.
PROBE_ENCLAVE = "/opt/intel/sgx-pck-id-retrieval-tool/pck_id_retrieval_tool_enclave.signed.so"
URTS = "libsgx_urts.so.2"
# Loading an enclave of this size takes some tens of milliseconds. A worker that is silent for longer than the helper
# allows (6 s by default) is replaced, so the probe must have failed before.
PROBE_SECONDS = 4.0
# enclave_create_report is the first and only ecall of the enclave's EDL.
_ECALL_CREATE_REPORT = 0


class Probe:
    """The enclave's REPORT, made once: its data are always zero, and it holds until the machine restarts or sleeps."""

    def __init__(self, enclave: Path) -> None:
        self._enclave = enclave
        self._made: tuple[bytes, bytes] | None = None

    def report(self, target_info: bytes) -> bytes:
        """The REPORT for the QE of `target_info`.

        Raises:
            PlatformError: there is no probe enclave, or it cannot be loaded.
        """
        if self._made is None or self._made[0] != target_info:
            if not self._enclave.is_file():
                raise PlatformError(f"there is no probe enclave {self._enclave}")
            try:
                self._made = target_info, probe_report(self._enclave, target_info)
            except PlatformError as error:
                event(logger, logging.WARNING, "no probe", cause="no-probe", problem=str(error))
                raise
        return self._made[1]

    def forget(self) -> None:
        """Has the next report made anew."""
        self._made = None


def probe_report(enclave: Path, target_info: bytes) -> bytes:
    """The enclave's REPORT for the QE of `target_info`, made by a child process.

    Raises:
        PlatformError: the enclave cannot be loaded or does not answer; the sentence says why.
    """
    command = [sys.executable, "-m", "confcom.quoting.dcap_probe", str(enclave)]
    try:
        done = subprocess.run(command, input=target_info, check=False, capture_output=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PlatformError(f"probe enclave {enclave}: no report within {PROBE_SECONDS:g} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        ending = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise PlatformError(said[-1] if said and done.returncode > 0 else f"probe enclave {enclave}: {ending}")
    if len(done.stdout) != Report.SIZE:
        raise PlatformError(f"probe enclave {enclave}: gave {len(done.stdout)} bytes, a REPORT has {Report.SIZE}")
    return done.stdout


def create_report(enclave: Path, target_info: bytes) -> bytes:
    """Loads the enclave into this process, asks it for its REPORT, and unloads it.

    Raises:
        PlatformError: the SGX runtime refuses; the sentence has its number and meaning.
    """
    urts = _runtime()
    target = SgxTargetInfo.from_buffer_copy(target_info)
    report, identity = SgxReport(), ctypes.c_uint64(0)
    # Neither a launch token (of no use since FLC) nor attributes are asked for.
    _check(
        enclave,
        "sgx_create_enclave",
        urts.sgx_create_enclave(bytes(enclave), 0, None, None, ctypes.byref(identity), None),
    )
    call = CreateReportCall(qe_target=ctypes.pointer(target), report=ctypes.pointer(report))
    status = urts.sgx_ecall(identity, _ECALL_CREATE_REPORT, ctypes.byref(NoOcalls()), ctypes.byref(call))
    _check(enclave, "sgx_ecall", status)
    _check(enclave, "enclave_create_report", call.retval)
    urts.sgx_destroy_enclave(identity)
    return bytes(report)


def _runtime() -> ctypes.CDLL:
    try:
        urts = ctypes.CDLL(URTS)
    except OSError as error:
        raise PlatformError(f"the SGX runtime {URTS} cannot be loaded ({error}): install libsgx-urts") from error
    pointer, identity = ctypes.c_void_p, ctypes.c_uint64
    urts.sgx_create_enclave.argtypes = (ctypes.c_char_p, ctypes.c_int, pointer, pointer, pointer, pointer)
    urts.sgx_ecall.argtypes = (identity, ctypes.c_int, pointer, pointer)
    urts.sgx_destroy_enclave.argtypes = (identity,)
    for function in (urts.sgx_create_enclave, urts.sgx_ecall, urts.sgx_destroy_enclave):
        function.restype = ctypes.c_uint32
    return urts


def _check(enclave: Path, call: str, status: int) -> None:
    if status:
        from confcom.codes.entry import Family  # noqa: PLC0415 - the sentences of all codes, for a failure only
        from confcom.codes.table import lookup  # noqa: PLC0415

        code = lookup(Family.SGX_STATUS, status)
        raise PlatformError(f"probe enclave {enclave}: {call}: {code.sentence if code else f'0x{status:04X}'}")


def main(arguments: list[str]) -> int:
    """One report, from standard input to standard output."""
    target_info = sys.stdin.buffer.read(TargetInfo.SIZE + 1)
    try:
        sys.stdout.buffer.write(create_report(Path(arguments[0]), target_info))
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
