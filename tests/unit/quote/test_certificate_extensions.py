"""Extensions and envelopes of X.509, read strictly: what `cryptography` lets pass, or answers with a warning only."""

import warnings

import pytest

from confcom.quote import der as reader
from confcom.quote.certificates import Certificate, CertificateError
from confcom.quote.envelope import Envelope, common_name
from confcom.quote.extensions import Extensions, KeyUse
from confcom.simulation import der

ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def extension(oid, value, *critical):
    return der.sequence(der.object_identifier(oid), *map(der.boolean, critical), der.octet_string(value))


def read(*extensions):
    return Extensions.from_der(der.sequence(*extensions))


def key_usage(bits, unused=0):
    return extension("2.5.29.15", b"\x03" + bytes((len(bits) + 1, unused)) + bits)


CA = {
    "CA without limit": (der.sequence(der.boolean(True)), True, None),
    "CA, path length 0": (der.sequence(der.boolean(True), der.integer(0)), True, 0),
    "CA, path length 300": (der.sequence(der.boolean(True), der.integer(300)), True, 300),
    "no CA": (der.sequence(), False, None),
    "no CA, said so": (der.sequence(der.boolean(False)), False, None),
}


@pytest.mark.parametrize("case", CA)
def test_basic_constraints(case):
    value, is_ca, path_length = CA[case]
    found = read(extension("2.5.29.19", value, True))
    assert (found.is_ca, found.path_length) == (is_ca, path_length)
    assert found.unknown_critical == ()


@pytest.mark.parametrize(
    ("bits", "uses"),
    [
        (b"\xc0", {KeyUse.SIGN}),
        (b"\x06", {KeyUse.CERTIFY, KeyUse.REVOKE}),
        (b"\x04", {KeyUse.CERTIFY}),
        (b"\x02", {KeyUse.REVOKE}),
        (b"\x78", set()),
        (b"\xff\x80", set(KeyUse)),
    ],
)
def test_key_usage(bits, uses):
    assert read(key_usage(bits)).key_uses == uses


def test_without_key_usage_a_key_may_do_anything():
    assert read().key_uses == set(KeyUse)
    assert Extensions.from_der(b"").key_uses == set(KeyUse)


def test_critical_extensions_that_nothing_acts_on_are_named():
    found = read(
        extension("2.5.29.15", b"\x03\x02\x00\x80", True),
        extension("2.5.29.28", b"\x30\x00", True),
        extension("1.2.840.113741.1.13.1", b"sgx", True),
        extension("2.5.29.31", b"\x30\x00", False),
        extension("2.999.3", b"", True),
    )
    assert found.unknown_critical == ("2.5.29.28", "2.999.3")
    assert found.sgx == b"sgx"


def test_what_conforming_crls_have():
    assert not read().has_crl_number
    assert not read().has_authority_key_id
    found = read(extension("2.5.29.20", b"\x02\x01\x01"), extension("2.5.29.35", b"\x30\x00"))
    assert found.has_crl_number
    assert found.has_authority_key_id


MALFORMED = {
    "not a SEQUENCE": b"\x31\x00",
    "bytes behind": der.sequence() + b"\0",
    "an extension that is none": der.sequence(der.integer(1)),
    "no value": der.sequence(der.sequence(der.object_identifier("2.5.29.15"))),
    "value before criticality": der.sequence(
        der.sequence(der.object_identifier("2.5.29.15"), der.octet_string(b""), der.boolean(True))
    ),
    "criticality that is neither": der.sequence(
        der.sequence(der.object_identifier("2.5.29.15"), b"\x01\x01\x01", der.octet_string(b""))
    ),
    "twice": der.sequence(extension("2.5.29.31", b""), extension("2.5.29.31", b"")),
    "key usage without bits": der.sequence(extension("2.5.29.15", b"\x03\x01\x00")),
    "key usage of three bytes": der.sequence(key_usage(b"\x01\x02\x03")),
    "key usage that is an INTEGER": der.sequence(extension("2.5.29.15", der.integer(4))),
    "path length without CA flag": der.sequence(extension("2.5.29.19", der.sequence(der.integer(1)))),
    "negative path length": der.sequence(
        extension("2.5.29.19", der.sequence(der.boolean(True), b"\x02\x01\xff")),
    ),
    "CA flag twice": der.sequence(extension("2.5.29.19", der.sequence(der.boolean(True), der.boolean(True)))),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_extensions_are_refused(case):
    with pytest.raises(reader.DERError):
        Extensions.from_der(MALFORMED[case])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\x2a", "1.2"),
        (b"\x55\x1d\x0f", "2.5.29.15"),
        (bytes.fromhex("2a864886f84d010d01"), "1.2.840.113741.1.13.1"),
        (b"\x88\x37\x03", "2.999.3"),
        (b"", "0.0"),
    ],
)
def test_oids_are_written_as_people_do(content, text):
    assert reader.dotted(content) == text


