"""Certificates, chains, CRLs, the SGX extension and the DER under them: what is read, and what is refused."""

import binascii
import hashlib
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from confcom.errors import InputError
from confcom.quote import TrustRoot, Window, format_time, intel_root, parse_time
from confcom.quote import der as reader
from confcom.quote.certificates import (
    Certificate,
    CertificateError,
    RevocationList,
    crl_der,
    split_chain,
)
from confcom.quote.extensions import KeyUse
from confcom.quote.pck import PCKExtension
from confcom.simulation import der
from confcom.simulation.certificates import SGX_EXTENSION, sgx_extension
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT

DER = serialization.Encoding.DER
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)


def self_signed(key, *, algorithm=None, common_name="Test Root", issuer_name=None, ca=True, usage="key_cert_sign"):
    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)] if text else [])

    uses = dict.fromkeys(
        [
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(name(issuer_name or common_name))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**uses | {usage: True}), critical=True)
    )
    return builder.sign(key, algorithm or hashes.SHA256()).public_bytes(DER)


@pytest.fixture(scope="module")
def key():
    return ec.generate_private_key(ec.SECP256R1())


# Roots -------------------------------------------------------------------------------------------------------------


def test_intels_root_is_the_one_of_2049():
    root = intel_root()
    assert root.name == "Intel SGX Root CA"
    assert format_time(root.certificate.window.end) == "2049-12-31T23:59:59Z"
    assert root.certificate.public_key_bytes.hex().startswith("0ba9c4c0")
    assert root.certificate.public_key_bytes[:32].hex().endswith("705525f5")
    assert root.is_intel
    assert not root.simulated
    spki = root.certificate.public_key.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    # The subject key id of Intel's root, SHA-1 of its key.
    assert hashlib.sha1(spki).hexdigest() == "22650cd65a9d3489f383b49552bf501b392706ac"


def test_a_simulated_root_is_recognised(machine):
    assert machine.root.simulated
    assert not machine.root.is_intel


def test_a_root_may_be_pem_or_der(machine):
    assert TrustRoot.from_bytes(machine.platform.root_der) == machine.root
    assert TrustRoot.from_bytes(b"\n" + machine.platform.root_pem + b"\n") == machine.root


ROOT_CASES = {
    "empty": (lambda _m, _k: b"", "root certificate: is not a well-formed X.509 certificate: an element is cut off"),
    "junk": (lambda _m, _k: b"junk", "root certificate: is not a well-formed X.509 certificate: an element is cut off"),
    "two": (
        lambda m, _k: m.platform.root_pem * 2,
        "root certificate: holds 2 certificates; exactly one is trusted",
    ),
    "a key": (
        lambda _m, _k: b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "root certificate: has text where a PEM block 'CERTIFICATE' belongs",
    ),
    "the intermediate": (
        lambda m, _k: m.certificates[INTERMEDIATE],
        "root certificate: 'Simulated SGX PCK Processor CA' is not self-signed; name the root of the chain instead",
    ),
    "no CA": (
        lambda _m, k: self_signed(k, ca=False),
        "root certificate: 'Test Root' is not the certificate of a CA",
    ),
    "no right to certify": (
        lambda _m, k: self_signed(k, usage="crl_sign"),
        "root certificate: 'Test Root' is not the certificate of a CA",
    ),
    "P-384": (
        lambda _m, _k: self_signed(ec.generate_private_key(ec.SECP384R1())),
        "root certificate: has a key that is not on the curve P-256",
    ),
    "RSA": (
        lambda _m, _k: self_signed(rsa.generate_private_key(65537, 2048)),
        "root certificate: is not a well-formed X.509 certificate: an algorithm that is not ecdsa-with-SHA256",
    ),
    "SHA-384": (
        lambda _m, k: self_signed(k, algorithm=hashes.SHA384()),
        "root certificate: is not a well-formed X.509 certificate: an algorithm that is not ecdsa-with-SHA256",
    ),
}


@pytest.mark.parametrize("case", ROOT_CASES)
def test_what_cannot_be_a_root_is_refused_in_a_sentence(machine, key, case):
    make, sentence = ROOT_CASES[case]
    with pytest.raises(InputError) as caught:
        TrustRoot.from_bytes(make(machine, key))
    assert str(caught.value) == sentence


# Certificates ------------------------------------------------------------------------------------------------------


