"""The messages of AESM: the bytes that real clients and servers send, and hostile ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.aesm import messages as m
from confcom.errors import AESMProtocolError
from confcom.sgx import DEFAULT_KEY_ID

KEY_ID = DEFAULT_KEY_ID.to_bytes()
T = 15_000
REPORT = bytes(432)

# Bodies that libsgx_quote_ex sends, captured from the real library (timeout 15000 is 48 98 75).
GOLDEN_REQUESTS = {
    "number of keys": (m.GetSupportedAttKeyIDNumRequest(timeout=T), bytes.fromhex("aa0103489875")),
    "keys": (m.GetSupportedAttKeyIDsRequest(buf_size=256, timeout=T), bytes.fromhex("b20106088002489875")),
    "select without a list": (m.SelectAttKeyIDRequest(timeout=T), bytes.fromhex("9a0103109875")),
    "init phase 1": (
        m.InitQuoteExRequest(att_key_id=KEY_ID, b_pub_key_id=False, timeout=T),
        bytes.fromhex("7a88020a8002") + KEY_ID + bytes.fromhex("1800489875"),
    ),
    "init phase 2": (
        m.InitQuoteExRequest(att_key_id=KEY_ID, b_pub_key_id=True, buf_size=32, timeout=T),
        bytes.fromhex("7a8a020a8002") + KEY_ID + bytes.fromhex("18012020489875"),
    ),
    "size": (
        m.GetQuoteSizeExRequest(att_key_id=KEY_ID, timeout=T),
        bytes.fromhex("82018602") + bytes.fromhex("0a8002") + KEY_ID + bytes.fromhex("489875"),
    ),
    "quote": (
        m.GetQuoteExRequest(report=REPORT, att_key_id=KEY_ID, buf_size=4600, timeout=T),
        bytes.fromhex("8a01bc05") + bytes.fromhex("0ab003") + REPORT + bytes.fromhex("128002") + KEY_ID
        + bytes.fromhex("20f823489875"),
    ),
}  # fmt: skip
LENGTHS = {"init phase 1": 267, "init phase 2": 269, "size": 266, "quote": 704}

GOLDEN_RESPONSES = {
    "number of keys": (m.GetSupportedAttKeyIDNumResponse(error_code=0, att_key_id_num=1), "aa010408001001"),
    "EPID not available": (m.InitQuoteResponse(error_code=30), "0a02081e"),
    "white list size not available": (m.GetWhiteListSizeResponse(error_code=30, white_list_size=0), "5204081e1000"),
    "update status not available": (m.CheckUpdateStatusResponse(error_code=30, status=0), "920104081e1800"),
    "quote without its report": (m.GetQuoteExResponse(error_code=1), "8a01020801"),
    "init without its flag": (m.InitQuoteExResponse(error_code=1, pub_key_id_size=0), "7a0408011800"),
}


@pytest.mark.parametrize(("request_", "body"), GOLDEN_REQUESTS.values(), ids=GOLDEN_REQUESTS)
def test_request_is_what_the_real_client_sends(request_, body):
    assert request_.envelope() == body
    assert m.decode_request(body) == request_


@pytest.mark.parametrize(("name", "length"), LENGTHS.items())
def test_captured_bodies_have_the_measured_lengths(name, length):
    assert len(GOLDEN_REQUESTS[name][1]) == length


@pytest.mark.parametrize(("response", "body"), GOLDEN_RESPONSES.values(), ids=GOLDEN_RESPONSES)
def test_response_is_what_the_real_server_sends(response, body):
    assert response.envelope().hex() == body
    assert m.decode_response(bytes.fromhex(body), type(response)) == response


# Field numbers of the sub-messages, the same in both directions.
NUMBERS = {
    "InitQuote": 1, "GetQuote": 2, "GetLaunchToken": 3, "ReportAttestationError": 4, "GetWhiteListSize": 10,
    "GetWhiteList": 11, "SGXGetExtendedEpidGroupId": 12, "SGXSwitchExtendedEpidGroup": 13, "SGXRegister": 14,
    "InitQuoteEx": 15, "GetQuoteSizeEx": 16, "GetQuoteEx": 17, "CheckUpdateStatus": 18, "SelectAttKeyID": 19,
    "GetSupportedAttKeyIDNum": 21, "GetSupportedAttKeyIDs": 22,
}  # fmt: skip


def test_every_message_has_its_number_in_both_directions():
    assert len(m.REQUESTS) == len(m.RESPONSES) == len(NUMBERS)
    assert {r.__name__.removesuffix("Request"): r.NUMBER for r in m.REQUESTS} == NUMBERS
    assert {r.__name__.removesuffix("Response"): r.NUMBER for r in m.RESPONSES} == NUMBERS


@pytest.mark.parametrize("response", m.RESPONSES, ids=lambda r: r.__name__)
def test_success_is_on_the_wire(response):
    """A missing errorCode reads as 1 in the real client."""
    assert response(error_code=0).envelope().endswith(b"\x02\x08\x00")


@pytest.mark.parametrize("response", m.RESPONSES, ids=lambda r: r.__name__)
def test_response_without_its_error_code_is_a_failure(response):
    assert response.decode(b"").error_code == 1


REQUIRED = {
    "InitQuote": (), "GetQuote": ("report", "quote_type", "spid", "buf_size"),
    "GetLaunchToken": ("mr_enclave", "mr_signer", "se_attributes"),
    "ReportAttestationError": ("platform_info", "attestation_error_code", "update_info_size"),
    "GetWhiteListSize": (), "GetWhiteList": (), "SGXGetExtendedEpidGroupId": (), "SGXSwitchExtendedEpidGroup": (),
    "SGXRegister": ("buf", "data_type"), "InitQuoteEx": ("b_pub_key_id",), "GetQuoteSizeEx": (),
    "GetQuoteEx": ("report", "buf_size"), "CheckUpdateStatus": ("update_info_size", "config"), "SelectAttKeyID": (),
    "GetSupportedAttKeyIDNum": (), "GetSupportedAttKeyIDs": ("buf_size",),
}  # fmt: skip


@pytest.mark.parametrize("request_type", m.REQUESTS, ids=lambda r: r.__name__)
def test_missing_names_the_first_required_field_that_is_absent(request_type):
    required = REQUIRED[request_type.__name__.removesuffix("Request")]
    sample = {m.Kind.BYTES: b"x", m.Kind.BOOL: True, m.Kind.UINT32: 7, m.Kind.UINT64: 7}
    kinds = {field.name: field.kind for field in request_type.FIELDS}
    values = {}
    for name in required:
        assert request_type(**values).missing() == name
        values[name] = sample[kinds[name]]
    assert request_type(**values).missing() is None


def test_of_several_requests_the_one_that_intels_server_would_serve_is_taken():
    """Launch token, initQuote, getQuote, reportErr, checkUpdate, white list, xeid, register, then the Ex family."""
    order = [3, 1, 2, 4, 18, 10, 11, 12, 13, 14, 15, 16, 17, 19, 21, 22]
    assert [r.NUMBER for r in m.REQUESTS] == order
    by_number = {r.NUMBER: r for r in m.REQUESTS}
    for position, number in enumerate(order):
        rest = order[position:]
        for arranged in (rest, rest[::-1]):
            body = b"".join(by_number[n]().envelope() for n in arranged)
            assert number == type(m.decode_request(body)).NUMBER


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        pytest.param("aa01034898 75", m.GetSupportedAttKeyIDNumRequest(timeout=T), id="as-sent"),
        pytest.param("aa0104 4801 4802",
                     m.GetSupportedAttKeyIDNumRequest(timeout=2), id="last-of-a-repeated-field-counts"),
        pytest.param("aa0102 4801 aa0102 4803", m.GetSupportedAttKeyIDNumRequest(timeout=3), id="merged"),
        pytest.param("b20102 0801 b20102 4803", m.GetSupportedAttKeyIDsRequest(buf_size=1, timeout=3),
                     id="merged-fields"),
        pytest.param("aa0104 5007 4801", m.GetSupportedAttKeyIDNumRequest(timeout=1),
                     id="unknown-varint-inside"),
        pytest.param("aa0105 520161 4801", m.GetSupportedAttKeyIDNumRequest(timeout=1), id="unknown-bytes-inside"),
        pytest.param("aa0107 5500000000 4801", m.GetSupportedAttKeyIDNumRequest(timeout=1),
                     id="unknown-fixed32-inside"),
        pytest.param("aa010b 510000000000000000 4801", m.GetSupportedAttKeyIDNumRequest(timeout=1),
                     id="unknown-fixed64-inside"),
        pytest.param("f80101 aa0100", m.GetSupportedAttKeyIDNumRequest(), id="unknown-field-outside"),
        pytest.param("a801 05 aa0100", m.GetSupportedAttKeyIDNumRequest(), id="known-number-of-another-wire-type"),
        pytest.param("aa0102 4a00", m.GetSupportedAttKeyIDNumRequest(), id="timeout-as-bytes-is-unknown"),
        pytest.param("aa0106 48ffffffff1f", m.GetSupportedAttKeyIDNumRequest(timeout=0xFFFFFFFF), id="cut-to-32-bits"),
        pytest.param("7a0b 18ffffffffffffffffff01", m.InitQuoteExRequest(b_pub_key_id=True), id="any-nonzero-is-true"),
        pytest.param("7a0d 1800 20ffffffffffffffffff01",
                     m.InitQuoteExRequest(b_pub_key_id=False, buf_size=2**64 - 1), id="64-bit-size"),
        pytest.param("aa81 0002 4801", m.GetSupportedAttKeyIDNumRequest(timeout=1), id="long-tag"),
    ],
)  # fmt: skip
def test_odd_but_valid_bytes_are_read_as_protobuf_reads_them(body, request_):
    assert m.decode_request(bytes.fromhex(body)) == request_


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "empty message"),
        ("f80101", "no known request in the message"),
        ("a20100", "no known request in the message"),
        ("a80105", "no known request in the message"),
        ("aa", "message ends inside the integer at offset 0"),
        ("aa01", "message ends inside the integer at offset 2"),
        ("aa0103", "message ends inside field 21 at offset 0"),
        ("aa01034898", "message ends inside field 21 at offset 0"),
        ("aa01024898", "message ends inside the integer at offset 1"),
        ("aa0101 48", "message ends inside the integer at offset 1"),
        ("aa01ffffffff0f", "message ends inside field 21 at offset 0"),
        ("aa0100 05", "field number 0 at offset 3 is not possible"),
        ("00", "field number 0 at offset 0 is not possible"),
        ("0b", "field 1 at offset 0 has the unknown wire type 3"),
        ("0c", "field 1 at offset 0 has the unknown wire type 4"),
        ("0e", "field 1 at offset 0 has the unknown wire type 6"),
        ("0f", "field 1 at offset 0 has the unknown wire type 7"),
        ("ffffffffffffffffffff01", "integer at offset 0 has over 10 bytes"),
        ("9502000000", "message ends inside field 34 at offset 0"),
        ("aa0100 99020000", "message ends inside field 35 at offset 3"),
        ("aa0102 4801 0a", "message ends inside the integer at offset 6"),
        ("aa0100" * 17, "message has over 16 fields"),
        ("aa0122" + "4801" * 17, "message has over 16 fields"),
    ],
)
def test_bytes_that_are_no_request_are_refused_in_one_sentence(body, sentence):
    with pytest.raises(AESMProtocolError) as caught:
        m.decode_request(bytes.fromhex(body))
    assert str(caught.value) == sentence


def test_a_damaged_request_beside_a_good_one_spoils_the_message():
    with pytest.raises(AESMProtocolError):
        m.decode_request(bytes.fromhex("aa0102 4801 b20101 08".replace(" ", "")))


def test_two_pieces_that_are_whole_only_together_are_refused():
    """Protobuf parses each piece by itself: a field does not go on in the next occurrence of its message."""
    with pytest.raises(AESMProtocolError):
        m.decode_request(bytes.fromhex("8a0103 0a0461 8a0103 626364".replace(" ", "")))


@pytest.mark.parametrize("expected", m.RESPONSES, ids=lambda r: r.__name__)
def test_answer_of_another_type_is_refused_with_what_it_holds(expected):
    other = next(r for r in m.RESPONSES if r is not expected)
    with pytest.raises(AESMProtocolError) as caught:
        m.decode_response(other(error_code=0).envelope(), expected)
    assert str(caught.value) == f"the answer is no {expected.__name__}: it holds the fields [{other.NUMBER}]"


def test_field_20_of_old_servers_is_no_answer():
    with pytest.raises(AESMProtocolError, match="it holds the fields \\[\\]"):
        m.decode_response(bytes.fromhex("a20104 0801 1011".replace(" ", "")), m.GetQuoteExResponse)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_one_error(body):
    try:
        request = m.decode_request(body)
    except AESMProtocolError:
        return
    assert m.decode_request(request.envelope()) == request


@given(st.binary(max_size=200), st.sampled_from(m.RESPONSES))
def test_any_bytes_are_a_response_or_one_error(body, expected):
    try:
        response = m.decode_response(body, expected)
    except AESMProtocolError:
        return
    assert isinstance(response, expected)


@given(st.sampled_from(list(GOLDEN_REQUESTS)), st.data())
def test_a_damaged_request_is_a_request_or_one_error(name, data):
    body = bytearray(GOLDEN_REQUESTS[name][1])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(0, len(body))) :]
    try:
        request = m.decode_request(bytes(body))
    except AESMProtocolError:
        return
    assert isinstance(request, m.Message)


@pytest.mark.parametrize("value", [-1, 2**64, 2**200])
def test_integer_that_the_wire_cannot_carry_is_refused_by_its_value(value):
    with pytest.raises(ValueError, match=f"^{value} is no unsigned integer of 64 bits$"):
        m.InitQuoteExRequest(b_pub_key_id=True, buf_size=value).envelope()


@pytest.mark.parametrize("value", [0, 1, 2**32, 2**64 - 1])
def test_integer_at_the_ends_of_the_wire_s_range_comes_back(value):
    request = m.InitQuoteExRequest(b_pub_key_id=True, buf_size=value)
    assert m.decode_request(request.envelope()) == request


@given(st.integers(0, 70_000), st.sampled_from([None, b"", b"i" * 960]), st.sampled_from([0, 3, 300]))
def test_short_way_to_a_quote_s_answer_writes_what_the_schema_says(size, info, code):
    answer = m.GetQuoteExResponse(error_code=code, quote=b"q" * size, qe_report_info=info)
    assert answer.envelope() == m.Message.envelope(answer)
    assert m.decode_response(answer.envelope(), m.GetQuoteExResponse) == answer
