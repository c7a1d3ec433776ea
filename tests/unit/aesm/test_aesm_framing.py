"""Frames: fed whole, byte by byte and in any pieces; the cap; what comes behind the frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.aesm.framing import MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, FrameDecoder, encode_frame
from confcom.errors import AESMProtocolError

NUM = bytes.fromhex("aa0103489875")


def test_frame_is_length_then_body():
    assert encode_frame(NUM) == bytes.fromhex("06000000") + NUM
    assert encode_frame(b"") == bytes(4)
    assert encode_frame(bytes(0x1234))[:4] == bytes.fromhex("34120000")


def test_frame_fed_whole():
    assert FrameDecoder().receive(encode_frame(NUM)) == NUM


def test_frame_fed_byte_by_byte_is_whole_with_its_last_byte():
    decoder = FrameDecoder()
    frame = encode_frame(NUM)
    assert [decoder.receive(frame[at : at + 1]) for at in range(len(frame))] == [None] * (len(frame) - 1) + [NUM]


def test_header_alone_then_body_as_intels_two_writes():
    decoder = FrameDecoder()
    assert decoder.receive(encode_frame(NUM)[:4]) is None
    assert decoder.receive(NUM) == NUM


@given(st.binary(max_size=2000), st.lists(st.integers(1, 700), max_size=12), st.binary(max_size=20))
def test_frame_in_any_pieces_gives_its_body_and_ignores_what_follows(body, cuts, behind):
    data = encode_frame(body) + behind
    decoder = FrameDecoder()
    found, offset = None, 0
    for size in [*cuts, len(data)]:
        piece, offset = data[offset : offset + size], offset + size
        if piece and (found := decoder.receive(piece)) is not None:
            break
    assert found == body


@pytest.mark.parametrize("limit", [MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, 16])
def test_frame_of_the_limit_is_taken_and_one_byte_more_is_refused_by_its_header(limit):
    assert FrameDecoder(limit).receive(encode_frame(bytes(limit))) == bytes(limit)
    with pytest.raises(AESMProtocolError) as caught:
        FrameDecoder(limit).receive((limit + 1).to_bytes(4, "little"))
    assert str(caught.value) == f"frame claims {limit + 1} bytes, the limit is {limit}"


@pytest.mark.parametrize("header", ["00000040", "ffffffff"])
def test_header_of_a_gigabyte_is_refused_before_anything_is_kept(header):
    with pytest.raises(AESMProtocolError, match=f"the limit is {MAX_REQUEST_BYTES}"):
        FrameDecoder().receive(bytes.fromhex(header))


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", "0 of 4 header bytes"),
        (b"\x06", "1 of 4 header bytes"),
        (b"\x06\0\0", "3 of 4 header bytes"),
        (b"\x06\0\0\0", "0 of 6 bytes"),
        (b"\x06\0\0\0\xaa\x01", "2 of 6 bytes"),
    ],
)
def test_what_is_missing_is_said_in_words(data, missing):
    decoder = FrameDecoder()
    if data:
        decoder.receive(data)
    assert decoder.missing == missing