def test_a_certificate_is_read_whole(machine):
    leaf, intermediate, root = map(Certificate.from_der, split_chain(machine.platform.certificate_chain))
    assert leaf.is_signed_by(intermediate)
    assert not leaf.is_signed_by(root)
    assert (leaf.extensions.is_ca, intermediate.extensions.is_ca, root.extensions.is_ca) == (False, True, True)
    assert (intermediate.extensions.path_length, root.extensions.path_length) == (0, 1)
    assert leaf.extensions.key_uses == {KeyUse.SIGN}
    assert root.extensions.key_uses == {KeyUse.CERTIFY, KeyUse.REVOKE}
    assert leaf.extensions.sgx is not None
    assert root.extensions.sgx is None
    theirs = x509.load_pem_x509_certificate(machine.certificates[PCK])
    assert leaf.signed == theirs.tbs_certificate_bytes
    assert leaf.serial == theirs.serial_number
    assert leaf.subject == reader.read_only(theirs.subject.public_bytes(), reader.SEQUENCE)


def test_every_truncation_of_a_certificate_is_refused(machine):
    whole = machine.platform.root_der
    for end in range(len(whole)):
        with pytest.raises(CertificateError, match=r"is not a well-formed X[.]509 certificate"):
            Certificate.from_der(whole[:end])


def test_bytes_behind_a_certificate_are_refused(machine):
    with pytest.raises(CertificateError, match=r"is not a well-formed X[.]509 certificate"):
        Certificate.from_der(machine.platform.root_der + b"\0")


@pytest.mark.parametrize("serial", [b"\x00", b"\xff", b"\x80"])
def test_a_serial_number_that_is_not_positive_is_refused_and_not_warned_of(key, serial):
    whole = self_signed(key)
    at = whole.index(b"\x02\x01\x07") + 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CertificateError, match=r"is not a well-formed X[.]509 certificate"):
            Certificate.from_der(whole[:at] + serial + whole[at + 1 :])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "without a common name"),
        ("x" * 64, "x" * 64),
        ("a\x1b[2Jb", "a?[2Jb"),
        ("a\nb\u202e", "a?b?"),
    ],
)
def test_a_common_name_is_fit_to_be_printed(key, given, shown):
    assert Certificate.from_der(self_signed(key, common_name=given)).common_name == shown


# Chains and CRLs ---------------------------------------------------------------------------------------------------


def test_pem_may_have_any_line_length_and_line_end(machine):
    whole = machine.platform.root_der
    body = binascii.b2a_base64(whole, newline=False)
    one_line = b"-----BEGIN CERTIFICATE-----\r\n" + body + b"\r\n-----END CERTIFICATE-----\r\n"
    assert split_chain(one_line * 2 + b"\0") == (whole, whole)
    assert split_chain(b"") == split_chain(b"\n\0") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"x", "has text where a PEM block 'CERTIFICATE' belongs"),
        (b"-----BEGIN CERTIFICATE-----", "has text where a PEM block 'CERTIFICATE' belongs"),
        (b"-----END CERTIFICATE-----", "has text where a PEM block 'CERTIFICATE' belongs"),
        (
            b"-----BEGIN CERTIFICATE-----AA==\n-----END CERTIFICATE-----",
            "has text where a PEM block 'CERTIFICATE' belongs",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\nAA==-----END CERTIFICATE-----",
            "has text where a PEM block 'CERTIFICATE' belongs",
        ),
        (b"-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----", "has text where a PEM block 'CERTIFICATE' belongs"),
        (b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----", "has a PEM block that is not base64"),
        (b"-----BEGIN CERTIFICATE-----\nA=A=\n-----END CERTIFICATE-----", "has a PEM block that is not base64"),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" * 9, "holds more than 8 PEM blocks"),
    ],
)
def test_a_damaged_chain_is_refused(text, problem):
    with pytest.raises(CertificateError) as caught:
        split_chain(text)
    assert str(caught.value) == problem


def test_white_space_without_end_is_read_in_linear_time():
    with pytest.raises(CertificateError):
        split_chain(b"-----BEGIN CERTIFICATE-----" + b" \n" * 500_000)


@pytest.mark.parametrize("case", ["DER", "PEM", "hex", "hex in lines", "HEX"])
def test_a_crl_may_come_in_each_encoding_that_services_send(machine, case):
    whole = bytes.fromhex(machine.crl(ROOT))
    lines = whole.hex()
    forms = {
        "DER": whole,
        "PEM": b"-----BEGIN X509 CRL-----\n" + binascii.b2a_base64(whole) + b"-----END X509 CRL-----\n",
        "hex": lines.encode(),
        "hex in lines": "\n".join(lines[at : at + 64] for at in range(0, len(lines), 64)).encode() + b"\n",
        "HEX": lines.upper().encode(),
    }
    assert crl_der(forms[case]) == whole


@pytest.mark.parametrize("data", [b"", b"30", b"30zz", b"3\0", b"\x30\x03\x02\x01\x05", b"3005300302"])
def test_a_malformed_crl_is_refused(data):
    with pytest.raises(CertificateError, match=r"is not a well-formed X[.]509 CRL"):
        RevocationList.from_bytes(data, "CRL")


