"""Finding the quote in what people have at hand, and saying what is there instead."""

import base64
import json

import pytest

from confcom.errors import InputError
from confcom.quote import find_quote
from confcom.quote.encodings import looks_like_quote


@pytest.fixture(scope="module")
def quote(machine):
    return machine.quote(report_data=b"\xff\xfe\xfb" * 21 + b"\xff")


FORMS = {
    "bytes": (lambda q: q, ()),
    "bytes with trailing zeros": (lambda q: q + bytes(100), ()),
    "hex": (lambda q: q.hex().encode(), ("hex",)),
    "upper-case hex with 0x and a line end": (lambda q: b"0x" + q.hex().upper().encode() + b"\n", ("hex",)),
    "hex in lines": (lambda q: q.hex(" ", 32).replace(" ", "\r\n").encode(), ("hex",)),
    "base64": (base64.b64encode, ("base64",)),
    "base64 in lines": (base64.encodebytes, ("base64",)),
    "base64 without padding": (lambda q: base64.b64encode(q).rstrip(b"="), ("base64",)),
    "base64url": (base64.urlsafe_b64encode, ("base64url",)),
    "base64url without padding": (lambda q: base64.urlsafe_b64encode(q).rstrip(b"="), ("base64url",)),
    "base64 of hex": (lambda q: base64.b64encode(q.hex().encode()), ("base64", "hex")),
    "JSON QuoteHex": (
        lambda q: json.dumps({"Type": 1, "QuoteHex": q.hex(), "EnclaveHeldDataHex": "00"}).encode(),
        ("the JSON member QuoteHex", "hex"),
    ),
    "JSON quote": (
        lambda q: json.dumps({"quote": base64.urlsafe_b64encode(q).decode().rstrip("=")}).encode(),
        ("the JSON member quote", "base64url"),
    ),
    "JSON, deep": (
        lambda q: json.dumps({"evidence": [{"x": 1}, {"Raw_Quote": q.hex()}]}).encode(),
        ("the JSON member evidence[1].Raw_Quote", "hex"),
    ),
    "JSON string": (lambda q: json.dumps(q.hex()).encode(), ("a JSON string", "hex")),
    "JSON with a byte order mark": (
        lambda q: b"\xef\xbb\xbf" + json.dumps({"quote": q.hex()}).encode(),
        ("the JSON member quote", "hex"),
    ),
    "JSON whose first candidate is none": (
        lambda q: json.dumps({"quote": "later", "sgx_quote": q.hex()}).encode(),
        ("the JSON member sgx_quote", "hex"),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_quote_is_unwrapped_and_its_layers_are_named(quote, form):
    wrap, layers = FORMS[form]
    found = find_quote(wrap(quote))
    assert found.data.rstrip(b"\0") == quote.rstrip(b"\0")
    assert found.unwrapped == layers


NOTHING = {
    "empty": (b"", "no quote found: the input is empty"),
    "white space": (b" \n\t", "no quote found: the input is empty"),
    "text": (b"hello", "no quote found in 5 bytes: they are neither a quote nor hex, base64 or JSON of one"),
    "zeros": (bytes(5000), "no quote found in 5000 bytes: they are neither a quote nor hex, base64 or JSON of one"),
    "hex of nothing": (b"00" * 5000, "no quote found in 10000 bytes: they are neither"),
    "odd hex": (b"abc" * 999, "no quote found in 2997 bytes: they are neither"),
    "JSON": (b'{"a": 1}', "no quote found: the JSON has no member 'quote' or 'QuoteHex' that holds one"),
    "JSON with junk": (b'{"quote": "abc"}', "no quote found: the JSON has no member 'quote' or 'QuoteHex' that"),
    "JSON list": (b"[]", "no quote found: the JSON has no member"),
    "JSON, damaged": (b'{"quote": ', "no quote found: the JSON has no member"),
    "JSON without end": (b"[" * 100_000, "no quote found: the JSON has no member"),
    "number in the member": (b'{"quote": 5, "QuoteHex": null}', "no quote found: the JSON has no member"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_where_there_is_no_quote_the_sentence_says_what_there_is(case):
    data, sentence = NOTHING[case]
    with pytest.raises(InputError) as caught:
        find_quote(data)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("size", [48, 432, 436, 1019])
@pytest.mark.parametrize("wrap", [bytes, lambda q: q.hex().encode(), base64.b64encode])
def test_a_quote_that_is_too_short_is_told_so(quote, size, wrap):
    with pytest.raises(InputError) as caught:
        find_quote(wrap(quote[:size]))
    assert str(caught.value) == (
        f"no quote found: the input begins like one and ends after {size} bytes; the least is 1020"
    )


@pytest.mark.parametrize("size", [1020, 1021, 1046, 1052, 3000])
def test_a_truncated_quote_is_still_one(quote, size):
    assert find_quote(quote[:size]).data == quote[:size]


def test_any_one_damaged_byte_leaves_a_quote_recognisable(quote):
    for offset in range(48):
        for mask in (0x01, 0x06, 0x07, 0x80, 0x81, 0xFF):
            data = bytearray(quote)
            data[offset] ^= mask
            assert find_quote(bytes(data)).data == data, f"byte {offset} ^ {mask:#x}"


@pytest.mark.parametrize("marks", [("version", "key type"), ("tee type", "vendor")])
def test_two_damaged_marks_make_it_something_else(quote, marks):
    data = bytearray(quote)
    for mark in marks:
        data[{"version": 0, "key type": 2, "tee type": 4, "vendor": 12}[mark]] ^= 0x40
    assert not looks_like_quote(bytes(data))
    with pytest.raises(InputError, match="no quote found in"):
        find_quote(bytes(data))


OTHERS = {
    "SGX v4": (b"\4\0\2\0\0\0\0\0", "this is a SGX quote, version 4; SGX quotes of version 3 are verified here"),
    "TDX v4": (b"\4\0\2\0\x81\0\0\0", "this is a TDX quote, version 4; SGX quotes of version 3 are verified here"),
    "TDX v4, P-384": (b"\4\0\3\0\x81\0\0\0", "this is a TDX quote, version 4; SGX quotes of version 3"),
    "SGX v5": (b"\5\0\2\0\0\0\0\0", "this is a SGX quote, version 5, body SGX; SGX quotes of version 3"),
}


@pytest.mark.parametrize("case", OTHERS)
@pytest.mark.parametrize("wrap", [bytes, lambda q: q.hex().encode(), base64.b64encode])
def test_other_kinds_of_quotes_are_named(case, wrap):
    start, sentence = OTHERS[case]
    vendor = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
    data = start + bytes(4) + vendor + bytes(20) + b"\1\0" + b"\xa5" * 5000
    with pytest.raises(InputError) as caught:
        find_quote(wrap(data))
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("name", ["tdx-50806f000000-12b401a8-tcb3-eval15-20230618"])
def test_a_real_tdx_quote_of_version_4_is_named(real_set, name):
    with pytest.raises(InputError, match="this is a TDX quote, version 4"):
        find_quote(real_set(name).quote)


def test_a_real_tdx_quote_of_version_5_is_named_with_its_body(real_set):
    with pytest.raises(InputError, match="this is a TDX quote, version 5, body TD 1"):
        find_quote(real_set("tdx-90c06f000000-d0010db6-tcb3-eval17-20250619").quote)


def test_a_strangers_member_name_is_fit_to_be_printed(quote):
    document = {"\x1b[2J" + "x" * 500: {"quote": quote.hex()}}
    (layer, _hex) = find_quote(json.dumps(document).encode()).unwrapped
    assert "\x1b" not in layer
    assert len(layer) < 130
