"""What Intel's quoting libraries read and write through pointers, as ctypes; each size is checked when this is loaded.

Sources: `sgx_report.h`, `sgx_quote.h`, `sgx_ql_quote.h`, `sgx_urts.h`; sgx_edger8r's marshalling of the one ecall of
`pck_id_retrieval_tool_enclave`, whose EDL is `uint32_t enclave_create_report([in] sgx_target_info_t*, [out]
sgx_report_t*)`. What stands inside target infos and reports is the business of `confcom.sgx`.
"""

import ctypes
from typing import Any

from confcom.errors import PlatformError
from confcom.sgx import PUB_KEY_ID_SIZE, AttestationKeyID, QEReportInfo, Report, TargetInfo

SgxTargetInfo = ctypes.c_uint8 * TargetInfo.SIZE
SgxReport = ctypes.c_uint8 * Report.SIZE
PubKeyID = ctypes.c_uint8 * PUB_KEY_ID_SIZE


class SgxQlAttKeyID(ctypes.LittleEndianStructure):
    """`sgx_ql_att_key_id_t`: the base of an attestation key id, without what AESM adds behind it."""

    _pack_ = 1
    _fields_ = (
        ("id", ctypes.c_uint16),
        ("version", ctypes.c_uint16),
        ("mrsigner_length", ctypes.c_uint16),
        ("mrsigner", ctypes.c_uint8 * 48),
        ("prod_id", ctypes.c_uint32),
        ("extended_prod_id", ctypes.c_uint8 * 16),
        ("config_id", ctypes.c_uint8 * 64),
        ("family_id", ctypes.c_uint8 * 16),
        ("algorithm_id", ctypes.c_uint32),
    )


class SgxQlQEReportInfo(ctypes.LittleEndianStructure):
    """`sgx_ql_qe_report_info_t`: a nonce, for whom the QE makes its report, and room for it."""

    _pack_ = 1
    _fields_ = (
        ("nonce", ctypes.c_uint8 * 16),
        ("app_enclave_target_info", SgxTargetInfo),
        ("qe_report", SgxReport),
    )


class NoOcalls(ctypes.Structure):
    """`sgx_ocall_table_t` of an enclave without ocalls: edger8r writes one empty slot behind the count."""

    _fields_ = (("nr_ocall", ctypes.c_size_t), ("table", ctypes.c_void_p * 1))


class CreateReportCall(ctypes.Structure):
    """What sgx_edger8r passes for `enclave_create_report`: the returned status, then the two pointers."""

    _fields_ = (
        ("retval", ctypes.c_uint32),
        ("qe_target", ctypes.POINTER(SgxTargetInfo)),
        ("report", ctypes.POINTER(SgxReport)),
    )


SIZES: tuple[tuple[str, Any, int], ...] = (
    ("sgx_target_info_t", SgxTargetInfo, 512),
    ("sgx_report_t", SgxReport, 432),
    ("sgx_ql_att_key_id_t", SgxQlAttKeyID, 158),
    ("sgx_ql_att_key_id_t in confcom.sgx", ctypes.c_uint8 * AttestationKeyID.BASE_SIZE, 158),
    ("sgx_ql_qe_report_info_t", SgxQlQEReportInfo, 960),
    ("sgx_ql_qe_report_info_t in confcom.sgx", ctypes.c_uint8 * QEReportInfo.SIZE, 960),
    ("sgx_ocall_table_t with one slot", NoOcalls, 16),
    ("ms_enclave_create_report_t", CreateReportCall, 24),
    ("bool", ctypes.c_bool, 1),
    ("size_t", ctypes.c_size_t, 8),
    ("sgx_enclave_id_t", ctypes.c_uint64, 8),
    ("quote3_error_t", ctypes.c_uint32, 4),
)


def check_sizes() -> None:
    """Compares every structure with the size that the C headers give it.

    Raises:
        PlatformError: this Python was not built for 64-bit x86, or a table here is wrong.
    """
    for name, kind, size in SIZES:
        if (found := ctypes.sizeof(kind)) != size:
            raise PlatformError(
                f"{name} has {found} bytes in this Python and {size} in Intel's libraries: they cannot be called; "
                "quotes of hardware need a 64-bit Python on x86-64"
            )


check_sizes()
