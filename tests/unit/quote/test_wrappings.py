"""Quotes in Open Enclave's headers and RA-TLS certificates; and certificates and headers that hold none."""

import base64
import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from confcom.errors import InputError
from confcom.quote import find_quote
from confcom.quote.encodings import looks_like_quote
from confcom.quote.wrappings import unwrap


@pytest.fixture(scope="module")
def quote(machine):
    return machine.quote()


KEYS = {"P-384": ec.generate_private_key(ec.SECP384R1()), "RSA": rsa.generate_private_key(65537, 2048)}


def certificate(machine, extensions, *, key="P-384", encoding=Encoding.DER):
    """A self-signed certificate as RA-TLS stacks make it, with these OIDs and values."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "RATLS")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEYS[key].public_key())
        .serial_number(1)
        .not_valid_before(machine.now)
        .not_valid_after(machine.now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    for oid, value in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False)
    return builder.sign(KEYS[key], hashes.SHA256()).public_bytes(encoding)


def oe_report(quote, size=None):
    return bytes.fromhex("0100000002000000") + (len(quote) if size is None else size).to_bytes(8, "little") + quote


def oe_evidence(body, *, padded=True):
    return (
        bytes.fromhex("03000000") + bytes(16) + (bytes(4) if padded else b"") + len(body).to_bytes(8, "little") + body
    )


def cbor(quote, tag="d9ea60", array="82"):
    return bytes.fromhex(tag + array) + b"\x59" + len(quote).to_bytes(2) + quote + b"\x41\x00"


def octets(value):
    return b"\x04\x82" + len(value).to_bytes(2) + value


DICE, GRAMINE, PLAIN = "2.23.133.5.4.9", "0.6.9.42.840.113741.1337.6", "1.2.840.113741.1337.6"
OE, INTEL = "1.2.840.113556.10.1.1", "1.2.840.113741.1.13.1"
FORMS = {
    "OE report": (lambda m, q: oe_report(q), ("an Open Enclave report",)),
    "OE report with bytes behind": (lambda m, q: oe_report(q) + b"claims", ("an Open Enclave report",)),
    "OE report, base64": (lambda m, q: base64.b64encode(oe_report(q)), ("base64", "an Open Enclave report")),
    "OE evidence": (lambda m, q: oe_evidence(q), ("Open Enclave evidence",)),
    "OE evidence, packed": (lambda m, q: oe_evidence(q, padded=False), ("Open Enclave evidence",)),
    "OE evidence of a report": (
        lambda m, q: oe_evidence(oe_report(q)),
        ("Open Enclave evidence", "an Open Enclave report"),
    ),
    "JSON of an OE report": (
        lambda m, q: json.dumps({"quote": oe_report(q).hex()}).encode(),
        ("the JSON member quote", "hex", "an Open Enclave report"),
    ),
    "Gramine": (lambda m, q: certificate(m, [(GRAMINE, q)]), ("Gramine's quote extension of an X.509 certificate",)),
    "the OID that was meant": (
        lambda m, q: certificate(m, [(PLAIN, q)]),
        ("the quote extension 1.2.840.113741.1337.6 of an X.509 certificate",),
    ),
    "Intel": (
        lambda m, q: certificate(m, [(INTEL, q)], key="RSA"),
        ("Intel's quote extension of an X.509 certificate",),
    ),
    "DICE": (
        lambda m, q: certificate(m, [(DICE, cbor(q))]),
        ("the TCG DICE evidence extension of an X.509 certificate", "CBOR evidence"),
    ),
    "DICE of RATS-TLS": (
        lambda m, q: certificate(m, [(DICE, cbor(q, "da001a7501"))]),
        ("the TCG DICE evidence extension of an X.509 certificate", "CBOR evidence"),
    ),
    "DICE, in an OCTET STRING": (
        lambda m, q: certificate(m, [(DICE, octets(cbor(q)))]),
        ("the TCG DICE evidence extension of an X.509 certificate", "CBOR evidence"),
    ),
    "DICE, the quote alone": (
        lambda m, q: certificate(m, [(DICE, cbor(q, array=""))]),
        ("the TCG DICE evidence extension of an X.509 certificate", "CBOR evidence"),
    ),
    "OE": (
        lambda m, q: certificate(m, [(OE, oe_report(q))]),
        ("Open Enclave's quote extension of an X.509 certificate", "an Open Enclave report"),
    ),
    "two forms, the first damaged": (
        lambda m, q: certificate(m, [(GRAMINE, b"none"), (DICE, cbor(q))]),
        ("the TCG DICE evidence extension of an X.509 certificate", "CBOR evidence"),
    ),
    "PEM": (
        lambda m, q: certificate(m, [(GRAMINE, q)], encoding=Encoding.PEM),
        ("PEM", "Gramine's quote extension of an X.509 certificate"),
    ),
    "PEM of a chain": (
        lambda m, q: certificate(m, [(GRAMINE, q)], encoding=Encoding.PEM) + m.platform.root_pem,
        ("PEM", "Gramine's quote extension of an X.509 certificate"),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_quote_is_found_and_its_wrappings_are_named(machine, quote, form):
    wrap, layers = FORMS[form]
    found = find_quote(wrap(machine, quote))
    assert found.data == quote
    assert found.unwrapped == layers


def tdx(quote):
    return b"\x04\x00\x02\x00\x81\x00\x00\x00" + quote[8:48] + b"\xff" * 2000


NONE = {
    "certificate without a quote": (
        lambda m, q: certificate(m, []),
        "no quote found: the certificate has no extension that holds one; RA-TLS certificates have",
    ),
    "PCK certificate": (
        lambda m, q: m.certificates["pck"],
        "no quote found: the certificate has no extension that holds one; RA-TLS certificates have",
    ),
    "quote in an unknown extension": (
        lambda m, q: certificate(m, [("1.2.3.4", q)]),
        "no quote found: the certificate has no extension that holds one; RA-TLS certificates have",
    ),
    "OE report of nothing": (lambda m, q: oe_report(b""), "no quote found in 16 bytes"),
    "OE report that is cut": (lambda m, q: oe_report(q, size=len(q) + 1), "no quote found in "),
    "OE report of a short quote": (
        lambda m, q: oe_report(q[:500]),
        "no quote found: the input begins like one and ends",
    ),
    "OE report of a TDX quote": (
        lambda m, q: oe_report(tdx(q)),
        "this is a TDX quote, version 4; SGX quotes of version 3",
    ),
    "certificate of a TDX quote": (
        lambda m, q: certificate(m, [(DICE, cbor(tdx(q)))]),
        "this is a TDX quote, version 4; SGX quotes of version 3",
    ),
    "CBOR that is cut": (lambda m, q: cbor(q)[:4000], "no quote found in 4000 bytes"),
    "CBOR of an endless string": (lambda m, q: bytes.fromhex("d9ea60825f"), "no quote found in 5 bytes"),
    "PEM that is none": (
        lambda m, q: b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "no quote found: the certificate has no extension",
    ),
    "too large": (lambda m, q: bytes(4 * 1024 * 1024 + 1), "no quote found: the input has 4194305 bytes; at most"),
}


@pytest.mark.parametrize("case", NONE)
def test_where_there_is_none_it_is_said_what_there_is(machine, quote, case):
    make, sentence = NONE[case]
    with pytest.raises(InputError) as caught:
        find_quote(make(machine, quote))
    assert str(caught.value).startswith(sentence)


HEADS = [
    b"\x30\x82",
    bytes.fromhex("0100000002000000"),
    b"\x03\0\0\0",
    b"\xd9\xea\x60\x82",
    b"-----BEGIN CERTIFICATE-----",
]


@given(st.sampled_from(HEADS), st.binary(max_size=200))
def test_whatever_follows_a_known_head_nothing_is_raised(head, rest):
    for name, inner in unwrap(head + rest):
        assert name
        assert len(inner) <= len(head + rest)


@pytest.fixture(scope="module")
def ratls(machine, quote):
    return certificate(machine, [(DICE, cbor(quote))])


@given(st.integers(0, 4000), st.integers(1, 255), st.integers(0, 6000))
def test_a_cut_or_changed_certificate_gives_the_quote_or_that_error(ratls, at, mask, size):
    content = bytearray(ratls)
    content[at] ^= mask
    try:
        found = find_quote(bytes(content[:size]))
    except InputError:
        return
    assert looks_like_quote(found.data)
