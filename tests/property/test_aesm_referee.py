"""The AESM codec against protobuf itself: whatever one writes the other reads, both ways, for every message."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from confcom.aesm import messages as m
from confcom.aesm.messages.envelope import _decode_any, _decode_usual_quote
from confcom.aesm.wire import encode_tag, encode_varint
from confcom.errors import AESMProtocolError

pytestmark = pytest.mark.usefixtures("aesm_referee")

VALUES = {
    m.Kind.UINT32: st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 127, 128, 15_000, 30_000_000]),
    m.Kind.UINT64: st.integers(0, 2**64 - 1) | st.sampled_from([0, 32, 2**32, 2**63]),
    m.Kind.BOOL: st.booleans(),
    m.Kind.BYTES: st.binary(max_size=300),
}


def encode_field(number, value):
    """One field with its tag, of whatever number."""
    if isinstance(value, int):
        return encode_tag(number, is_bytes=False) + encode_varint(value)
    return encode_tag(number, is_bytes=True) + encode_varint(len(value)) + value


def messages(types):
    """Values of any of the message types, required fields present or not."""

    def values(message_type):
        fields = {f.name: VALUES[f.kind] for f in message_type.FIELDS if f.name != "error_code"}
        optional = st.fixed_dictionaries({}, optional=fields)
        if any(f.name == "error_code" for f in message_type.FIELDS):
            code = st.fixed_dictionaries({"error_code": VALUES[m.Kind.UINT32]})
            optional = st.tuples(code, optional).map(lambda parts: parts[0] | parts[1])
        return optional.map(lambda chosen: message_type(**chosen))

    return st.sampled_from(types).flatmap(values)


REQUESTS = messages(m.REQUESTS)
RESPONSES = messages(m.RESPONSES)


@pytest.fixture(scope="module")
def request_names(aesm_referee):
    return {field.number: field.name for field in aesm_referee.Request.DESCRIPTOR.fields}


@pytest.fixture(scope="module")
def response_names(aesm_referee):
    return {field.number: field.name for field in aesm_referee.Response.DESCRIPTOR.fields}


def same(ours, theirs):
    """Both hold the same fields with the same values."""
    for field in ours.FIELDS:
        value = getattr(ours, field.name)
        assert (value is not None) == theirs.HasField(field.name), field.name
        if value is not None:
            assert value == getattr(theirs, field.name), field.name
            assert type(value) is type(getattr(theirs, field.name)), field.name


def test_schema_agrees_field_by_field(aesm_referee):
    """Numbers, types and what is required, in both directions."""
    kinds = {13: m.Kind.UINT32, 4: m.Kind.UINT64, 8: m.Kind.BOOL, 12: m.Kind.BYTES}
    for envelope, types in ((aesm_referee.Request, m.REQUESTS), (aesm_referee.Response, m.RESPONSES)):
        theirs = {field.number: field.message_type for field in envelope.DESCRIPTOR.fields}
        assert set(theirs) == {t.NUMBER for t in types}
        for ours in types:
            expected = [(f.number, f.name, kinds[f.type], f.is_required) for f in theirs[ours.NUMBER].fields]
            assert [(f.number, f.name, f.kind, f.required) for f in ours.FIELDS] == sorted(expected)


def test_protobuf_reads_our_requests(aesm_referee, request_names):
    @given(REQUESTS)
    def check(message):
        envelope = aesm_referee.Request()
        envelope.MergeFromString(message.envelope())
        assert [field.number for field, _ in envelope.ListFields()] == [message.NUMBER]
        same(message, getattr(envelope, request_names[message.NUMBER]))
        assert envelope.SerializePartialToString() == message.envelope()

    check()


def test_protobuf_reads_our_responses(aesm_referee, response_names):
    @given(RESPONSES)
    def check(message):
        envelope = aesm_referee.Response()
        envelope.MergeFromString(message.envelope())
        same(message, getattr(envelope, response_names[message.NUMBER]))
        assert envelope.IsInitialized()
        assert m.decode_response(envelope.SerializeToString(), type(message)) == message

    check()


def test_we_read_what_protobuf_writes_with_unknown_fields_repeats_and_merges(aesm_referee, request_names):
    """Several sub-messages in any order, each in several pieces, with fields between them that nobody knows."""
    unknown = st.builds(
        encode_field, st.integers(23, 4000), st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=20))
    )
    fixed = st.builds(
        lambda number, wide: encode_varint(number << 3 | (1 if wide else 5)) + bytes(8 if wide else 4),
        st.integers(23, 4000),
        st.booleans(),
    )
    pieces = st.lists(REQUESTS.map(lambda r: r.envelope()) | unknown | fixed, min_size=1, max_size=6)

    @given(pieces, REQUESTS)
    def check(parts, last):
        body = b"".join(parts) + last.envelope()
        envelope = aesm_referee.Request()
        envelope.MergeFromString(body)
        present = {field.number for field, _ in envelope.ListFields()}
        ours = m.decode_request(body)
        assert next(r.NUMBER for r in m.REQUESTS if r.NUMBER in present) == ours.NUMBER
        same(ours, getattr(envelope, request_names[ours.NUMBER]))

    check()


def test_unknown_fields_inside_a_message_are_skipped_as_protobuf_skips_them(aesm_referee, request_names):
    inside = st.builds(encode_field, st.integers(1, 40), st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=20)))

    @given(st.sampled_from(m.REQUESTS), st.lists(inside, max_size=6))
    def check(request_type, fields):
        body = encode_field(request_type.NUMBER, b"".join(fields))
        envelope = aesm_referee.Request()
        envelope.MergeFromString(body)
        same(m.decode_request(body), getattr(envelope, request_names[request_type.NUMBER]))

    check()


def test_on_hostile_bytes_we_and_protobuf_agree_who_is_a_message(aesm_referee):
    """But for groups, which protobuf skips where they are closed and we refuse, and for too many fields: no client of AESM has ever sent either."""

    @given(st.data())
    def check(data):
        body = bytearray(data.draw(REQUESTS).envelope() + data.draw(REQUESTS).envelope())
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        envelope = aesm_referee.Request()
        try:
            envelope.MergeFromString(bytes(body))
            theirs = bool({field.number for field, _ in envelope.ListFields()})
        except DecodeError:
            theirs = False
        try:
            m.decode_request(bytes(body))
            ours = True
        except AESMProtocolError as error:
            if "wire type 3" in str(error) or "wire type 4" in str(error) or "over 16 fields" in str(error):
                return
            ours = False
        assert ours == theirs

    check()


USUAL = st.builds(
    m.GetQuoteExRequest,
    report=st.binary(min_size=432, max_size=432),
    att_key_id=st.binary(min_size=256, max_size=256),
    qe_report_info=st.none() | st.binary(min_size=960, max_size=960),
    buf_size=st.sampled_from([0, 127, 128, 4600, 8192, 2**21, 2**28 - 1, 2**28, 2**32 - 1]),
    timeout=st.sampled_from([None, 0, 15_000, 30_000_000, 2**32 - 1]),
)


def outcome(decode, body):
    try:
        return decode(body)
    except AESMProtocolError as error:
        return str(error)


@given(USUAL, st.data())
def test_the_usual_shape_is_read_like_any_other(request_, data):
    """The short way for quotes, on requests as clients write them and on what differs from them in a byte or two."""
    body = bytearray(request_.envelope())
    assert m.decode_request(bytes(body)) == request_
    # The bytes that are not content: tags and lengths at the start, at the seams and at the end.
    seams = [*range(8), *range(436, 446), *range(696, min(706, len(body))), *range(len(body) - 12, len(body))]
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.sampled_from(seams))] = data.draw(st.integers(0, 255))
    changed = bytes(body) + data.draw(st.sampled_from([b"", b"\x00", b"\x50\x01", request_.envelope()]))
    assert outcome(m.decode_request, changed) == outcome(_decode_any, changed)


@pytest.mark.parametrize("info", [None, bytes(960)], ids=["without-info", "with-info"])
def test_the_short_way_is_taken_for_what_clients_send(info):
    body = m.GetQuoteExRequest(
        report=bytes(432), att_key_id=bytes(256), qe_report_info=info, buf_size=8192, timeout=15_000
    ).envelope()
    assert _decode_usual_quote(body) == _decode_any(body)