def envelope(*others, signed=b"\x30\x00"):
    return der.sequence(signed, *others)


def test_an_envelope_keeps_the_received_bytes():
    signed = der.sequence(der.integer(5), der.sequence(der.integer(6)))
    found = Envelope.from_der(envelope(ECDSA_SHA256, b"\x03\x03\x00ab", signed=signed))
    assert found.signed == signed
    assert found.signature == b"ab"
    assert found.parts == [(reader.INTEGER, b"\x05"), (reader.SEQUENCE, b"\x02\x01\x06")]
    assert found.sequences() == [b"\x02\x01\x06"]


ENVELOPES = {
    "nothing": b"",
    "no SEQUENCE": b"\x31\x00",
    "empty": der.sequence(),
    "no signature": envelope(ECDSA_SHA256),
    "a fourth element": envelope(ECDSA_SHA256, b"\x03\x01\x00", der.integer(1)),
    "signature as OCTET STRING": envelope(ECDSA_SHA256, der.octet_string(b"\0ab")),
    "unused bits in the signature": envelope(ECDSA_SHA256, b"\x03\x03\x01ab"),
    "empty signature": envelope(ECDSA_SHA256, b"\x03\x00"),
    "another algorithm": envelope(bytes.fromhex("300a06082a8648ce3d040303"), b"\x03\x01\x00"),
    "parameters": envelope(bytes.fromhex("300c06082a8648ce3d0403020500"), b"\x03\x01\x00"),
    "signed part that is no SEQUENCE": envelope(ECDSA_SHA256, b"\x03\x01\x00", signed=b"\x31\x00"),
}


@pytest.mark.parametrize("case", ENVELOPES)
def test_malformed_envelopes_are_refused(case):
    with pytest.raises(reader.DERError):
        Envelope.from_der(ENVELOPES[case])


@pytest.mark.parametrize("signed", [b"\x30\x00", der.sequence(b"\xa0\x03\x02\x01\x02"), der.sequence(der.sequence())])
def test_a_certificate_without_its_parts_is_refused(signed):
    with pytest.raises(CertificateError, match=r"is not a well-formed X\.509 certificate"):
        Certificate.from_der(envelope(ECDSA_SHA256, b"\x03\x01\x00", signed=signed))


def name(*attributes):
    return b"".join(der.sequence(part).replace(b"\x30", b"\x31", 1) for part in attributes)


def test_the_common_name_is_the_first_of_its_kind():
    attributes = [der.sequence(der.object_identifier(f"2.5.4.{kind}"), b"\x0c\x01" + text) for kind, text in
                  ((10, b"O"), (3, b"A"), (3, b"B"))]  # fmt: skip
    assert common_name(name(*attributes)) == "A"
    assert common_name(name(attributes[0])) == "without a common name"
    assert common_name(b"") == "without a common name"


@pytest.mark.parametrize("content", [b"\x30\x00", b"\x31\x02\x02\x00", b"\x31\x05"])
def test_a_malformed_name_is_refused(content):
    with pytest.raises(reader.DERError):
        common_name(content)


def test_every_flipped_bit_of_a_certificate_is_read_or_refused_without_a_warning(machine):
    whole = machine.platform.root_der
    root = machine.root.certificate
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for offset in range(len(whole)):
            for bit in range(8):
                data = bytearray(whole)
                data[offset] ^= 1 << bit
                try:
                    found = Certificate.from_der(bytes(data))
                except CertificateError:
                    continue
                assert not found.is_signed_by(root), f"bit {bit} of byte {offset} is free to change"
