"""The table of codes against the lists of Intel's headers, the translations row by row, and the search in it."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcom import codes
from confcom.codes import AESM, AESMCall, Code, Family, TCBStatus, Who
from confcom.codes.search import MAX_MATCHES, MAX_TEXT

ROOT = Path(__file__).resolve().parents[2]

AESM_NAMES = """
0 SUCCESS, 1 UNEXPECTED, 2 NO_DEVICE, 3 PARAMETER, 4 EPIDBLOB, 5 EPID_REVOKED, 6 GET_LICENSETOKEN, 7 SESSION_INVALID,
8 MAX_NUM_SESSION, 9 PSDA_UNAVAILABLE, 10 EPH_SESSION, 11 LONG_TERM_PAIRING, 12 NETWORK, 13 NETWORK_BUSY,
14 PROXY_SETTING_ASSIST, 15 FILE_ACCESS, 16 SGX_PROVISION_FAILED, 17 SERVICE_STOPPED, 18 BUSY, 19 BACKEND_SERVER_BUSY,
20 UPDATE_AVAILABLE, 21 OUT_OF_MEMORY, 22 MSG, 23 THREAD, 24 SGX_DEVICE_NOT_AVAILABLE, 25 ENABLE_SGX_DEVICE_FAILED,
26 PLATFORM_INFO_BLOB_INVALID_SIG, 28 KDF_MISMATCH, 29 OUT_OF_EPC, 30 SERVICE_UNAVAILABLE, 31 UNRECOGNIZED_PLATFORM,
32 ECDSA_ID_MISMATCH, 33 PATHNAME_BUFFER_OVERFLOW, 34 STORED_KEY, 35 PUB_KEY_ID_MISMATCH, 36 INVALID_PCE_SIG_SCHEME,
37 ATT_KEY_BLOB, 38 UNSUPPORTED_ATT_KEY_ID, 39 UNSUPPORTED_LOADING_POLICY, 40 INTERFACE_UNAVAILABLE,
41 PLATFORM_LIB_UNAVAILABLE, 42 ATT_KEY_NOT_INITIALIZED, 43 ATT_KEY_CERT_DATA_INVALID, 44 NO_PLATFORM_CERT_DATA,
45 ERROR_REPORT, 46 ENCLAVE_LOST, 47 INVALID_REPORT, 48 ENCLAVE_LOAD, 49 UNABLE_TO_GENERATE_QE_REPORT,
50 KEY_CERTIFICATION, 51 CONFIG_UNSUPPORTED
"""

QUOTE3_NAMES = {
    0x0000: "SUCCESS",
    0xE001: "ERROR_UNEXPECTED",
    0xE002: "ERROR_INVALID_PARAMETER",
    0xE003: "ERROR_OUT_OF_MEMORY",
    0xE004: "ERROR_ECDSA_ID_MISMATCH",
    0xE005: "PATHNAME_BUFFER_OVERFLOW_ERROR",
    0xE006: "FILE_ACCESS_ERROR",
    0xE007: "ERROR_STORED_KEY",
    0xE008: "ERROR_PUB_KEY_ID_MISMATCH",
    0xE009: "ERROR_INVALID_PCE_SIG_SCHEME",
    0xE00A: "ATT_KEY_BLOB_ERROR",
    0xE00B: "UNSUPPORTED_ATT_KEY_ID",
    0xE00C: "UNSUPPORTED_LOADING_POLICY",
    0xE00D: "INTERFACE_UNAVAILABLE",
    0xE00E: "PLATFORM_LIB_UNAVAILABLE",
    0xE00F: "ATT_KEY_NOT_INITIALIZED",
    0xE010: "ATT_KEY_CERT_DATA_INVALID",
    0xE011: "NO_PLATFORM_CERT_DATA",
    0xE012: "OUT_OF_EPC",
    0xE013: "ERROR_REPORT",
    0xE014: "ENCLAVE_LOST",
    0xE015: "INVALID_REPORT",
    0xE016: "ENCLAVE_LOAD_ERROR",
    0xE017: "UNABLE_TO_GENERATE_QE_REPORT",
    0xE018: "KEY_CERTIFCATION_ERROR",
    0xE019: "NETWORK_ERROR",
    0xE01A: "MESSAGE_ERROR",
    0xE01B: "NO_QUOTE_COLLATERAL_DATA",
    0xE01C: "QUOTE_CERTIFICATION_DATA_UNSUPPORTED",
    0xE01D: "QUOTE_FORMAT_UNSUPPORTED",
    0xE01E: "UNABLE_TO_GENERATE_REPORT",
    0xE01F: "QE_REPORT_INVALID_SIGNATURE",
    0xE020: "QE_REPORT_UNSUPPORTED_FORMAT",
    0xE021: "PCK_CERT_UNSUPPORTED_FORMAT",
    0xE022: "PCK_CERT_CHAIN_ERROR",
    0xE023: "TCBINFO_UNSUPPORTED_FORMAT",
    0xE024: "TCBINFO_MISMATCH",
    0xE025: "QEIDENTITY_UNSUPPORTED_FORMAT",
    0xE026: "QEIDENTITY_MISMATCH",
    0xE027: "TCB_OUT_OF_DATE",
    0xE028: "TCB_OUT_OF_DATE_CONFIGURATION_NEEDED",
    0xE029: "SGX_ENCLAVE_IDENTITY_OUT_OF_DATE",
    0xE02A: "SGX_ENCLAVE_REPORT_ISVSVN_OUT_OF_DATE",
    0xE02B: "QE_IDENTITY_OUT_OF_DATE",
    0xE02C: "SGX_TCB_INFO_EXPIRED",
    0xE02D: "SGX_PCK_CERT_CHAIN_EXPIRED",
    0xE02E: "SGX_CRL_EXPIRED",
    0xE02F: "SGX_SIGNING_CERT_CHAIN_EXPIRED",
    0xE030: "SGX_ENCLAVE_IDENTITY_EXPIRED",
    0xE031: "PCK_REVOKED",
    0xE032: "TCB_REVOKED",
    0xE033: "TCB_CONFIGURATION_NEEDED",
    0xE034: "UNABLE_TO_GET_COLLATERAL",
    0xE035: "ERROR_INVALID_PRIVILEGE",
    0xE037: "NO_QVE_IDENTITY_DATA",
    0xE038: "CRL_UNSUPPORTED_FORMAT",
    0xE039: "QEIDENTITY_CHAIN_ERROR",
    0xE03A: "TCBINFO_CHAIN_ERROR",
    0xE03B: "ERROR_QVL_QVE_MISMATCH",
    0xE03C: "TCB_SW_HARDENING_NEEDED",
    0xE03D: "TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED",
    0xE03E: "UNSUPPORTED_MODE",
    0xE03F: "NO_DEVICE",
    0xE040: "SERVICE_UNAVAILABLE",
    0xE041: "NETWORK_FAILURE",
    0xE042: "SERVICE_TIMEOUT",
    0xE043: "ERROR_BUSY",
    0xE044: "UNKNOWN_MESSAGE_RESPONSE",
    0xE045: "PERSISTENT_STORAGE_ERROR",
    0xE046: "ERROR_MESSAGE_PARSING_ERROR",
    0xE047: "PLATFORM_UNKNOWN",
    0xE048: "UNKNOWN_API_VERSION",
    0xE049: "CERTS_UNAVAILABLE",
    0xE050: "QVEIDENTITY_MISMATCH",
    0xE051: "QVE_OUT_OF_DATE",
    0xE052: "PSW_NOT_AVAILABLE",
    0xE053: "COLLATERAL_VERSION_NOT_SUPPORTED",
    0xE060: "TDX_MODULE_MISMATCH",
    0xE061: "QEIDENTITY_NOT_FOUND",
    0xE062: "TCBINFO_NOT_FOUND",
    0xE063: "INTERNAL_SERVER_ERROR",
    0xE064: "SUPPLEMENTAL_DATA_VERSION_NOT_SUPPORTED",
    0xE065: "ROOT_CA_UNTRUSTED",
    0xE066: "TCB_NOT_SUPPORTED",
    0xE067: "CONFIG_INVALID_JSON",
    0xE068: "RESULT_INVALID_SIGNATURE",
}

RESULT_NAMES = {
    0x0000: "OK",
    0xA001: "CONFIG_NEEDED",
    0xA002: "OUT_OF_DATE",
    0xA003: "OUT_OF_DATE_CONFIG_NEEDED",
    0xA004: "INVALID_SIGNATURE",
    0xA005: "REVOKED",
    0xA006: "UNSPECIFIED",
    0xA007: "SW_HARDENING_NEEDED",
    0xA008: "CONFIG_AND_SW_HARDENING_NEEDED",
    0xA009: "TD_RELAUNCH_ADVISED",
    0xA00A: "TD_RELAUNCH_ADVISED_CONFIG_NEEDED",
}

QCNL_NAMES = {
    0xB001: "UNEXPECTED_ERROR",
    0xB002: "INVALID_PARAMETER",
    0xB003: "NETWORK_ERROR",
    0xB004: "NETWORK_PROXY_FAIL",
    0xB005: "NETWORK_HOST_FAIL",
    0xB006: "NETWORK_COULDNT_CONNECT",
    0xB007: "NETWORK_HTTP2_ERROR",
    0xB008: "NETWORK_WRITE_ERROR",
    0xB009: "NETWORK_OPERATION_TIMEDOUT",
    0xB00A: "NETWORK_HTTPS_ERROR",
    0xB00B: "NETWORK_UNKNOWN_OPTION",
    0xB00C: "NETWORK_INIT_ERROR",
    0xB00D: "MSG_ERROR",
    0xB00E: "OUT_OF_MEMORY",
    0xB00F: "ERROR_STATUS_NO_CACHE_DATA",
    0xB010: "ERROR_STATUS_PLATFORM_UNKNOWN",
    0xB011: "ERROR_STATUS_UNEXPECTED",
    0xB012: "ERROR_STATUS_CERTS_UNAVAILABLE",
    0xB013: "ERROR_STATUS_SERVICE_UNAVAILABLE",
    0xB030: "INVALID_CONFIG",
}

SGX_STATUS_NAMES = {
    0x0: "SGX_SUCCESS",
    0x1: "SGX_ERROR_UNEXPECTED",
    0x2: "SGX_ERROR_INVALID_PARAMETER",
    0x3: "SGX_ERROR_OUT_OF_MEMORY",
    0x4: "SGX_ERROR_ENCLAVE_LOST",
    0x2001: "SGX_ERROR_INVALID_ENCLAVE",
    0x2003: "SGX_ERROR_INVALID_SIGNATURE",
    0x2005: "SGX_ERROR_OUT_OF_EPC",
    0x2006: "SGX_ERROR_NO_DEVICE",
    0x200C: "SGX_ERROR_DEVICE_BUSY",
    0x200D: "SGX_ERROR_INVALID_VERSION",
    0x200E: "SGX_ERROR_MODE_INCOMPATIBLE",
    0x200F: "SGX_ERROR_ENCLAVE_FILE_ACCESS",
    0x3001: "SGX_ERROR_MAC_MISMATCH",
    0x4001: "SGX_ERROR_SERVICE_UNAVAILABLE",
    0x4002: "SGX_ERROR_SERVICE_TIMEOUT",
    0x4003: "SGX_ERROR_AE_INVALID_EPIDBLOB",
    0x4004: "SGX_ERROR_SERVICE_INVALID_PRIVILEGE",
    0x4005: "SGX_ERROR_EPID_MEMBER_REVOKED",
    0x4006: "SGX_ERROR_UPDATE_NEEDED",
    0x4007: "SGX_ERROR_NETWORK_FAILURE",
    0x400A: "SGX_ERROR_BUSY",
    0x4012: "SGX_ERROR_UNRECOGNIZED_PLATFORM",
    0x8001: "SGX_ERROR_UNSUPPORTED_ATT_KEY_ID",
    0x8002: "SGX_ERROR_ATT_KEY_CERTIFICATION_FAILURE",
    0x8003: "SGX_ERROR_ATT_KEY_UNINITIALIZED",
    0x8004: "SGX_ERROR_INVALID_ATT_KEY_CERT_DATA",
    0x8005: "SGX_ERROR_PLATFORM_CERT_UNAVAILABLE",
}

# Intel's server (AESM specification notes 3.2): quote3_error_t less 0xE000 to AESM, and what this helper says better.
INTEL_TRANSLATION = (
    "01->1, 02->3, 03->21, 04->32, 05->33, 06->15, 07->34, 08->35, 09->36, 0a->37, 0b->38, 0c->39, 0d->40, 0e->41, "
    "0f->42, 10->43, 11->44, 12->29, 13->45, 14->46, 15->47, 16->48, 17->49, 18->50, 19->12, 1a->22"
)
OUR_TRANSLATION = "41->12, 42->12, 44->12, 43->18, 47->44, 49->44, 40->30, 3f->2, 35->48"

# AESM: sgx_status_t in SelectAttKeyID, InitQuoteEx, GetQuoteSizeEx, GetQuoteEx, GetSupportedAttKeyIDNum, -IDs, then
# quote3_error_t of target info, size and quote. Measured with both of Intel's client libraries.
CLIENT_VIEWS = {
    0: ([0x0] * 6, [0x0] * 3),
    2: ([0x2006] * 6, [0xE03F] * 3),
    3: ([0x2] * 6, [0xE002] * 3),
    4: ([1, 0x4003, 1, 0x4003, 1, 1], [0xE001] * 3),
    5: ([1, 0x4005, 1, 0x4005, 1, 1], [0xE001] * 3),
    12: ([0x4007] * 6, [0xE041] * 3),
    13: ([0x4007] * 6, [0xE041] * 3),
    14: ([0x4007] * 6, [0xE041] * 3),
    17: ([0x4001] * 6, [0xE040] * 3),
    18: ([0x400A] * 6, [0xE043] * 3),
    19: ([1, 0x400A, 1, 0x400A, 1, 1], [0xE043, 0xE001, 0xE043]),
    20: ([0x4006] * 6, [0xE001] * 3),
    21: ([0x3] * 6, [0xE003] * 3),
    29: ([1, 0x2005, 1, 0x2005, 1, 1], [0xE001] * 3),
    30: ([0x4001] * 6, [0xE040] * 3),
    31: ([0x4012] * 6, [0xE001] * 3),
    38: ([0x8001, 0x8001, 0x8001, 0x8001, 1, 1], [0xE00B] * 3),
    42: ([1, 1, 0x8003, 0x8003, 1, 1], [0xE001, 0xE00F, 0xE00F]),
    44: ([1, 0x8005, 1, 1, 1, 1], [0xE011, 0xE001, 0xE001]),
    45: ([1, 1, 1, 0x3001, 1, 1], [0xE001] * 3),
    46: ([0x4001] * 6, [0xE040] * 3),
    47: ([1, 1, 1, 0x3001, 1, 1], [0xE001] * 3),
    48: ([0x4001] * 6, [0xE040] * 3),
    50: ([1, 0x8002, 1, 1, 1, 1], [0xE010, 0xE001, 0xE001]),
}


def family_names(family: Family) -> dict[int | None, str]:
    return {code.number: code.name for code in codes.CODES[family]}


def arrows(text: str) -> dict[int, int]:
    pairs = (pair.split("->") for pair in text.split(", "))
    return {0xE000 + int(left, 16): int(right) for left, right in pairs}


def test_aesm_has_every_code_of_the_protocol_and_the_hole():
    expected = {int(number): name for number, name in (pair.split() for pair in AESM_NAMES.split(","))}
    assert {member.value: member.name for member in AESM} == expected
    assert [code.number for code in codes.AESM_CODES] == sorted(expected)
    assert 27 not in expected


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (Family.QUOTE3, {number: f"SGX_QL_{name}" for number, name in QUOTE3_NAMES.items()}),
        (Family.VERIFICATION, {number: f"SGX_QL_QV_RESULT_{name}" for number, name in RESULT_NAMES.items()}),
        (Family.QCNL, {number: f"SGX_QCNL_{name}" for number, name in QCNL_NAMES.items()}),
        (Family.SGX_STATUS, SGX_STATUS_NAMES),
    ],
)
def test_a_family_is_complete_and_spelled_as_in_the_header(family, expected):
    assert family_names(family) == expected


def test_aesm_names_are_the_header_s():
    for code in codes.AESM_CODES:
        assert code.name.startswith("AESM_")
        assert AESM(code.number).name in code.name.removesuffix("_ERROR")


def test_http_has_every_status_that_a_certificate_service_gives():
    expected = {400, 401, 403, 404, 410, 413, 429, 460, 461, 462, 500, 502, 503}
    assert set(family_names(Family.HTTP)) == expected


def test_tcb_statuses_are_those_of_tcb_info_and_each_has_an_entry():
    spelled = "UpToDate SWHardeningNeeded ConfigurationNeeded ConfigurationAndSWHardeningNeeded OutOfDate"
    assert [status.value for status in TCBStatus] == [*spelled.split(), "OutOfDateConfigurationNeeded", "Revoked"]
    for status in TCBStatus:
        assert codes.tcb_status(status).name == status.value


@pytest.mark.parametrize("code", codes.ALL_CODES, ids=lambda code: f"{code.family.value}-{code.label}")
def test_every_entry_tells_meaning_cause_next_step_and_who(code):
    assert code.name == code.name.strip()
    assert isinstance(code.who, Who)
    assert isinstance(code.causes, tuple)
    assert code.causes
    for sentence in (code.meaning, code.next_step, *code.causes):
        assert len(sentence) > 10
        assert sentence.endswith(".")
        assert sentence[0].isupper() or re.match(r"[/`]|lib|https_proxy|encrypted_ppid", sentence)
        assert "  " not in sentence
        assert sentence.count("`") % 2 == 0


def test_numbers_and_names_are_unique_in_their_family():
    for entries in codes.CODES.values():
        numbers = [code.number for code in entries if code.number is not None]
        assert len(numbers) == len(set(numbers))
        assert len({code.name for code in entries}) == len(entries)


@pytest.mark.parametrize("number", [27, 52, 9999, -1])
def test_an_unknown_aesm_code_says_so(number):
    code = codes.aesm(number)
    assert code.name == f"unknown AESM code {number}"
    assert code.label == f"AESM {number}"
    assert code.sentence.startswith(f"unknown AESM code {number}: No AESM service is known to send this number")


def test_an_unknown_quote_library_code_says_so():
    code = codes.quote3(0xE036)
    assert code.family is Family.QUOTE3
    assert code.sentence.startswith("unknown quote library code 0xE036: This number has no name in the table")


def test_a_sentence_names_label_name_meaning_and_next_step():
    assert codes.aesm(18).sentence == (
        "AESM 18 AESM_BUSY: The service has too much work and refused this request at once. "
        "Ask again after a short, random wait; if it stays, ask for a quote slot or for more workers."
    )
    assert codes.tcb_status(TCBStatus.UP_TO_DATE).sentence.startswith("UpToDate: Everything is at the newest level")


def test_quote_library_to_aesm_is_the_measured_table_with_our_extension():
    ours = {0: 0} | arrows(INTEL_TRANSLATION) | arrows(OUR_TRANSLATION)
    intels = {0: 0} | arrows(INTEL_TRANSLATION)
    for number in [0, *range(0xDFFF, 0xE101), 1, 0x4004, 0xB006, -1]:
        assert codes.aesm_from_quote3(number) is AESM(ours.get(number, 1)), hex(number)
        assert codes.intel_aesm_from_quote3(number) is AESM(intels.get(number, 1)), hex(number)


@pytest.mark.parametrize("number", [*range(52), 52, 9999, -1])
def test_client_view_is_the_measured_table(number):
    status, dcap_ql = CLIENT_VIEWS.get(number, ([1] * 6, [0xE001] * 3))
    view = codes.client_view(number)
    assert view.sgx_status == dict(zip(AESMCall, status, strict=True))
    calls = [AESMCall.INIT_QUOTE_EX, AESMCall.GET_QUOTE_SIZE_EX, AESMCall.GET_QUOTE_EX]
    assert view.dcap_ql == dict(zip(calls, dcap_ql, strict=True))


@pytest.mark.parametrize(("status", "error"), [(0x4001, 0xE040), (0x4002, 0xE042), (0x1, 0xE001), (0x77, 0xE001)])
def test_transport_failures_reach_the_client_of_dcap_ql(status, error):
    assert codes.quote3_from_sgx_status(status) == error


@pytest.mark.parametrize(
    ("status", "qcnl", "error"),
    [
        (404, 0xB00F, 0xE011),
        (461, 0xB010, 0xE047),
        (462, 0xB012, 0xE049),
        (503, 0xB013, 0xE040),
        (403, 0xB003, 0xE019),
        (410, 0xB011, 0xE044),
        (500, 0xB011, 0xE044),
    ],
)
def test_http_status_to_network_layer_to_quote_library(status, qcnl, error):
    assert codes.qcnl_from_http(status) == qcnl
    assert codes.quote3_from_qcnl(qcnl) == error


@pytest.mark.parametrize("number", [0xB001, 0xB030, 0xB0FF, 0])
def test_network_layer_codes_without_a_translation_become_unexpected(number):
    assert codes.quote3_from_qcnl(number) == 0xE001


def linked(code: Code) -> list[tuple[str, str]]:
    return [(link.relation, link.code.label) for link in codes.links(code)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            codes.aesm(44),
            [
                ("a client of libsgx_quote_ex sees after InitQuoteEx", "0x8005"),
                ("a client of libsgx_quote_ex sees after its other calls", "0x0001"),
                ("a client of libsgx_dcap_ql sees after InitQuoteEx", "0xE011"),
                ("a client of libsgx_dcap_ql sees after its other calls", "0xE001"),
            ],
        ),
        (
            codes.aesm(18),
            [("a client of libsgx_quote_ex sees", "0x400A"), ("a client of libsgx_dcap_ql sees", "0xE043")],
        ),
        (
            codes.quote3(0xE044),
            [("the quote helper answers its client", "AESM 12"), ("Intel's aesmd answers its client", "AESM 1")],
        ),
        (
            codes.quote3(0xE00F),
            [
                ("the quote helper answers its client", "AESM 42"),
                ("out-of-process there may stand behind it", "AESM 42"),
            ],
        ),
        (codes.quote3(0xE001), [("the quote helper answers its client", "AESM 1")]),
        (codes.quote3(0xE022), []),
        (
            codes.lookup(Family.SGX_STATUS, 0x3001),
            [
                ("behind it may stand", "AESM 45"),
                ("behind it may stand", "AESM 47"),
                ("libsgx_dcap_ql returns for it", "0xE001"),
            ],
        ),
        (codes.lookup(Family.SGX_STATUS, 0x1), [("libsgx_dcap_ql returns for it", "0xE001")]),
        (
            codes.tcb_status(TCBStatus.OUT_OF_DATE),
            [("the same verdict is called", "0xA002"), ("the same verdict is called", "0xE027")],
        ),
        (codes.tcb_status(TCBStatus.UP_TO_DATE), []),
        (
            codes.lookup(Family.HTTP, 461),
            [("Intel's provider library logs", "0xB010"), ("the quote library returns", "0xE047")],
        ),
        (codes.lookup(Family.QCNL, 0xB006), [("the quote library returns", "0xE019")]),
        (codes.aesm(0), []),
        (codes.advisory(615), []),
    ],
    ids=lambda value: value.label if isinstance(value, Code) else "",
)
def test_links_lead_to_the_next_layer(code, expected):
    assert linked(code) == expected


FOUND = {
    # Numbers with their family, in any spelling.
    "0xe011": ["0xE011"],
    "0XE011": ["0xE011"],
    "E011": ["0xE011"],
    "e011": ["0xE011"],
    "0x0000e011": ["0xE011"],
    "57361": ["0xE011"],
    "0xE019": ["0xE019"],
    "error 0xE019": ["0xE019"],
    "1a": ["0xE01A"],
    "a002": ["0xA002"],
    "0xA007": ["0xA007"],
    "0xb006": ["0xB006"],
    "qcnl 0xb006": ["0xB006"],
    "4004": ["0x4004"],
    "0x4004": ["0x4004"],
    "SGXError:4004": ["0x4004"],
    "16388": ["0x4004"],
    "aesm 44": ["AESM 44"],
    "AESM:44": ["AESM 44"],
    "aesm44": ["AESM 44"],
    "AESM error 12": ["AESM 12"],
    "aesm 0x12": ["AESM 18"],
    "461": ["HTTP 461"],
    "462": ["HTTP 462"],
    "410": ["HTTP 410"],
    "429": ["HTTP 429"],
    "HTTP 404": ["HTTP 404"],
    "HTTP/1.1 461": ["HTTP 461"],
    "HTTP status code: 503": ["HTTP 503"],
    "pccs 462": ["HTTP 462"],
    # Bare numbers of several families, the likeliest first.
    "44": ["AESM 44", "0xE044"],
    "18": ["AESM 18", "0xE018"],
    "2": ["AESM 2", "0x0002", "0xE002", "0xB002", "0xA002"],
    "0": ["AESM 0", "0x0000", "0x0000", "0x0000"],
    "error 38": ["AESM 38", "0xE038"],
    # Families beyond doubt, numbers without a name.
    "aesm 27": ["AESM 27"],
    "0xE0FF": ["0xE0FF"],
    # Names, whole and in part.
    "SGX_QL_NO_PLATFORM_CERT_DATA": ["0xE011"],
    "sgx_ql_no_platform_cert_data": ["0xE011"],
    "NO_PLATFORM_CERT_DATA": ["AESM 44", "0xE011"],
    "AESM_BUSY": ["AESM 18"],
    "busy": ["AESM 18", "0xE043", "0x400A"],
    "SGX_ERROR_SERVICE_UNAVAILABLE": ["0x4001"],
    "KEY_CERTIFICATION": ["AESM 50", "0xE018"],
    "TEE_QV_RESULT_SW_HARDENING_NEEDED": ["SWHardeningNeeded", "0xE03C", "0xA007"],
    "SWHardeningNeeded": ["SWHardeningNeeded"],
    "swhardeningneeded": ["SWHardeningNeeded"],
    "SW_HARDENING_NEEDED": ["SWHardeningNeeded"],
    "TCB_OUT_OF_DATE": ["OutOfDate", "0xE027", "0xA002"],
    "TCB out of date": ["OutOfDate", "0xE027", "0xA002"],
    "TCB status is out of date": ["OutOfDate", "0xE027", "0xA002"],
    "OutOfDate": ["OutOfDate"],
    "INTEL-SA-00615": ["INTEL-SA-00615"],
    "intel-sa-615": ["INTEL-SA-00615"],
    "SA-00289": ["INTEL-SA-00289"],
    "advisory": ["INTEL-SA-nnnnn"],
    "Too Many Requests": ["HTTP 429"],
    # Words, and lines of a log.
    "collateral out of date": ["collateral is out of date"],
    "certificate not yet valid": ["issue date in the future"],
    "debug": ["debug enclave"],
    "no socket": ["no aesm.socket"],
    "Encrypted ppid is all zeros": ["0xE011"],
    "[QCNL] Encountered CURL error: (60) SSL peer certificate was not OK": ["0xE065"],
    "[QCNL] Encountered CURL error: (7) Couldn't connect to server": ["0xB006"],
    "[QCNL] Encountered CURL error: (99) something": ["0xB003"],
    "[get_cert_data ../qe_logic.cpp:388] Error returned from the p_sgx_get_quote_config API. 0xe019": ["0xE019"],
    "quote verification ended with OutOfDateConfigurationNeeded (INTEL-SA-00615)": [
        "INTEL-SA-00615",
        "OutOfDateConfigurationNeeded",
    ],
    "gramine: aesm_service returned error 30 for the enclave's request": ["AESM 30"],
    "[app] sgx_init_quote_ex failed: SGX_ERROR_SERVICE_TIMEOUT after 15 s": ["0x4002"],
    "OE_TCB_LEVEL_INVALID": ["OE_TCB_LEVEL_INVALID"],
    "oe_get_evidence failed.(OE_QUOTE_PROVIDER_LOAD_ERROR)": ["OE_QUOTE_PROVIDER_LOAD_ERROR"],
    "SGX AESM service unavailable (oe_result_t=OE_SERVICE_UNAVAILABLE) [host/sgx/sgxquote.c:479]": [
        "OE_SERVICE_UNAVAILABLE"
    ],
    "sgx_get_supported_att_key_id_num() status=SGX_ERROR_SERVICE_TIMEOUT num=0 (oe_result_t=OE_SGX_QUOTE_LIBRARY_ERROR)": [
        "0x4002",
        "OE_SGX_QUOTE_LIBRARY_ERROR",
    ],
}


@pytest.mark.parametrize(("text", "expected"), FOUND.items(), ids=FOUND)
def test_find_understands(text, expected):
    assert [code.label for code in codes.find(text)] == expected


NOT_FOUND = ["", "   ", "\n", "\0", "x", "-", "%s", "blah", "🦀", "ⅣⅤ", "١٢", "the", "error", "a", "aesm", "http"]
NOT_FOUND += ["0x", "0xdeadbeef", "0xC0FFEE", "e1ff", "44 45 46", "99999999999999999999", "http 999"]


@pytest.mark.parametrize("text", NOT_FOUND, ids=repr)
def test_find_is_empty_where_nothing_fits(text):
    assert codes.find(text) == []


@pytest.mark.parametrize("code", codes.ALL_CODES, ids=lambda code: f"{code.family.value}-{code.label}")
def test_find_leads_from_name_and_label_to_every_entry(code):
    assert codes.find(code.name)[0] is code
    assert code in codes.find(code.label)
    assert code in codes.find(code.name.lower())


def test_find_looks_at_the_first_thousand_characters_only():
    assert codes.find("0xE011".rjust(MAX_TEXT)) == [codes.quote3(0xE011)]
    assert codes.find("0xE011".rjust(MAX_TEXT + 6)) == []


def test_find_returns_no_more_than_fits_a_screen():
    assert len(codes.find("certificate")) == MAX_MATCHES


PASTED = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from("0123456789abcdefxEABSGXQLM_-:. ()")), max_size=1500
)


@settings(max_examples=300)
@given(text=st.one_of(PASTED, st.lists(st.sampled_from([*FOUND, "HTTP", "aesm", "0x"])).map(" ".join)))
def test_find_and_nearest_never_raise_and_are_bounded(text):
    found = codes.find(text)
    assert len(found) <= MAX_MATCHES
    assert len(found) == len(set(found))
    assert all(isinstance(code, Code) for code in found)
    assert len(codes.nearest(text)) <= 3


@settings(max_examples=50)
@given(number=st.integers(min_value=0, max_value=2**40))
def test_find_of_a_number_gives_entries_with_that_number(number):
    for code in codes.find(f"{number:#x}"):
        assert code.number is not None
        assert code.number == number or code.number & 0xFF == number


@pytest.mark.parametrize(
    "text", ["aesm " * 200, "http -:_" * 125, " " * 999 + "x", "SGX_" * 250, "sa-" * 333, "1" * 1000, "service " * 125]
)
def test_find_takes_no_more_than_a_moment_for_repetitive_text(text):
    # The test's own deadline catches a regular expression that goes back over its own steps.
    assert len(codes.find(text)) <= MAX_MATCHES


@pytest.mark.parametrize(
    ("text", "first"), [("NETWRK_ERROR", "AESM_NETWORK_ERROR"), ("SWHardningNeeded", "SWHardeningNeeded")]
)
def test_nearest_names_what_looks_alike(text, first):
    assert codes.nearest(text)[0] == first


def test_nearest_is_empty_for_what_looks_like_nothing():
    assert codes.nearest("zzzzzzzzzzzz") == []


def test_the_package_is_cheap_to_import():
    program = (
        "import sys; before = set(sys.modules); import confcom.codes; "
        "print(*sorted(name.partition('.')[0] for name in set(sys.modules) - before)); "
        "assert 'confcom.codes.table' not in sys.modules; assert 'confcom.codes.search' not in sys.modules; "
        "confcom.codes.find('44'); assert 'confcom.codes.search' in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    loaded = set(ran.stdout.split())
    assert loaded <= {"confcom"} | set(sys.stdlib_module_names)
    assert not loaded & {"asyncio", "difflib", "json", "socket", "typing_extensions"}


def test_the_package_refuses_what_it_does_not_have():
    with pytest.raises(AttributeError, match=r"module 'confcom\.codes' has no attribute 'nothing'"):
        _ = codes.nothing


def load_generator():
    spec = importlib.util.spec_from_file_location("generate_codes", ROOT / "tools" / "generate_codes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_page_is_what_the_table_says():
    assert load_generator().main(["--check"]) == 0


def test_a_stale_reference_page_is_found(tmp_path, capsys, monkeypatch):
    generator = load_generator()
    monkeypatch.setattr(generator, "PAGE", tmp_path / "reference" / "codes.md")
    assert generator.main(["--check"]) == 1
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    generator.PAGE.write_text(generator.page().replace("AESM 44", "AESM 45"))
    assert generator.main(["--check"]) == 1
    assert "docs/reference/codes.md is not what confcom.codes says" in capsys.readouterr().out


def test_the_reference_page_has_every_entry():
    page = load_generator().page()
    for code in codes.ALL_CODES:
        assert f"`{code.name}` |" in page
    assert all(line.count("|") in {0, 4, 7, 9} for line in page.splitlines())
