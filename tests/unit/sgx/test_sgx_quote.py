"""Quote version 3: exact inverse, truncation at every field, lengths that contradict each other, and other versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.errors import SGXFormatError
from confcom.sgx import Quote, QuoteHeader, ReportBody, quote_kind

AUTH = bytes(range(32))
CERTIFICATES = b"-----BEGIN CERTIFICATE-----" * 20

# (field, offset, size) of a quote with 32 bytes of auth data: sgx_quote_3.h.
PARTS = [
    ("signature_data_len", 432, 4), ("sig", 436, 64), ("attest_pub_key", 500, 64), ("qe_report", 564, 384),
    ("qe_report_sig", 948, 64), ("auth_data size", 1012, 2), ("auth_data", 1014, 32),
    ("certification_data type", 1046, 2), ("certification_data size", 1048, 4),
    ("certification_data", 1052, len(CERTIFICATES)),
]  # fmt: skip


def a_quote(**changes):
    values = {
        "header": QuoteHeader(qe_svn=8, pce_svn=13, user_data=bytes(range(20))),
        "report": ReportBody(report_data=bytes(range(64))),
        "sig": b"s" * 64,
        "attest_pub_key": b"k" * 64,
        "qe_report": ReportBody(isv_prod_id=1),
        "qe_report_sig": b"q" * 64,
        "auth_data": AUTH,
        "certification_data_type": 5,
        "certification_data": CERTIFICATES,
    }
    return Quote(**{**values, **changes})


DATA = a_quote().to_bytes()


def with_integer(offset, size, value, data=DATA):
    return data[:offset] + value.to_bytes(size, "little") + data[offset + size :]


def refused(data):
    with pytest.raises(SGXFormatError) as caught:
        Quote.from_bytes(data)
    return caught.value


def test_quote_is_read_and_written_back():
    assert Quote.from_bytes(DATA) == a_quote()
    assert Quote.from_bytes(DATA).to_bytes() == DATA


@pytest.mark.parametrize(("field", "offset", "size"), PARTS)
def test_part_lies_where_the_header_has_it(field, offset, size):
    quote = Quote.from_bytes(DATA)
    expected = {
        "signature_data_len": (len(DATA) - 436).to_bytes(4, "little"), "auth_data size": b"\x20\x00",
        "certification_data type": b"\x05\x00", "certification_data size": len(CERTIFICATES).to_bytes(4, "little"),
        "qe_report": quote.qe_report.to_bytes(),
    }  # fmt: skip
    value = expected[field] if field in expected else getattr(quote, field)
    assert DATA[offset : offset + size] == value


def test_signature_covers_header_and_report_body():
    assert Quote.from_bytes(DATA).signed_bytes() == DATA[:432]


@pytest.mark.parametrize("trailing", [b"\0", bytes(3328), b"rest"])
def test_what_follows_the_declared_end_is_kept_apart(trailing):
    quote = Quote.from_bytes(DATA + trailing)
    assert quote.trailing == trailing
    assert quote.certification_data == CERTIFICATES
    assert quote.to_bytes() == DATA + trailing


HEADER_AND_BODY = [
    *(("quote header", f.name, at, f.size, 0) for f, at in QuoteHeader.offsets()),
    *(("REPORT body", f.name, at, f.size, 48) for f, at in ReportBody.offsets()),
]


@pytest.mark.parametrize("cut", [0, 1, 47])
def test_input_that_ends_in_the_header_names_the_header_s_field(cut):
    error = refused(DATA[:cut])
    name, offset = next((f.name, at) for f, at in QuoteHeader.offsets() if at <= cut < at + f.size)
    assert (error.structure, error.field, error.offset) == ("quote header", name, offset)


@pytest.mark.parametrize("cut", [48, 49, 431])
def test_input_that_ends_in_the_report_says_so(cut):
    error = refused(DATA[:cut])
    assert (error.structure, error.field, error.offset) == ("quote", "report", 48)
    assert error.problem == f"needs 384 bytes, the input has {cut - 48} left"


@pytest.mark.parametrize("cut", [432, 435])
def test_input_that_ends_in_the_length_says_so(cut):
    error = refused(DATA[:cut])
    assert (error.field, error.offset) == ("signature_data_len", 432)


@pytest.mark.parametrize("cut", [436, 499, 948, 1051, len(DATA) - 1])
def test_input_shorter_than_its_declared_length_is_refused_at_the_length(cut):
    error = refused(DATA[:cut])
    assert (error.field, error.offset) == ("signature_data_len", 432)
    assert error.problem == f"declares {len(DATA) - 436} bytes, the input has {cut - 436} left"


@pytest.mark.parametrize(
    ("field", "offset", "declared"),
    [(field, offset, offset + size - 1 - 436) for field, offset, size in PARTS[1:]],
    ids=[row[0] for row in PARTS[1:]],
)
def test_declared_length_that_ends_inside_a_part_names_the_part(field, offset, declared):
    error = refused(with_integer(432, 4, declared))
    assert (error.structure, error.field, error.offset) == ("quote", field, offset)


@pytest.mark.parametrize(
    ("data", "field", "offset", "problem"),
    [
        pytest.param(
            with_integer(432, 4, len(DATA) - 436 + 8, DATA + bytes(8)), "signature_data_len", 432,
            f"declares {len(DATA) - 428} bytes, its parts take {len(DATA) - 436}", id="length-over-the-parts"),
        pytest.param(
            with_integer(1012, 2, 0xFFFF), "auth_data", 1014,
            f"needs 65535 bytes, the input has {len(DATA) - 1014} left", id="auth-data-beyond-the-end"),
        pytest.param(
            with_integer(1048, 4, 0xFFFFFFFF), "certification_data", 1052,
            f"needs 4294967295 bytes, the input has {len(DATA) - 1052} left", id="certificates-beyond-the-end"),
        pytest.param(
            with_integer(432, 4, 0xFFFFFFFF), "signature_data_len", 432,
            f"declares 4294967295 bytes, the input has {len(DATA) - 436} left", id="length-beyond-the-end"),
        pytest.param(
            with_integer(0, 2, 4), "version", 0,
            "this is a SGX quote, version 4; SGX quotes of version 3 are read here", id="version-4"),
        pytest.param(
            with_integer(4, 4, 0x81, with_integer(0, 2, 4)), "version", 0,
            "this is a TDX quote, version 4; SGX quotes of version 3 are read here", id="tdx-version-4"),
        pytest.param(
            with_integer(0, 2, 2), "version", 0,
            "this is a version 2; SGX quotes of version 3 are read here", id="epid-version-2"),
    ],
)  # fmt: skip
def test_quote_that_contradicts_itself_is_refused(data, field, offset, problem):
    error = refused(data)
    assert (error.structure, error.field, error.offset, error.problem) == ("quote", field, offset, problem)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_quote_or_one_error(data):
    try:
        quote = Quote.from_bytes(data)
    except SGXFormatError:
        return
    assert quote.to_bytes() == data


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_changed_byte_gives_a_quote_of_the_same_bytes_or_one_error(position, change):
    data = bytearray(DATA)
    data[position] ^= change
    try:
        quote = Quote.from_bytes(bytes(data))
    except SGXFormatError:
        return
    assert quote.to_bytes() == bytes(data)


@given(st.binary(max_size=700), st.binary(max_size=3000), st.integers(0, 7), st.binary(max_size=64))
def test_lengths_of_any_size_are_read_back(auth_data, certificates, kind, trailing):
    quote = a_quote(
        auth_data=auth_data, certification_data=certificates, certification_data_type=kind, trailing=trailing
    )
    assert Quote.from_bytes(quote.to_bytes()) == quote


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sig": bytes(63)}, "quote: field 'sig' at offset 436: needs 64 bytes, not 63"),
        ({"attest_pub_key": bytes(65)}, "quote: field 'attest_pub_key' at offset 500: needs 64 bytes, not 65"),
        ({"qe_report_sig": b""}, "quote: field 'qe_report_sig' at offset 948: needs 64 bytes, not 0"),
        (
            {"auth_data": bytes(65536)},
            "quote: field 'auth_data size' at offset 1012: 65536 does not fit in 2 unsigned bytes",
        ),
        (
            {"certification_data_type": 65536},
            "quote: field 'certification_data type' at offset 1046: 65536 does not fit in 2 unsigned bytes",
        ),
    ],
)
def test_values_without_an_encoding_are_refused(changes, sentence):
    with pytest.raises(SGXFormatError) as caught:
        a_quote(**changes)
    assert str(caught.value) == sentence


def header(version, tee_type=0, key_type=2, behind=b"\0\0"):
    return QuoteHeader(version=version, tee_type=tee_type, att_key_type=key_type).to_bytes() + behind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (header(3), "SGX quote, version 3"),
        (header(4), "SGX quote, version 4"),
        (header(4, 0x81), "TDX quote, version 4"),
        (header(5, 0, behind=b"\x01\x00"), "SGX quote, version 5, body SGX"),
        (header(5, 0x81, behind=b"\x02\x00"), "TDX quote, version 5, body TD 1.0"),
        (header(5, 0x81, behind=b"\x03\x00"), "TDX quote, version 5, body TD 1.5"),
        (header(5, 0x81, behind=b"\x09\x00"), "TDX quote, version 5, body of unknown type 9"),
        (header(3, key_type=3), "SGX quote, version 3"),
        (header(2), None),
        (header(6), None),
        (header(3, 0x1), None),
        (header(4, 0x82), None),
        (header(3, key_type=1), None),
        (header(3)[:47], None),
        (header(5, behind=b""), "SGX quote, version 5, cut off"),
        (header(5, 0x81, behind=b"\2"), "TDX quote, version 5, cut off"),
        (b"", None),
        (b"not a quote at all, but some text of a file that was named by mistake", None),
    ],
)
def test_quote_says_what_it_calls_itself(data, kind):
    assert quote_kind(data) == kind


@given(st.binary(max_size=64))
def test_kind_of_any_bytes_is_a_name_or_nothing(data):
    kind = quote_kind(data)
    assert kind is None or kind.startswith(("SGX quote, version ", "TDX quote, version "))


def test_genuine_quotes_are_read_and_written_back(real_quotes):
    sgx = [path for path in real_quotes if path.name.startswith("sgx-")]
    assert sgx
    for path in sgx:
        data = (path / "quote.bin").read_bytes()
        quote = Quote.from_bytes(data)
        assert quote.to_bytes() == data, path.name
        assert (quote.header.version, quote.header.tee_type) == (3, 0), path.name
        assert quote_kind(data) == "SGX quote, version 3", path.name


def test_genuine_tdx_quotes_are_named_and_not_read(real_quotes):
    tdx = [path for path in real_quotes if path.name.startswith("tdx-")]
    assert tdx
    for path in tdx:
        data = (path / "quote.bin").read_bytes()
        kind = quote_kind(data)
        assert kind is not None, path.name
        assert kind.startswith("TDX quote, version "), path.name
        assert kind in str(refused(data)), path.name
