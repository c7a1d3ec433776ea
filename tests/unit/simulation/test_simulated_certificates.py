"""The certificates and CRLs of simulated platforms: every rule that some verifier insists on, asserted on bytes."""

from datetime import timedelta

import dcap_qvl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from confcom.quote.certificates import Certificate, RevocationList, split_chain
from confcom.quote.pck import PCKExtension
from confcom.quote.roots import TrustRoot, is_simulated
from confcom.simulation.certificates import SGX_EXTENSION, sgx_extension

OID = "06092a864886f84d010d01"
AKI, CRLDP, SKI = (
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
)
KU, BC = ExtensionOID.KEY_USAGE, ExtensionOID.BASIC_CONSTRAINTS
SGX = x509.ObjectIdentifier(SGX_EXTENSION)


@pytest.fixture(params=["machine", "other_machine"], ids=["processor", "platform"])
def each(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def certificates(each, now):
    """Leaf, intermediate, root, TCB signer."""
    signer = each.collateral(now)["tcb_info_issuer_chain"].encode()
    text = each.certificate_chain + signer
    leaf, intermediate, root, tcb_signer, _ = x509.load_pem_x509_certificates(text)
    return {"leaf": leaf, "intermediate": intermediate, "root": root, "tcb signer": tcb_signer}


ORGANISATION = "C=XX,ST=SIM,L=Nowhere,O=Simulated SGX Corporation"


def test_subjects_say_what_verifiers_look_for_and_that_they_are_simulated(each, certificates):
    kind = each.identity.ca.capitalize()
    names = {name: certificate.subject.rfc4514_string() for name, certificate in certificates.items()}
    assert names == {
        "leaf": f"{ORGANISATION},CN=Simulated SGX PCK Certificate",
        "intermediate": f"{ORGANISATION},CN=Simulated SGX PCK {kind} CA",
        "root": f"{ORGANISATION},CN=Simulated SGX Root CA",
        "tcb signer": f"{ORGANISATION},CN=Simulated SGX TCB Signing",
    }


def test_names_are_utf8_but_the_country(certificates):
    subject = certificates["leaf"].subject.public_bytes().hex()
    assert "0603550403" + "0c1d" + b"Simulated SGX PCK Certificate".hex() in subject
    assert "060355040a" + "0c19" + b"Simulated SGX Corporation".hex() in subject
    assert "0603550406" + "1302" + b"XX".hex() in subject
    order = [subject.index(f"06035504{attribute}") for attribute in ("03", "0a", "07", "08", "06")]
    assert order == sorted(order)


def test_extensions_stand_in_intels_order_with_intels_criticality(certificates):
    expected = [(AKI, False), (CRLDP, False), (SKI, False), (KU, True), (BC, True)]
    for name, certificate in certificates.items():
        found = [(extension.oid, extension.critical) for extension in certificate.extensions]
        assert found == ([*expected, (SGX, False)] if name == "leaf" else expected)


def test_key_ids_lead_from_each_certificate_to_its_issuer(certificates):
    def key_id(name):
        return certificates[name].extensions.get_extension_for_oid(SKI).value.digest

    def issuer_key_id(name):
        return certificates[name].extensions.get_extension_for_oid(AKI).value.key_identifier

    issuers = {"leaf": "intermediate", "intermediate": "root", "root": "root", "tcb signer": "root"}
    assert {name: issuer_key_id(name) for name in issuers} == {name: key_id(issuers[name]) for name in issuers}
    for name, issuer in issuers.items():
        certificates[name].verify_directly_issued_by(certificates[issuer])
    for name, certificate in certificates.items():
        spki = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
        assert key_id(name) == spki.digest


USES = {
    "leaf": ({"digital_signature", "content_commitment"}, (False, None)),
    "intermediate": ({"key_cert_sign", "crl_sign"}, (True, 0)),
    "root": ({"key_cert_sign", "crl_sign"}, (True, 1)),
    "tcb signer": ({"digital_signature", "content_commitment"}, (False, None)),
}


def test_key_usage_and_basic_constraints(certificates):
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign")  # fmt: skip
    found = {}
    for name, certificate in certificates.items():
        usage = certificate.extensions.get_extension_for_oid(KU).value
        constraints = certificate.extensions.get_extension_for_oid(BC).value
        uses = {use for use in names if getattr(usage, use)}
        found[name] = (uses, (constraints.ca, constraints.path_length))
    assert found == USES


def test_nobody_can_serve_the_crl_addresses(certificates):
    for certificate in certificates.values():
        points = certificate.extensions.get_extension_for_oid(CRLDP).value
        (name,) = points[0].full_name
        assert name.value.startswith("https://simulated-sgx.invalid/")


def test_certificates_are_backdated_a_day_and_live_as_long_as_intels(certificates, now):
    years = {
        name: (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days // 365
        for name, certificate in certificates.items()
    }
    assert years == {"leaf": 7, "intermediate": 15, "root": 30, "tcb signer": 7}
    assert {certificate.not_valid_before_utc for certificate in certificates.values()} == {now - timedelta(days=1)}


def test_serial_numbers_differ(certificates):
    assert len({certificate.serial_number for certificate in certificates.values()}) == 4


def test_the_root_can_be_named_as_trusted_and_is_known_as_simulated(each):
    root = TrustRoot.from_bytes(each.root_pem)
    assert (root.name, root.simulated, root.is_intel) == ("Simulated SGX Root CA", True, False)
    assert root.certificate.der == each.root_der
    assert all(is_simulated(Certificate.from_der(one)) for one in split_chain(each.certificate_chain))


def test_sgx_extension_is_not_critical_in_the_bytes(certificates):
    der = certificates["leaf"].public_bytes(Encoding.DER).hex()
    # The OID is followed by the OCTET STRING at once; a BOOLEAN (01 01 FF) would stand between.
    assert f"{OID}0482" in der


def test_der_types_of_a_processor(machine):
    extension = sgx_extension(machine.identity).hex()
    assert f"060a{OID[4:]}01" + "0410" + machine.identity.ppid.hex() in extension
    assert f"060b{OID[4:]}0201" + "020107" in extension
    assert f"060b{OID[4:]}0205" + "020200ff" in extension
    assert f"060b{OID[4:]}0206" + "020200ff" in extension
    assert f"060b{OID[4:]}0207" + "020100" in extension
    assert f"060b{OID[4:]}0211" + "02010d" in extension
    assert f"060b{OID[4:]}0212" + "0410" + "07090303ffff00000000000000000000" in extension
    assert f"060a{OID[4:]}03" + "0402" + "0000" in extension
    assert f"060a{OID[4:]}04" + "0406" + "53494d000001" in extension
    assert extension.endswith(f"060a{OID[4:]}05" + "0a0100")


def test_der_types_of_a_platform(other_machine):
    extension = sgx_extension(other_machine.identity).hex()
    instance = other_machine.identity.platform_instance_id.hex()
    assert f"060a{OID[4:]}05" + "0a0101" in extension
    assert f"060a{OID[4:]}06" + "0410" + instance in extension
    flags = [f"060b{OID[4:]}070{number}" + value for number, value in ((1, "0101ff"), (2, "010100"), (3, "010100"))]
    starts = [extension.index(flag) for flag in flags]
    assert starts == sorted(starts)


def test_members_read_back_by_our_reader(each):
    (leaf, *_) = split_chain(each.certificate_chain)
    read = PCKExtension.from_der(Certificate.from_der(leaf).sgx_extension)
    identity = each.identity
    assert (read.ppid, read.fmspc, read.pce_id, read.pce_svn) == (identity.ppid, identity.fmspc, b"\0\0", 13)
    assert bytes(read.components) == read.cpu_svn == identity.tcb_components
    if identity.ca == "processor":
        assert (read.sgx_type, read.platform_instance_id, read.configuration) == (0, None, None)
    else:
        flags = read.configuration
        assert (read.sgx_type, read.platform_instance_id) == (1, identity.platform_instance_id)
        assert (flags.dynamic_platform, flags.cached_keys, flags.smt_enabled) == (True, False, False)


def test_members_read_back_by_dcap_qvl(each):
    read = dcap_qvl.parse_pck_extension_from_pem(each.certificate_chain)
    assert bytes(read.ppid) == each.identity.ppid
    assert bytes(read.fmspc) == each.identity.fmspc
    assert bytes(read.cpu_svn) == each.identity.tcb_components
    assert read.pce_svn == 13


@pytest.mark.parametrize(("member", "issuer"), [("root_ca_crl", "root"), ("pck_crl", "intermediate")])
def test_crls_carry_what_intels_verifier_requires(each, certificates, now, member, issuer):
    data = bytes.fromhex(each.collateral(now)[member])
    crl = x509.load_der_x509_crl(data)
    number, aki = crl.extensions
    assert (number.oid, number.critical, number.value.crl_number) == (ExtensionOID.CRL_NUMBER, False, 1)
    ski = certificates[issuer].extensions.get_extension_for_oid(SKI).value.digest
    assert (aki.oid, aki.critical, aki.value.key_identifier) == (AKI, False, ski)
    assert crl.issuer.public_bytes() == certificates[issuer].subject.public_bytes()
    assert crl.is_signature_valid(certificates[issuer].public_key())
    read = RevocationList.from_bytes(data, "CRL").extensions
    assert read.has_crl_number
    assert read.has_authority_key_id
    assert len(crl) == 0
