"""DER as ITU-T X.690 wants it, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.quote import der as reader
from confcom.simulation import der

ENCODINGS = {
    "TRUE is FF": (der.boolean(True), "0101ff"),
    "FALSE": (der.boolean(False), "010100"),
    "zero": (der.integer(0), "020100"),
    "127 takes one byte": (der.integer(127), "02017f"),
    "128 takes a zero first": (der.integer(128), "02020080"),
    "255 takes a zero first": (der.integer(255), "020200ff"),
    "256": (der.integer(256), "02020100"),
    "65535": (der.integer(65535), "020300ffff"),
    "ENUMERATED": (der.enumerated(1), "0a0101"),
    "octets": (der.octet_string(b"\1\2"), "04020102"),
    "no octets": (der.octet_string(b""), "0400"),
    "SGX extension OID": (der.object_identifier("1.2.840.113741.1.13.1"), "06092a864886f84d010d01"),
    "empty sequence": (der.sequence(), "3000"),
    "sequence": (der.sequence(der.integer(1), der.boolean(False)), "3006020101010100"),
    "127 bytes, short length": (der.octet_string(bytes(127))[:2], "047f"),
    "128 bytes, long length": (der.octet_string(bytes(128))[:3], "048180"),
    "256 bytes, two digits": (der.octet_string(bytes(256))[:4], "04820100"),
}


@pytest.mark.parametrize(("encoded", "expected"), ENCODINGS.values(), ids=ENCODINGS)
def test_encoding(encoded, expected):
    assert encoded.hex() == expected


@given(st.integers(0, (1 << 63) - 1))
def test_integers_read_back(number):
    assert reader.unsigned(reader.read_only(der.integer(number), reader.INTEGER)) == number


@given(st.binary(max_size=700))
def test_octets_read_back(content):
    assert reader.read_only(der.octet_string(content), reader.OCTET_STRING) == content
