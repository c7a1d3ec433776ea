"""The messages between front and worker: any split of the stream gives the same messages, and nonsense is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.quoting.hop import (
    HEADER,
    MAX_PAYLOAD_BYTES,
    Message,
    MessageDecoder,
    Operation,
    pack_quote,
    split_quote,
    unpack_quote,
)

MESSAGES = st.builds(
    Message,
    operation=st.sampled_from(Operation).map(int),
    job=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=600),
    code=st.integers(0, 2**16 - 1),
    cost=st.integers(0, 2**32 - 1),
)


@given(st.lists(MESSAGES, max_size=6), st.lists(st.integers(1, 900), max_size=10))
def test_messages_come_out_of_a_stream_however_it_is_cut(messages, cuts):
    data = b"".join(message.encode() for message in messages)
    decoder, found, at = MessageDecoder(), [], 0
    for size in [*cuts, len(data)]:
        found += decoder.receive(data[at : at + size])
        at += size
    assert found == messages


MESSAGE = Message(Operation.QUOTE, 1, b"payload")


@pytest.mark.parametrize("cut", range(len(MESSAGE.encode())))
def test_partial_message_is_kept_until_its_rest_comes(cut):
    data = MESSAGE.encode()
    decoder = MessageDecoder()
    assert decoder.receive(data[:cut]) == []
    assert decoder.receive(data[cut:] + data[:cut]) == [MESSAGE]
    assert decoder.receive(data[cut:]) == [MESSAGE]


@pytest.mark.parametrize("before", [b"", MESSAGE.encode()])
def test_claim_beyond_the_bound_is_refused(before):
    claim = HEADER.pack(MAX_PAYLOAD_BYTES + 1, 1, 2, 0, 0)
    with pytest.raises(ValueError, match="a worker message claims 262145 bytes, the limit is 262144"):
        MessageDecoder().receive(before + claim)


@pytest.mark.parametrize("info", [None, b"i" * 960])
def test_quote_request_is_packed_and_unpacked(info):
    report, key_id = b"r" * 432, b"k" * 256
    assert unpack_quote(pack_quote(report, key_id + b"behind", info)) == (report, key_id, info)


@pytest.mark.parametrize("info", [None, b"i" * 960])
def test_quote_answer_is_split(info):
    assert split_quote(b"quote" + (info or b""), with_info=info is not None) == (b"quote", info)