def test_every_truncation_of_a_crl_is_refused(machine):
    whole = bytes.fromhex(machine.crl(ROOT, [PCK]))
    for end in range(len(whole)):
        with pytest.raises(CertificateError, match=r"is not a well-formed X[.]509 CRL"):
            RevocationList.from_bytes(whole[:end], "CRL")


def test_a_crl_lists_serial_numbers(machine):
    leaf, intermediate, _root = map(Certificate.from_der, split_chain(machine.platform.certificate_chain))
    crl = RevocationList.from_bytes(machine.crl(INTERMEDIATE, [PCK]).encode(), "PCK CRL")
    assert crl.is_signed_by(intermediate)
    assert not crl.is_signed_by(leaf)
    assert crl.revokes(leaf)
    assert not crl.revokes(intermediate)
    assert crl.extensions.has_crl_number
    assert crl.extensions.has_authority_key_id


# The SGX extension -------------------------------------------------------------------------------------------------


def member(number, value):
    return der.sequence(der.object_identifier(f"{SGX_EXTENSION}.{number}"), value)


def tcb(change=lambda members: members):
    values = [der.integer(255) for _ in range(16)] + [der.integer(13), der.octet_string(b"\xff" * 16)]
    return der.sequence(*change([member(f"2.{number}", value) for number, value in enumerate(values, start=1)]))


def processor_members():
    return {
        1: der.octet_string(bytes(16)),
        2: tcb(),
        3: der.octet_string(b"\1\2"),
        4: der.octet_string(bytes.fromhex("00606a000000")),
        5: der.enumerated(0),
    }


def platform_members():
    flags = (member(f"7.{number}", der.boolean(number == 1)) for number in (1, 2, 3))
    return processor_members() | {6: der.octet_string(b"\6" * 16), 7: der.sequence(*flags)}


def encoded(members):
    return der.sequence(*(member(number, value) for number, value in members.items()))


def test_five_members_of_a_processor_ca():
    found = PCKExtension.from_der(encoded(processor_members()))
    assert (found.components, found.pce_svn, found.cpu_svn) == ((255,) * 16, 13, b"\xff" * 16)
    assert (found.pce_id, found.fmspc.hex(), found.sgx_type) == (b"\1\2", "00606a000000", 0)
    assert not found.is_platform


def test_seven_members_of_a_platform_ca():
    found = PCKExtension.from_der(encoded(platform_members()))
    assert found.is_platform
    assert found.platform_instance_id == b"\6" * 16
    flags = found.configuration
    assert (flags.dynamic_platform, flags.cached_keys, flags.smt_enabled) == (True, False, False)


def test_the_members_may_come_in_any_order():
    members = platform_members()
    assert PCKExtension.from_der(encoded(dict(reversed(members.items())))) == PCKExtension.from_der(encoded(members))


def test_what_identifies_a_machine_is_not_shown():
    shown = repr(PCKExtension.from_der(encoded(platform_members())))
    assert "ppid" not in shown
    assert "instance" not in shown


def test_the_simulated_platforms_own_extension_is_read(machine, platform_machine):
    for made in (machine, platform_machine):
        identity = made.platform.identity
        found = PCKExtension.from_der(sgx_extension(identity))
        assert (found.fmspc, found.ppid) == (identity.fmspc, identity.ppid)
        assert found.is_platform == (identity.ca == "platform")


EXTENSION_CASES = {
    "six members": (lambda m: m.pop(6), platform_members),
    "no PPID": (lambda m: m.pop(1), processor_members),
    "an eighth member": (lambda m: m.update({8: der.integer(1)}), platform_members),
    "short PPID": (lambda m: m.update({1: der.octet_string(bytes(15))}), processor_members),
    "FMSPC as INTEGER": (lambda m: m.update({4: der.integer(5)}), processor_members),
    "SGX type as INTEGER": (lambda m: m.update({5: der.integer(0)}), processor_members),
    "SGX type 3": (lambda m: m.update({5: der.enumerated(3)}), processor_members),
    "SGX type of 10,000 digits": (lambda m: m.update({5: der.enumerated(1 << 33_000)}), processor_members),
    "component of 10,000 digits": (
        lambda m: m.update({2: tcb(lambda members: [member("2.1", der.integer(1 << 33_000)), *members[1:]])}),
        processor_members,
    ),
    "TCB as OCTET STRING": (lambda m: m.update({2: der.octet_string(b"")}), processor_members),
    "17 TCB members": (lambda m: m.update({2: tcb(lambda members: members[:-1])}), processor_members),
    "a TCB member twice": (
        lambda m: m.update({2: tcb(lambda members: [*members[:-1], members[0]])}),
        processor_members,
    ),
    "component 256": (
        lambda m: m.update({2: tcb(lambda members: [member("2.1", der.integer(256)), *members[1:]])}),
        processor_members,
    ),
    "negative component": (
        lambda m: m.update({2: tcb(lambda members: [member("2.1", b"\x02\x01\xff"), *members[1:]])}),
        processor_members,
    ),
    "component 255 in one byte": (
        lambda m: m.update({2: tcb(lambda members: [member("2.1", b"\x02\x02\x00\x7f"), *members[1:]])}),
        processor_members,
    ),
    "PCESVN 65536": (
        lambda m: m.update({2: tcb(lambda members: [*members[:16], member("2.17", der.integer(65536)), members[17]])}),
        processor_members,
    ),
    "configuration with two members": (
        lambda m: m.update({7: der.sequence(member("7.1", der.boolean(True)), member("7.2", der.boolean(True)))}),
        platform_members,
    ),
    "BOOLEAN 01": (
        lambda m: m.update({7: der.sequence(*(member(f"7.{n}", b"\x01\x01\x01") for n in (1, 2, 3)))}),
        platform_members,
    ),
}


