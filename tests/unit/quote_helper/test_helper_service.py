"""What each request gets as its answer: the tables of Intel's server, byte for byte where they were measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.aesm import messages as m
from confcom.codes import AESM
from confcom.quote_helper import service
from confcom.quoting.backend import KeyReport
from confcom.sgx import DEFAULT_KEY_ID

KEY_ID = DEFAULT_KEY_ID.to_bytes()
# What stands behind the first 158 bytes is the client's own business.
WITH_SPID = KEY_ID[:158] + bytes(range(98))
OTHER = KEY_ID[:154] + b"\x03" + KEY_ID[155:]
OTHER_SIGNER = KEY_ID[:6] + b"\xe4" + KEY_ID[7:]
REPORT = bytes(432)
INFO = bytes(range(240)) * 4
KEY = KeyReport(target_info=b"t" * 512, pub_key_id=b"p" * 32, quote_size=4600)


def listed(*ids, count=None, header=b"\0\0\0\0"):
    return header + (len(ids) if count is None else count).to_bytes(4, "little") + b"".join(ids)


def answer(request):
    response = service.respond(request)
    return None if response is None else response.envelope().hex()


# --- 2.3: all that is not ECDSA -----------------------------------------------------------------------------------------

NOT_AVAILABLE = {
    "InitQuote": (m.InitQuoteRequest(timeout=1), "0a02081e"),
    "GetQuote": (m.GetQuoteRequest(report=REPORT, quote_type=0, spid=bytes(16), buf_size=1200), "1202081e"),
    "GetLaunchToken": (
        m.GetLaunchTokenRequest(mr_enclave=bytes(32), mr_signer=bytes(384), se_attributes=bytes(16)), "1a02081e"),
    "ReportAttestationError": (
        m.ReportAttestationErrorRequest(platform_info=bytes(101), attestation_error_code=0, update_info_size=16),
        "2202081e"),
    "GetWhiteListSize": (m.GetWhiteListSizeRequest(), "5204081e1000"),
    "GetWhiteList": (m.GetWhiteListRequest(white_list_size=100), "5a02081e"),
    "SGXGetExtendedEpidGroupId": (m.SGXGetExtendedEpidGroupIdRequest(), "6204081e1000"),
    "SGXSwitchExtendedEpidGroup": (m.SGXSwitchExtendedEpidGroupRequest(x_group_id=0), "6a02081e"),
    "SGXRegister": (m.SGXRegisterRequest(buf=b"chain", data_type=0), "7202081e"),
    "CheckUpdateStatus": (m.CheckUpdateStatusRequest(update_info_size=1, config=0), "920104081e1800"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "body"), NOT_AVAILABLE.values(), ids=NOT_AVAILABLE)
def test_epid_and_launch_are_not_available_each_in_its_own_type(request_, body):
    assert answer(request_) == body


@pytest.mark.parametrize("data_type", [1, 2, 0xFFFFFFFF])
def test_registering_anything_but_a_white_list_is_a_wrong_parameter(data_type):
    assert answer(m.SGXRegisterRequest(buf=b"x", data_type=data_type)) == "72020803"


# --- a request that lacks a required field ------------------------------------------------------------------------------

MALFORMED = {
    "GetQuoteEx without anything": (m.GetQuoteExRequest(), "8a01020801"),
    "GetQuoteEx without report": (m.GetQuoteExRequest(att_key_id=KEY_ID, buf_size=4600), "8a01020801"),
    "GetQuoteEx without buf_size": (m.GetQuoteExRequest(report=REPORT, att_key_id=KEY_ID), "8a01020801"),
    "InitQuoteEx without b_pub_key_id": (m.InitQuoteExRequest(att_key_id=KEY_ID), "7a0408011800"),
    "GetSupportedAttKeyIDs without buf_size": (m.GetSupportedAttKeyIDsRequest(timeout=1), "b201020801"),
    "GetQuote without anything": (m.GetQuoteRequest(), "12020801"),
    "GetQuote without spid": (m.GetQuoteRequest(report=REPORT, quote_type=0, buf_size=1), "12020801"),
    "GetLaunchToken without anything": (m.GetLaunchTokenRequest(), "1a020801"),
    "ReportAttestationError without anything": (m.ReportAttestationErrorRequest(), "22020801"),
    "SGXRegister without data_type": (m.SGXRegisterRequest(buf=b"x"), "72020801"),
    "CheckUpdateStatus without config": (m.CheckUpdateStatusRequest(update_info_size=1), "92010408011800"),
}


@pytest.mark.parametrize(("request_", "body"), MALFORMED.values(), ids=MALFORMED)
def test_missing_field_is_answered_with_code_1_in_the_request_s_own_type(request_, body):
    assert answer(request_) == body


@pytest.mark.parametrize("request_type", m.REQUESTS, ids=lambda r: r.__name__)
def test_every_required_field_that_is_missing_is_answered_with_code_1(request_type):
    sample = {m.Kind.BYTES: b"x", m.Kind.BOOL: True, m.Kind.UINT32: 7, m.Kind.UINT64: 7}
    required = [field for field in request_type.FIELDS if field.required]
    for absent in required:
        request = request_type(**{f.name: sample[f.kind] for f in required if f is not absent})
        response = service.respond(request)
        assert (response.NUMBER, response.error_code) == (request.NUMBER, 1), absent.name


# --- 2.2: the ECDSA path ------------------------------------------------------------------------------------------------


def test_number_of_keys_is_one():
    assert answer(m.GetSupportedAttKeyIDNumRequest(timeout=15000)) == "aa010408001001"


@pytest.mark.parametrize(
    ("buf_size", "body"),
    [
        (256, "b20185020800" + "128002" + KEY_ID.hex()),
        *((size, "b201020803") for size in (0, 255, 257, 512, 2**32 - 1)),
    ],
)
def test_keys_need_a_buffer_of_exactly_their_size(buf_size, body):
    assert answer(m.GetSupportedAttKeyIDsRequest(buf_size=buf_size)) == body


SELECTIONS = {
    "no list: the server's choice": (None, 0, KEY_ID),
    "the default key": (listed(KEY_ID), 0, KEY_ID),
    "the client's own entry is echoed": (listed(WITH_SPID), 0, WITH_SPID),
    "first match in the client's order": (listed(OTHER, WITH_SPID, KEY_ID), 0, WITH_SPID),
    "ten entries": (listed(*[OTHER] * 9, KEY_ID), 0, KEY_ID),
    "no match": (listed(OTHER), 38, None),
    "the key of a debug-signed QE": (listed(OTHER_SIGNER), 38, None),
    "eleven entries": (listed(*[KEY_ID] * 11), 3, None),
    "no entry": (listed(), 3, None),
    "empty": (b"", 3, None),
    "header only": (listed(count=1), 3, None),
    "one byte short": (listed(KEY_ID)[:-1], 3, None),
    "one byte more": (listed(KEY_ID) + b"\0", 3, None),
    "a count that its size denies": (listed(KEY_ID, count=2), 3, None),
    "an id in the header": (listed(KEY_ID, header=b"\1\0\0\0"), 3, None),
    "a version in the header": (listed(KEY_ID, header=b"\0\0\1\0"), 3, None),
}


@pytest.mark.parametrize(("ids", "code", "selected"), SELECTIONS.values(), ids=SELECTIONS)
def test_selection(ids, code, selected):
    response = service.respond(m.SelectAttKeyIDRequest(att_key_id_list=ids))
    assert response == m.SelectAttKeyIDResponse(error_code=code, selected_att_key_id=selected)


KEY_IDS = {
    "absent": (None, 3),
    "empty": (b"", 3),
    "158 bytes": (KEY_ID[:158], 3),
    "255 bytes": (KEY_ID[:255], 3),
    "another algorithm": (OTHER, 38),
    "another signer": (OTHER_SIGNER, 38),
    "all zero": (bytes(256), 38),
}
ECDSA = {
    "init phase 1": lambda key_id: m.InitQuoteExRequest(att_key_id=key_id, b_pub_key_id=False),
    "init phase 2": lambda key_id: m.InitQuoteExRequest(att_key_id=key_id, b_pub_key_id=True, buf_size=32),
    "size": lambda key_id: m.GetQuoteSizeExRequest(att_key_id=key_id),
    "quote": lambda key_id: m.GetQuoteExRequest(report=REPORT, att_key_id=key_id, buf_size=4600),
}


@pytest.mark.parametrize("make", ECDSA.values(), ids=ECDSA)
@pytest.mark.parametrize(("key_id", "code"), KEY_IDS.values(), ids=KEY_IDS)
def test_key_that_is_not_offered_is_refused(make, key_id, code):
    assert service.respond(make(key_id)).error_code == code


@pytest.mark.parametrize("make", [ECDSA["init phase 2"], ECDSA["size"], ECDSA["quote"]], ids=["init", "size", "quote"])
@pytest.mark.parametrize("key_id", [KEY_ID, WITH_SPID, KEY_ID + b"more"], ids=["default", "with-spid", "longer"])
def test_key_matches_by_its_first_158_bytes(make, key_id):
    assert service.respond(make(key_id)) is None


@pytest.mark.parametrize("buf_size", [None, 0, 31, 32, 33, 0x7FC3_0000_1234, 2**64 - 1])
def test_phase_1_ignores_buf_size_and_never_carries_the_key_s_id(buf_size):
    """libsgx_dcap_ql sends uninitialised memory there, and crashes on a pub_key_id that it did not ask for."""
    request = m.InitQuoteExRequest(att_key_id=KEY_ID, b_pub_key_id=False, buf_size=buf_size)
    assert answer(request) == "7a87040800128004" + "00" * 512 + "1820"


@pytest.mark.parametrize(("buf_size", "echo"), [(None, 0), (0, 0), (31, 31), (33, 33), (2**64 - 1, 2**64 - 1)])
def test_phase_2_needs_32_bytes_and_a_refusal_echoes_what_was_sent(buf_size, echo):
    request = m.InitQuoteExRequest(att_key_id=KEY_ID, b_pub_key_id=True, buf_size=buf_size)
    assert service.respond(request) == m.InitQuoteExResponse(error_code=3, pub_key_id_size=echo)


@pytest.mark.parametrize("buf_size", [None, 7])
def test_phase_1_for_another_key_echoes_its_size(buf_size):
    request = m.InitQuoteExRequest(att_key_id=OTHER, b_pub_key_id=False, buf_size=buf_size)
    assert service.respond(request) == m.InitQuoteExResponse(error_code=38, pub_key_id_size=buf_size or 0)


def test_phase_2_tells_target_info_and_the_key_s_id():
    assert service.answer_init(KEY) == m.InitQuoteExResponse(
        error_code=0, target_info=b"t" * 512, pub_key_id_size=32, pub_key_id=b"p" * 32
    )


def test_size_and_its_refusal():
    assert service.answer_size(KEY).envelope().hex() == "820105080010f823"
    assert service.refuse(m.GetQuoteSizeExRequest(att_key_id=KEY_ID), 42).envelope().hex() == "820104082a1000"


QUOTE_CHECKS = {
    "empty report": ({"report": b""}, 3),
    "report of 431 bytes": ({"report": bytes(431)}, 3),
    "report of 433 bytes": ({"report": bytes(433)}, 3),
    "empty qe_report_info": ({"qe_report_info": b""}, 3),
    "qe_report_info of 959 bytes": ({"qe_report_info": bytes(959)}, 3),
    "qe_report_info of 961 bytes": ({"qe_report_info": bytes(961)}, 3),
    "sizes come before the key": ({"report": bytes(431), "att_key_id": OTHER}, 3),
    "buffer over what a QE has": ({"buf_size": 128 * 1024 + 1}, 21),
    "buffer of 4 GiB": ({"buf_size": 2**32 - 1}, 21),
    "all well": ({}, None),
    "all well with qe_report_info": ({"qe_report_info": INFO}, None),
    "largest buffer": ({"buf_size": 128 * 1024}, None),
}


@pytest.mark.parametrize(("changes", "code"), QUOTE_CHECKS.values(), ids=QUOTE_CHECKS)
def test_quote_request_is_checked_before_it_costs_a_quote(changes, code):
    request = m.GetQuoteExRequest(**{"report": REPORT, "att_key_id": KEY_ID, "buf_size": 4600, **changes})
    response = service.respond(request)
    if code is None:
        assert response is None
    else:
        assert response == m.GetQuoteExResponse(error_code=code, qe_report_info=request.qe_report_info)


@pytest.mark.parametrize("padding", [0, 1, 3592, 128 * 1024 - 4600])
def test_quote_has_exactly_the_asked_size_with_zeros_behind_it(padding):
    request = m.GetQuoteExRequest(report=REPORT, att_key_id=KEY_ID, buf_size=4600 + padding)
    response = service.answer_quote(request, b"q" * 4600, None)
    assert response == m.GetQuoteExResponse(error_code=0, quote=b"q" * 4600 + bytes(padding))


def test_buffer_smaller_than_the_quote_is_a_wrong_parameter_and_echoes_the_info():
    request = m.GetQuoteExRequest(report=REPORT, att_key_id=KEY_ID, buf_size=4599, qe_report_info=INFO)
    response = service.answer_quote(request, b"q" * 4600, b"f" * 960)
    assert response == m.GetQuoteExResponse(error_code=3, qe_report_info=INFO)


@pytest.mark.parametrize("code", [1, 18, 30, 42, 46, 47])
@pytest.mark.parametrize("info", [None, INFO], ids=["without-info", "with-info"])
def test_refused_quote_echoes_its_info_unchanged(code, info):
    request = m.GetQuoteExRequest(report=REPORT, att_key_id=KEY_ID, buf_size=4600, qe_report_info=info)
    assert service.refuse(request, code) == m.GetQuoteExResponse(error_code=code, qe_report_info=info)


@pytest.mark.parametrize("request_type", m.REQUESTS, ids=lambda r: r.__name__)
@pytest.mark.parametrize("code", AESM)
def test_every_refusal_has_the_request_s_own_type_and_its_code(request_type, code):
    response = service.refuse(request_type(), code)
    assert (type(response).__name__, response.error_code) == (
        request_type.__name__.replace("Request", "Response"),
        code,
    )
    assert m.decode_response(response.envelope(), type(response)).error_code == code


@given(st.binary(max_size=300))
def test_any_body_is_parsed_answered_or_deferred(body):
    request = service.parse(body)
    if request is None:
        return
    response = service.respond(request)
    if response is None:
        assert isinstance(request, service.Deferred)
    else:
        assert response.NUMBER == request.NUMBER
        assert b"\x08" in response.envelope()


@pytest.mark.parametrize("body", ["", "00", "f80101", "a20104080110", "aa0103"])
def test_body_that_holds_no_known_request_is_not_parsed(body):
    assert service.parse(bytes.fromhex(body)) is None
