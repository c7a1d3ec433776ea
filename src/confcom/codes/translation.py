"""How one layer's number becomes the next layer's: quote library to AESM to what a client sees. Numbers only."""

import enum
from dataclasses import dataclass

from confcom.codes.aesm_number import AESM

# quote3_error_t less 0xE000 to AESM, as Intel's server does it; it answers UNEXPECTED for every other number.
_INTEL = {
    0x01: AESM.UNEXPECTED,
    0x02: AESM.PARAMETER,
    0x03: AESM.OUT_OF_MEMORY,
    0x04: AESM.ECDSA_ID_MISMATCH,
    0x05: AESM.PATHNAME_BUFFER_OVERFLOW,
    0x06: AESM.FILE_ACCESS,
    0x07: AESM.STORED_KEY,
    0x08: AESM.PUB_KEY_ID_MISMATCH,
    0x09: AESM.INVALID_PCE_SIG_SCHEME,
    0x0A: AESM.ATT_KEY_BLOB,
    0x0B: AESM.UNSUPPORTED_ATT_KEY_ID,
    0x0C: AESM.UNSUPPORTED_LOADING_POLICY,
    0x0D: AESM.INTERFACE_UNAVAILABLE,
    0x0E: AESM.PLATFORM_LIB_UNAVAILABLE,
    0x0F: AESM.ATT_KEY_NOT_INITIALIZED,
    0x10: AESM.ATT_KEY_CERT_DATA_INVALID,
    0x11: AESM.NO_PLATFORM_CERT_DATA,
    0x12: AESM.OUT_OF_EPC,
    0x13: AESM.ERROR_REPORT,
    0x14: AESM.ENCLAVE_LOST,
    0x15: AESM.INVALID_REPORT,
    0x16: AESM.ENCLAVE_LOAD,
    0x17: AESM.UNABLE_TO_GENERATE_QE_REPORT,
    0x18: AESM.KEY_CERTIFICATION,
    0x19: AESM.NETWORK,
    0x1A: AESM.MSG,
}

# What Intel's server hides behind UNEXPECTED, but a client can act upon.
_OURS = {
    0x35: AESM.ENCLAVE_LOAD,
    0x3F: AESM.NO_DEVICE,
    0x40: AESM.SERVICE_UNAVAILABLE,
    0x41: AESM.NETWORK,
    0x42: AESM.NETWORK,
    0x43: AESM.BUSY,
    0x44: AESM.NETWORK,
    0x47: AESM.NO_PLATFORM_CERT_DATA,
    0x49: AESM.NO_PLATFORM_CERT_DATA,
}

_QUOTE3_BASE = 0xE000
_INTEL_AESM = {0: AESM.SUCCESS} | {_QUOTE3_BASE + low: code for low, code in _INTEL.items()}
_OUR_AESM = _INTEL_AESM | {_QUOTE3_BASE + low: code for low, code in _OURS.items()}


def aesm_from_quote3(number: int) -> AESM:
    """The AESM code that this quote helper answers where the quote library returned `number` (quote3_error_t)."""
    return _OUR_AESM.get(number, AESM.UNEXPECTED)


def intel_aesm_from_quote3(number: int) -> AESM:
    """The AESM code that Intel's own aesmd answers where the quote library returned `number` (quote3_error_t)."""
    return _INTEL_AESM.get(number, AESM.UNEXPECTED)


class AESMCall(enum.StrEnum):
    """The six requests of the ECDSA path, by the name of their message."""

    SELECT_ATT_KEY_ID = "SelectAttKeyID"
    INIT_QUOTE_EX = "InitQuoteEx"
    GET_QUOTE_SIZE_EX = "GetQuoteSizeEx"
    GET_QUOTE_EX = "GetQuoteEx"
    GET_SUPPORTED_ATT_KEY_ID_NUM = "GetSupportedAttKeyIDNum"
    GET_SUPPORTED_ATT_KEY_IDS = "GetSupportedAttKeyIDs"


_SIX = tuple(AESMCall)
_SELECT, _INIT, _SIZE, _QUOTE, _NUM, _IDS = _SIX
SGX_UNEXPECTED = 0x1

# AESM to sgx_status_t: the value, and the calls that give it; the other calls give SGX_ERROR_UNEXPECTED.
# Measured with libsgx_quote_ex for every code from 0 to 51.
_SGX_STATUS: dict[int, tuple[int, tuple[AESMCall, ...]]] = {
    AESM.SUCCESS: (0x0, _SIX),
    AESM.NO_DEVICE: (0x2006, _SIX),
    AESM.PARAMETER: (0x2, _SIX),
    AESM.EPIDBLOB: (0x4003, (_INIT, _QUOTE)),
    AESM.EPID_REVOKED: (0x4005, (_INIT, _QUOTE)),
    AESM.NETWORK: (0x4007, _SIX),
    AESM.NETWORK_BUSY: (0x4007, _SIX),
    AESM.PROXY_SETTING_ASSIST: (0x4007, _SIX),
    AESM.SERVICE_STOPPED: (0x4001, _SIX),
    AESM.BUSY: (0x400A, _SIX),
    AESM.BACKEND_SERVER_BUSY: (0x400A, (_INIT, _QUOTE)),
    AESM.UPDATE_AVAILABLE: (0x4006, _SIX),
    AESM.OUT_OF_MEMORY: (0x3, _SIX),
    AESM.OUT_OF_EPC: (0x2005, (_INIT, _QUOTE)),
    AESM.SERVICE_UNAVAILABLE: (0x4001, _SIX),
    AESM.UNRECOGNIZED_PLATFORM: (0x4012, _SIX),
    AESM.UNSUPPORTED_ATT_KEY_ID: (0x8001, (_SELECT, _INIT, _SIZE, _QUOTE)),
    AESM.ATT_KEY_NOT_INITIALIZED: (0x8003, (_SIZE, _QUOTE)),
    AESM.NO_PLATFORM_CERT_DATA: (0x8005, (_INIT,)),
    AESM.ERROR_REPORT: (0x3001, (_QUOTE,)),
    AESM.ENCLAVE_LOST: (0x4001, _SIX),
    AESM.INVALID_REPORT: (0x3001, (_QUOTE,)),
    AESM.ENCLAVE_LOAD: (0x4001, _SIX),
    AESM.KEY_CERTIFICATION: (0x8002, (_INIT,)),
}