@pytest.mark.parametrize("case", EXTENSION_CASES)
def test_a_malformed_extension_is_refused(case):
    change, make = EXTENSION_CASES[case]
    members = make()
    change(members)
    with pytest.raises(CertificateError, match="has a malformed SGX extension: "):
        PCKExtension.from_der(encoded(members))


def test_a_member_of_another_arc_or_shape_is_refused():
    foreign = der.sequence(der.object_identifier("1.2.840.113741.1.13.2.1"), der.octet_string(bytes(16)))
    triple = der.sequence(der.object_identifier(f"{SGX_EXTENSION}.1"), der.integer(1), der.integer(2))
    for odd in (foreign, triple, der.integer(1), der.sequence(der.integer(1), der.integer(1))):
        with pytest.raises(CertificateError, match="has a malformed SGX extension"):
            PCKExtension.from_der(der.sequence(odd))


def test_every_truncation_of_the_extension_is_refused():
    whole = encoded(platform_members())
    for end in range(len(whole)):
        with pytest.raises(CertificateError, match="has a malformed SGX extension"):
            PCKExtension.from_der(whole[:end])
    with pytest.raises(CertificateError, match="bytes behind the last element"):
        PCKExtension.from_der(whole + b"\0")


# DER ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_lengths_of_every_form_are_read(size):
    encoding = der.octet_string(bytes(size))
    assert reader.read(encoding) == (reader.OCTET_STRING, bytes(size), len(encoding))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x04\x01",
        b"\x04\x81",
        b"\x04\x81\x7f" + bytes(127),
        b"\x04\x82\x00\x80" + bytes(128),
        b"\x04\x80\x00\x00",
        b"\x04\x85\x01\x00\x00\x00\x00",
        b"\x04\x84\xff\xff\xff\xff",
        b"\x1f\x81\x01\x00",
        b"\xff\x01\x00",
    ],
)
def test_what_is_not_der_is_refused(data):
    with pytest.raises(reader.DERError):
        reader.read(data)


@pytest.mark.parametrize(
    ("content", "number"),
    [(b"\0", 0), (b"\x7f", 127), (b"\0\x80", 128), (b"\1\0", 256), (b"\x7f" * 8, 0x7F7F7F7F7F7F7F7F)],
)
def test_numbers_are_read(content, number):
    assert reader.unsigned(content) == number


@pytest.mark.parametrize("content", [b"", b"\x80", b"\xff", b"\0\0", b"\0\x7f", b"\1" * 9])
def test_numbers_that_are_not_der_are_refused(content):
    with pytest.raises(reader.DERError):
        reader.unsigned(content)


# Times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["2026-06-01T12:00:00Z", "2000-02-29T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_times_survive_reading_and_writing(text):
    assert format_time(parse_time(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-06-01",
        "2026-06-01 12:00:00Z",
        "2026-06-01T12:00:00",
        "2026-06-01T12:00:00+00:00",
        "2026-06-01T12:00:00.0Z",
        "2026-06-01T12:00:00Z\n",
        "\uff12026-06-01T12:00:00Z",
        "2026-06-31T12:00:00Z",
        "2026-06-01T24:00:01Z",
        "2026-06-01T12:00:60Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_other_forms_of_time_are_refused(text):
    with pytest.raises(ValueError, match="YYYY-MM-DDTHH:MM:SSZ"):
        parse_time(text)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=47), "1 day"),
        (timedelta(days=72), "72 days"),
    ],
)
def test_a_window_tells_how_far_outside_it_a_time_is(after, words):
    window = Window(name="CRL", start=START, end=END)
    assert window.problem(START) is None
    assert window.problem(END) is None
    assert f"{words} before" in window.problem(END + after)
    assert f"{words} after" in window.problem(START - after)