# sgx_status_t to quote3_error_t in libsgx_dcap_ql's out-of-process path; every other value becomes 0xE001.
_QUOTE3_FROM_SGX_STATUS = {
    0x0: 0x0,
    0x2: 0xE002,
    0x3: 0xE003,
    0x2006: 0xE03F,
    0x4001: 0xE040,
    0x4002: 0xE042,
    0x4007: 0xE041,
    0x400A: 0xE043,
    0x8001: 0xE00B,
    0x8002: 0xE010,
    0x8003: 0xE00F,
    0x8005: 0xE011,
}
QUOTE3_UNEXPECTED = 0xE001


def quote3_from_sgx_status(status: int) -> int:
    """The quote3_error_t that libsgx_dcap_ql returns where libsgx_quote_ex gave it `status` (out-of-process)."""
    return _QUOTE3_FROM_SGX_STATUS.get(status, QUOTE3_UNEXPECTED)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientView:
    """What a program on Intel's client libraries sees for one AESM code.

    `sgx_status` is what libsgx_quote_ex returns, by request; `dcap_ql` what libsgx_dcap_ql returns, by the last request
    that each of its three functions makes: InitQuoteEx for sgx_qe_get_target_info, GetQuoteSizeEx for
    sgx_qe_get_quote_size, GetQuoteEx for sgx_qe_get_quote.
    """

    sgx_status: dict[AESMCall, int]
    dcap_ql: dict[AESMCall, int]


def client_view(code: int) -> ClientView:
    """What a client sees for AESM `code`; an unknown code is an unexpected error to every library.

    Source: measured with libsgx_quote_ex and libsgx_dcap_ql for every code from 0 to 51.
    """
    value, calls = _SGX_STATUS.get(code, (SGX_UNEXPECTED, _SIX))
    status = {call: value if call in calls else SGX_UNEXPECTED for call in _SIX}
    return ClientView(
        sgx_status=status,
        dcap_ql={call: quote3_from_sgx_status(status[call]) for call in (_INIT, _SIZE, _QUOTE)},
    )


# What the provider library makes of its network layer's code while it fetches a PCK certificate
# (sgx_ql_get_quote_config); every number that is not here becomes 0xE001.
_QUOTE3_FROM_QCNL = {
    0xB002: 0xE002,
    **dict.fromkeys(range(0xB003, 0xB00D), 0xE019),
    0xB00D: 0xE046,
    0xB00E: 0xE003,
    0xB00F: 0xE011,
    0xB010: 0xE047,
    0xB011: 0xE044,
    0xB012: 0xE049,
    0xB013: 0xE040,
}

# The HTTP statuses that the network layer tells apart; every other one becomes 0xB011.
_QCNL_FROM_HTTP = {403: 0xB003, 404: 0xB00F, 461: 0xB010, 462: 0xB012, 503: 0xB013}
_QCNL_STATUS_UNEXPECTED = 0xB011


def quote3_from_qcnl(number: int) -> int:
    """The quote3_error_t that Intel's provider library returns for an SGX_QCNL code while it fetches a certificate."""
    return _QUOTE3_FROM_QCNL.get(number, QUOTE3_UNEXPECTED)


def qcnl_from_http(status: int) -> int:
    """The SGX_QCNL code that Intel's provider library makes of a certificate service's HTTP error status."""
    return _QCNL_FROM_HTTP.get(status, _QCNL_STATUS_UNEXPECTED)


# libcurl's errors (`curl.h`) as the provider library's network layer tells them apart; the rest become 0xB003.
_QCNL_FROM_CURL = {5: 0xB004, 6: 0xB005, 7: 0xB006, 23: 0xB008, 28: 0xB009, 35: 0xB00A, 48: 0xB00B}
# The provider library turns this one straight into 0xE065 (root CA untrusted).
CURL_PEER_FAILED_VERIFICATION = 60
_QCNL_NETWORK_ERROR = 0xB003


def qcnl_from_curl(error: int) -> int:
    """The SGX_QCNL code that Intel's provider library makes of a libcurl error number."""
    return _QCNL_FROM_CURL.get(error, _QCNL_NETWORK_ERROR)
