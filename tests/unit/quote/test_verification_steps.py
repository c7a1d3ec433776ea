"""Each of the fifteen steps, held and not held, on a simulated machine."""

import hashlib
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from confcom.codes import TCBStatus
from confcom.errors import QuoteVerificationError
from confcom.quote import TrustRoot, Verifier, intel_root, verify
from confcom.quote.reading import MAX_QUOTE_BYTES
from confcom.sgx import Attributes, Quote
from confcom.sgx.layout import Field
from confcom.sgx.report import FLAG_DEBUG, FLAG_INITTED, FLAG_MODE64BIT
from confcom.simulation.certificates import SGX_EXTENSION
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT, TCB_SIGNER

NAMES = (
    "quote format",
    "certification data",
    "trusted root",
    "PCK certificate chain",
    "root CA CRL",
    "PCK CRL",
    "TCB info",
    "QE identity",
    "QE report signature",
    "QE report",
    "attestation key binding",
    "quote signature",
    "platform TCB level",
    "QE TCB level",
    "TCB status",
)
UNKNOWN_CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)


def failed(verification):
    """The numbers of the steps that were judged and did not hold."""
    return [step.number for step in verification.steps if step.judged and not step.ok]


def unjudged(verification):
    return [step.number for step in verification.steps if not step.judged]


def detail(verification, number):
    return verification.steps[number - 1].detail


def edited(machine, **changes):
    """The machine's quote with parts changed and nothing signed again."""
    return replace(machine.parsed(), **changes).to_bytes()


def qe_report(machine, **changes):
    """The machine's quote with its QE report changed and signed again."""
    quote = machine.parsed()
    return machine.sign(replace(quote, qe_report=replace(quote.qe_report, **changes)))


def test_a_genuine_quote_holds_all_steps(machine):
    found = machine.examine(machine.quote(mr_enclave=b"\xaa" * 32, isv_svn=7, report_data=b"\x42" * 64))
    assert found.verdict
    assert tuple(step.name for step in found.steps) == NAMES
    assert [step.number for step in found.steps] == list(range(1, 16))
    assert all(step.ok and step.judged for step in found.steps)
    assert found.reasons == ()
    assert found.warnings == ()
    assert (found.tcb_status, found.advisories) == ("UpToDate", ())
    assert (found.identity.mr_enclave, found.identity.isv_svn) == (b"\xaa" * 32, 7)
    assert found.identity.report_data == b"\x42" * 64
    assert found.simulated
    assert found.root_name == "Simulated SGX Root CA"
    assert found.pck.fmspc == machine.platform.identity.fmspc
    assert found.tcb_info.evaluation_number == found.qe_identity.evaluation_number == 21


def test_every_window_is_reported(machine):
    assert [window.name for window in machine.examine().windows] == [
        "certificate 'Simulated SGX Root CA'",
        "certificate 'Simulated SGX PCK Certificate'",
        "certificate 'Simulated SGX PCK Processor CA'",
        "root CA CRL",
        "PCK CRL",
        "certificate 'Simulated SGX TCB Signing'",
        "TCB info",
        "QE identity",
    ]


def test_a_quote_of_the_platform_ca_holds_all_steps(platform_machine):
    found = platform_machine.examine()
    assert found.reasons == ()
    assert found.pck.configuration is not None
    assert found.pck_ca == "Simulated SGX PCK Platform CA"


# Step 1 ------------------------------------------------------------------------------------------------------------

HEADER_CASES = {
    "version 2": ({"version": 2}, "quote: field 'version' at offset 0: this is a version 2; SGX quotes of version 3"),
    "key type 3": ({"att_key_type": 3}, "att_key_type is 3, must be 2 (ECDSA P-256)"),
    "TDX": ({"tee_type": 0x81}, "tee_type is 129, must be 0 (SGX)"),
    "another QE": ({"vendor_id": bytes(16)}, f"QE vendor id is {'00' * 16}, must be Intel's 939a7233"),
}


@pytest.mark.parametrize("case", HEADER_CASES)
def test_a_wrong_header_fails_step_1_even_if_it_is_signed(machine, case):
    changes, sentence = HEADER_CASES[case]
    quote = machine.parsed()
    found = machine.examine(machine.sign(replace(quote, header=replace(quote.header, **changes))))
    assert failed(found) == [1]
    assert detail(found, 1).startswith(sentence)


@pytest.mark.parametrize("difference", [-1, 1, 1000])
def test_a_wrong_signature_data_length_fails_step_1_alone(machine, difference):
    data = bytearray(machine.quote())
    data[432:436] = (int.from_bytes(data[432:436], "little") + difference).to_bytes(4, "little")
    found = machine.examine(bytes(data))
    assert failed(found) == [1]
    assert not found.verdict


def quote_fields():
    """Every field of a quote with its offset, as the table in docs/reference/verification.md has them."""
    parts = [("header", 0), ("report", 48), ("signature_data_len", 432), ("sig", 436), ("attest_pub_key", 500)]
    parts += [("qe_report", 564), ("qe_report_sig", 948), ("auth_data size", 1012), ("auth_data", 1014)]
    return [*parts, ("certification_data type", 1046), ("certification_data size", 1048), ("certification_data", 1052)]


@pytest.mark.parametrize(("field", "offset"), quote_fields())
@pytest.mark.parametrize("inside", [0, 1])
def test_a_truncated_quote_fails_step_1(machine, field, offset, inside):
    found = machine.examine(machine.quote()[: offset + inside])
    assert failed(found) == [1]
    assert unjudged(found) == [2, 3, 4, 6, 9, 10, 11, 12, 13, 14, 15]
    assert detail(found, 1).startswith(("quote: field", "quote header: field", "REPORT body: field"))
    assert (found.identity is not None) == (offset + inside >= 432)
    assert found.tcb_status is None


def test_the_field_table_above_is_the_real_one(machine):
    quote = machine.parsed()
    data = quote.to_bytes()
    assert data[436:500] == quote.sig
    assert data[1014:1046] == quote.auth_data
    assert data[1052:] == quote.certification_data
    assert isinstance(quote.header.FIELDS[0], Field)


def test_an_empty_quote_fails_step_1(machine):
    assert failed(machine.examine(b"\0")) == [1]


def test_too_many_bytes_are_not_read(machine):
    found = machine.examine(machine.quote() + bytes(MAX_QUOTE_BYTES))
    assert detail(found, 1).endswith(f"at most {MAX_QUOTE_BYTES} are read")


WARNINGS = {
    "trailing bytes": (lambda m: m.quote() + bytes(3), "3 bytes follow the quote; no signature covers them"),
    "user data": (
        lambda m: m.sign(
            replace(q := m.parsed(), header=replace(q.header, user_data=q.header.user_data[:16] + b"\0\0\0\1"))
        ),
        "the last 4 bytes of the header's user data are not zero",
    ),
    "reserved bytes of the report": (
        lambda m: m.sign(replace(q := m.parsed(), report=replace(q.report, reserved4=bytes(41) + b"\1"))),
        "reserved bytes of the report body are not zero",
    ),
    "reserved bytes of the QE report": (
        lambda m: qe_report(m, reserved1=b"\1" + bytes(11)),
        "reserved bytes of the QE report are not zero",
    ),
    "no INITTED": (
        lambda m: m.sign(replace(q := m.parsed(), report=replace(q.report, attributes=Attributes(flags=4)))),
        "the report has not the attribute INITTED, which hardware always sets",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_no_verifier_refuses_is_a_warning(machine, case):
    make, warning = WARNINGS[case]
    found = machine.examine(make(machine))
    assert found.reasons == ()
    assert found.warnings == (warning,)


def test_auth_data_of_another_size_is_a_warning(machine):
    quote = machine.parsed()
    digest = hashlib.sha256(quote.attest_pub_key + b"abc").digest() + bytes(32)
    changed = replace(quote, auth_data=b"abc", qe_report=replace(quote.qe_report, report_data=digest))
    found = machine.examine(machine.sign(changed))
    assert found.reasons == ()
    assert found.warnings == ("QE auth data has 3 bytes, real QEs write 32",)


# Step 2 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"), [(1, "PPID in clear text"), (3, "PPID, RSA-3072 encrypted"), (6, "QE report"), (9, "unknown")]
)
def test_other_certification_data_fails_step_2_in_words(machine, kind, name):
    found = machine.examine(edited(machine, certification_data_type=kind, certification_data=bytes(404)))
    assert failed(found) == [2]
    assert detail(found, 2).startswith(f"it is of type {kind} ({name}")
    assert "Make it on a node whose quote provider library reaches a certificate service" in detail(found, 2)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\n\0", b"\0", b"\0\0\0"])
def test_the_chain_may_end_as_real_ones_do(machine, ending):
    text = machine.parsed().certification_data.rstrip(b"\0\n")
    assert machine.examine(edited(machine, certification_data=text + ending)).reasons == ()


CHAIN_CASES = {
    "nothing": (lambda _c: b"", "it holds 0 certificates, not three: leaf, intermediate and root"),
    "no root": (lambda c: c[PCK] + c[INTERMEDIATE], "it holds 2 certificates, not three: leaf, intermediate and root"),
    "four": (lambda c: c[PCK] + c[INTERMEDIATE] + c[ROOT] * 2, "it holds 4 certificates, not three"),
    "very many": (lambda c: c[ROOT] * 9, "it holds more than 8 PEM blocks"),
    "text before": (
        lambda c: b"x" + c[PCK] + c[INTERMEDIATE] + c[ROOT],
        "it has text where a PEM block 'CERTIFICATE' belongs",
    ),
    "text behind": (
        lambda c: c[PCK] + c[INTERMEDIATE] + c[ROOT] + b"x",
        "it has text where a PEM block 'CERTIFICATE' belongs",
    ),
    "text between": (
        lambda c: c[PCK] + b"x" + c[INTERMEDIATE] + c[ROOT],
        "it has text where a PEM block 'CERTIFICATE' belongs",
    ),
    "no base64": (
        lambda c: c[PCK].replace(b"MII", b"M-I", 1) + c[INTERMEDIATE] + c[ROOT],
        "it has a PEM block that is not base64",
    ),
    "damaged leaf": (
        lambda c: c[PCK].replace(b"MII", b"MIJ", 1) + c[INTERMEDIATE] + c[ROOT],
        "its leaf certificate is not a well-formed X.509 certificate",
    ),
    "damaged intermediate": (
        lambda c: c[PCK] + c[INTERMEDIATE].replace(b"MII", b"MIJ", 1) + c[ROOT],
        "its intermediate certificate is not a well-formed X.509 certificate",
    ),
    "damaged root": (
        lambda c: c[PCK] + c[INTERMEDIATE] + c[ROOT].replace(b"MII", b"MIJ", 1),
        "its root certificate is not a well-formed X.509 certificate",
    ),
    "too long": (lambda c: c[PCK] + b"\n" * 33000, "at most 32768 are read"),
}


@pytest.mark.parametrize("case", CHAIN_CASES)
def test_a_damaged_chain_fails_step_2(machine, case):
    make, sentence = CHAIN_CASES[case]
    found = machine.examine(machine.with_chain(make(machine.certificates)))
    assert failed(found) == [2]
    assert sentence in detail(found, 2)


def test_a_leaf_without_sgx_extension_fails_step_2_and_leaves_the_chain_to_step_4(machine):
    leaf = machine.reissue(PCK, issuer=INTERMEDIATE, drop=[x509.UnrecognizedExtension])
    found = machine.examine(machine.with_chain(leaf, machine.certificates[INTERMEDIATE], machine.certificates[ROOT]))
    assert failed(found) == [2]
    assert detail(found, 2) == "its leaf 'Simulated SGX PCK Certificate' has no SGX extension"
    assert unjudged(found) == [13, 15]


def test_a_malformed_sgx_extension_fails_step_2(machine):
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_EXTENSION), b"\x30\x00")
    leaf = machine.reissue(PCK, issuer=INTERMEDIATE, drop=[x509.UnrecognizedExtension], add=[(broken, False)])
    found = machine.examine(machine.with_chain(leaf, machine.certificates[INTERMEDIATE], machine.certificates[ROOT]))
    assert failed(found) == [2]
    assert detail(found, 2).startswith("its leaf certificate has a malformed SGX extension: the members []")


# Steps 3 and 4 -----------------------------------------------------------------------------------------------------


def test_a_simulated_quote_under_intels_root_is_refused_and_says_how_to_trust_it(machine):
    found = machine.examine(root=intel_root())
    assert failed(found) == [3, 4, 5, 6, 7, 8]
    assert detail(found, 3) == (
        "the chain ends in 'Simulated SGX Root CA', which has not the key of the trusted root 'Intel SGX Root CA'; "
        "the quote was made by the simulator: it proves nothing about hardware. "
        "To trust it in a test, name the simulator's own root (--root FILE)"
    )
    assert found.simulated
    assert found.tcb_status is None
    assert unjudged(found) == [10, 13, 14, 15]


def test_a_quote_of_another_root_is_refused(machine, other_machine):
    found = machine.examine(root=other_machine.root)
    assert 3 in failed(found)
    assert "has not the key of the trusted root" in detail(found, 3)


def test_the_root_in_the_quote_is_compared_by_key_alone(machine):
    newer = machine.reissue(ROOT, issuer=ROOT, end=machine.now + timedelta(days=1))
    chain = (machine.certificates[PCK], machine.certificates[INTERMEDIATE], newer)
    assert machine.examine(machine.with_chain(*chain)).reasons == ()
    assert machine.examine(root=TrustRoot.from_bytes(newer)).reasons == ()


CHAIN_RULES = {
    "leaf signed by another key": (
        lambda m: (m.reissue(PCK, issuer=INTERMEDIATE, key=ROOT), None),
        "'Simulated SGX PCK Certificate' is not signed by the key of 'Simulated SGX PCK Processor CA'",
    ),
    "leaf of the root": (
        lambda m: (m.reissue(PCK, issuer=ROOT, key=INTERMEDIATE), None),
        "'Simulated SGX PCK Certificate' names another issuer than 'Simulated SGX PCK Processor CA'",
    ),
    "leaf that is a CA": (
        lambda m: (
            m.reissue(
                PCK,
                issuer=INTERMEDIATE,
                drop=[x509.BasicConstraints],
                add=[(x509.BasicConstraints(ca=True, path_length=None), True)],
            ),
            None,
        ),
        "'Simulated SGX PCK Certificate' may not sign reports",
    ),
    "leaf with an unknown critical extension": (
        lambda m: (m.reissue(PCK, issuer=INTERMEDIATE, add=[UNKNOWN_CRITICAL]), None),
        "'Simulated SGX PCK Certificate' has the unknown critical extension 1.2.3.4",
    ),
    "intermediate that is no CA": (
        lambda m: (None, m.reissue(INTERMEDIATE, issuer=ROOT, drop=[x509.BasicConstraints])),
        "'Simulated SGX PCK Processor CA' is not the certificate of a CA",
    ),
    "intermediate that signed itself": (
        lambda m: (None, m.reissue(INTERMEDIATE, issuer=ROOT, key=INTERMEDIATE)),
        "'Simulated SGX PCK Processor CA' is not signed by the key of 'Simulated SGX Root CA'",
    ),
    "platform CA without the platform members": (
        lambda m: (
            m.reissue(PCK, issuer=INTERMEDIATE),
            m.reissue(INTERMEDIATE, issuer=ROOT, common_name="Simulated SGX PCK Platform CA"),
        ),
        "'Simulated SGX PCK Platform CA' issued a PCK certificate without platform instance id and configuration",
    ),
}


@pytest.mark.parametrize("case", CHAIN_RULES)
def test_a_chain_that_breaks_a_rule_fails_step_4(machine, case):
    make, sentence = CHAIN_RULES[case]
    leaf, intermediate = make(machine)
    leaf, intermediate = leaf or machine.certificates[PCK], intermediate or machine.certificates[INTERMEDIATE]
    found = machine.examine(machine.with_chain(leaf, intermediate, machine.certificates[ROOT]))
    assert 4 in failed(found)
    assert sentence in detail(found, 4)
    assert not found.verdict


def test_an_expired_leaf_fails_step_4_and_its_tcb_is_still_told(machine):
    end = machine.now - timedelta(seconds=1)
    leaf = machine.reissue(PCK, issuer=INTERMEDIATE, end=end)
    found = machine.examine(machine.with_chain(leaf, machine.certificates[INTERMEDIATE], machine.certificates[ROOT]))
    assert failed(found) == [4]
    assert detail(found, 4) == (
        "certificate 'Simulated SGX PCK Certificate' expired at 2026-06-01T11:59:59Z, 1 second before "
        "2026-06-01T12:00:00Z"
    )
    assert found.tcb_status == "UpToDate"


# Steps 5 and 6 -----------------------------------------------------------------------------------------------------

CRL_CASES = {
    "root CRL signed by another key": (5, lambda m: {"root_ca_crl": m.crl(ROOT, key=TCB_SIGNER)}),
    "root CRL of the intermediate": (5, lambda m: {"root_ca_crl": m.crl(INTERMEDIATE)}),
    "root CRL that revokes the intermediate": (5, lambda m: {"root_ca_crl": m.crl(ROOT, [INTERMEDIATE])}),
    "root CRL that revokes the TCB signer": (5, lambda m: {"root_ca_crl": m.crl(ROOT, [TCB_SIGNER])}),
    "root CRL that is none": (5, lambda _m: {"root_ca_crl": "3000"}),
    "root CRL that is expired": (5, lambda m: {"root_ca_crl": m.crl(ROOT, end=m.now - timedelta(hours=2))}),
    "root CRL of tomorrow": (5, lambda m: {"root_ca_crl": m.crl(ROOT, start=m.now + timedelta(minutes=1))}),
    "PCK CRL signed by another key": (6, lambda m: {"pck_crl": m.crl(INTERMEDIATE, key=ROOT)}),
    "PCK CRL of the root": (6, lambda m: {"pck_crl": m.crl(ROOT)}),
    "PCK CRL that revokes the leaf": (6, lambda m: {"pck_crl": m.crl(INTERMEDIATE, [PCK])}),
    "PCK CRL that is none": (6, lambda _m: {"pck_crl": "ff"}),
    "PCK CRL that is expired": (6, lambda m: {"pck_crl": m.crl(INTERMEDIATE, end=m.now - timedelta(hours=2))}),
    "PCK CRL of tomorrow": (6, lambda m: {"pck_crl": m.crl(INTERMEDIATE, start=m.now + timedelta(minutes=1))}),
    "PCK CRL issuer chain of the TCB signer": (
        6,
        lambda m: {"pck_crl_issuer_chain": (m.certificates[TCB_SIGNER] + m.certificates[ROOT]).decode()},
    ),
    "PCK CRL issuer chain without root": (
        6,
        lambda m: {"pck_crl_issuer_chain": m.certificates[INTERMEDIATE].decode()},
    ),
    "PCK CRL issuer chain the wrong way round": (
        6,
        lambda m: {"pck_crl_issuer_chain": (m.certificates[ROOT] + m.certificates[INTERMEDIATE]).decode()},
    ),
}
CRL_SENTENCES = {
    "root CRL signed by another key": "it is not signed by the key of 'Simulated SGX Root CA'",
    "root CRL of the intermediate": (
        "it is of 'Simulated SGX PCK Processor CA', not of 'Simulated SGX Root CA'; "
        "it is not signed by the key of 'Simulated SGX Root CA'"
    ),
    "root CRL that revokes the intermediate": "it revokes 'Simulated SGX PCK Processor CA'",
    "root CRL that revokes the TCB signer": "it revokes 'Simulated SGX TCB Signing'",
    "root CRL that is none": "it is not a well-formed X.509 CRL: an element is cut off",
    "root CRL that is expired": "root CA CRL expired at 2026-06-01T10:00:00Z, 2 hours before 2026-06-01T12:00:00Z",
    "root CRL of tomorrow": (
        "root CA CRL is valid only from 2026-06-01T12:01:00Z, 1 minute after 2026-06-01T12:00:00Z"
    ),
    "PCK CRL signed by another key": "it is not signed by the key of 'Simulated SGX PCK Processor CA'",
    "PCK CRL of the root": (
        "it is of 'Simulated SGX Root CA', not of 'Simulated SGX PCK Processor CA'; "
        "it is not signed by the key of 'Simulated SGX PCK Processor CA'"
    ),
    "PCK CRL that revokes the leaf": (
        "it revokes the quote's PCK certificate: the platform's key is no longer to be trusted"
    ),
    "PCK CRL that is none": "it is not a well-formed X.509 CRL: an element is cut off",
    "PCK CRL that is expired": "PCK CRL expired at 2026-06-01T10:00:00Z, 2 hours before 2026-06-01T12:00:00Z",
    "PCK CRL of tomorrow": "PCK CRL is valid only from 2026-06-01T12:01:00Z, 1 minute after 2026-06-01T12:00:00Z",
    "PCK CRL issuer chain of the TCB signer": (
        "its issuer chain is of 'Simulated SGX TCB Signing', whose key is not that of the quote's "
        "'Simulated SGX PCK Processor CA'"
    ),
    "PCK CRL issuer chain without root": "its issuer chain holds 1 certificates, not two: issuer and root",
    "PCK CRL issuer chain the wrong way round": (
        "its issuer chain ends in 'Simulated SGX PCK Processor CA', which has not the key of the trusted root "
        "'Simulated SGX Root CA'; its issuer chain is of 'Simulated SGX Root CA', whose key is not that of the quote's "
        "'Simulated SGX PCK Processor CA'"
    ),
}


@pytest.mark.parametrize("case", CRL_CASES)
def test_a_wrong_crl_fails_its_step(machine, case):
    number, make = CRL_CASES[case]
    found = machine.examine(collateral=machine.collateral(**make(machine)))
    assert number in failed(found)
    assert set(failed(found)) <= {number, 15}
    assert detail(found, number) == CRL_SENTENCES[case]


def test_a_revoked_signer_of_the_cas_name_does_not_make_the_ca_revoked(machine):
    signer = machine.reissue(TCB_SIGNER, issuer=ROOT, common_name="Simulated SGX PCK Processor CA")
    chain = (signer + machine.certificates[ROOT]).decode()
    found = machine.examine(
        collateral=machine.collateral(
            tcb_info_issuer_chain=chain, qe_identity_issuer_chain=chain, root_ca_crl=machine.crl(ROOT, [TCB_SIGNER])
        )
    )
    assert detail(found, 5) == "it revokes 'Simulated SGX PCK Processor CA'"
    assert found.tcb_status is TCBStatus.UP_TO_DATE


@pytest.mark.parametrize("revoked", ["PCK CRL that revokes the leaf", "root CRL that revokes the intermediate"])
def test_revoked_wins_over_the_level(machine, revoked):
    found = machine.examine(collateral=machine.collateral(**CRL_CASES[revoked][1](machine)))
    assert found.tcb_status == "Revoked"
    assert failed(found)[-1] == 15
    assert "is revoked" in detail(found, 15)
    assert found.platform_level.status == "UpToDate"


def test_a_revocation_that_nobody_trusted_signed_is_not_believed(machine):
    forged = machine.crl(INTERMEDIATE, [PCK], key=PCK)
    found = machine.examine(collateral=machine.collateral(pck_crl=forged))
    assert failed(found) == [6]
    assert found.tcb_status == "UpToDate"


def test_a_crl_without_number_is_a_warning(machine):
    bare = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_pem_x509_certificate(machine.certificates[ROOT]).subject)
        .last_update(machine.now)
        .next_update(machine.now)
        .sign(machine.keys[ROOT], hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    found = machine.examine(collateral=machine.collateral(root_ca_crl=bare.hex()))
    assert found.reasons == ()
    assert found.warnings == (
        "the root CA CRL has no CRL number; Intel's verifier demands one",
        "the root CA CRL has no authority key id; Intel's verifier demands one",
    )


# Steps 7 and 8 -----------------------------------------------------------------------------------------------------


def _set(**changes):
    return lambda document: document.update(changes)


DOCUMENT_CASES = {
    "TCB info of another FMSPC": (
        7,
        "tcb_info",
        _set(fmspc="00906ED50000"),
        "it is for FMSPC 00906ed50000, the quote's platform has 53494d000001",
    ),
    "TCB info of another PCE": (
        7,
        "tcb_info",
        _set(pceId="0102"),
        "it is for PCEID 0102, the quote's platform has 0000",
    ),
    "TCB info for TDX": (7, "tcb_info", _set(id="TDX"), "tcb_info.id: must be 'SGX', is 'TDX'"),
    "TCB info expired": (
        7,
        "tcb_info",
        _set(nextUpdate="2026-06-01T11:59:59Z"),
        "TCB info expired at 2026-06-01T11:59:59Z, 1 second before 2026-06-01T12:00:00Z",
    ),
    "TCB info of the future": (
        7,
        "tcb_info",
        _set(issueDate="2026-06-01T12:00:01Z"),
        "TCB info is valid only from 2026-06-01T12:00:01Z, 1 second after 2026-06-01T12:00:00Z",
    ),
    "QE identity of the QVE": (8, "qe_identity", _set(id="QVE"), "qe_identity.id: must be 'QE', is 'QVE'"),
    "QE identity expired": (
        8,
        "qe_identity",
        _set(nextUpdate="2026-05-31T12:00:00Z"),
        "QE identity expired at 2026-05-31T12:00:00Z, 1 day before 2026-06-01T12:00:00Z",
    ),
    "QE identity of the future": (
        8,
        "qe_identity",
        _set(issueDate="2026-06-08T12:00:00Z"),
        "QE identity is valid only from 2026-06-08T12:00:00Z, 7 days after 2026-06-01T12:00:00Z",
    ),
}


@pytest.mark.parametrize("case", DOCUMENT_CASES)
def test_a_wrong_document_fails_its_step_though_it_is_signed(machine, case):
    number, document, change, sentence = DOCUMENT_CASES[case]
    found = machine.examine(collateral=machine.resigned(document, change))
    assert failed(found) == [number]
    assert detail(found, number) == sentence


@pytest.mark.parametrize(("number", "document"), [(7, "tcb_info"), (8, "qe_identity")])
class TestSignedDocuments:
    """What both signed documents have in common."""

    def test_a_changed_text_is_refused(self, machine, number, document):
        text = machine.members()[document]
        found = machine.examine(collateral=machine.collateral(**{document: text.replace("21", "22", 1)}))
        assert failed(found) == [number]
        assert detail(found, number) == "the signature over its text is not by 'Simulated SGX TCB Signing'"
        assert found.tcb_status is None

    def test_text_with_another_layout_is_not_the_signed_text(self, machine, number, document):
        text = machine.members()[document].replace(":", ": ", 1)
        assert failed(machine.examine(collateral=machine.collateral(**{document: text}))) == [number]

    @pytest.mark.parametrize("signature", ["00" * 64, "00", "ff" * 64, "01" * 65])
    def test_a_wrong_signature_is_refused(self, machine, number, document, signature):
        found = machine.examine(collateral=machine.collateral(**{f"{document}_signature": signature}))
        assert failed(found) == [number]

    def test_another_signer_is_refused(self, machine, number, document):
        chain = (machine.certificates[INTERMEDIATE] + machine.certificates[ROOT]).decode()
        found = machine.examine(collateral=machine.collateral(**{f"{document}_issuer_chain": chain}))
        assert failed(found) == [number]
        assert "'Simulated SGX PCK Processor CA' may not sign documents" in detail(found, number)

    def test_a_signer_of_another_root_is_refused(self, machine, other_machine, number, document):
        theirs = other_machine.members()
        members = {name: theirs[name] for name in theirs if name.startswith(document)}
        found = machine.examine(collateral=machine.collateral(**members))
        assert failed(found) == [number]
        assert "which has not the key of the trusted root" in detail(found, number)

    def test_an_expired_signer_is_refused(self, machine, number, document):
        start, end = (machine.now - timedelta(days=days) for days in (9, 3))
        expired = machine.reissue(TCB_SIGNER, issuer=ROOT, start=start, end=end)
        chain = (expired + machine.certificates[ROOT]).decode()
        found = machine.examine(collateral=machine.collateral(**{f"{document}_issuer_chain": chain}))
        assert failed(found) == [number]
        assert detail(found, number).startswith("certificate 'Simulated SGX TCB Signing' expired at 2026-05-29")

    def test_a_chain_without_root_is_refused(self, machine, number, document):
        chain = machine.certificates[TCB_SIGNER].decode()
        found = machine.examine(collateral=machine.collateral(**{f"{document}_issuer_chain": chain}))
        assert failed(found) == [number]
        assert detail(found, number) == "its issuer chain holds 1 certificates, not two: issuer and root"

    def test_a_chain_that_is_no_pem_is_refused(self, machine, number, document):
        found = machine.examine(collateral=machine.collateral(**{f"{document}_issuer_chain": "nothing"}))
        assert failed(found) == [number]

    def test_both_ends_of_the_window_belong_to_it(self, machine, number, document):
        now = "2026-06-01T12:00:00Z"
        assert machine.examine(collateral=machine.resigned(document, _set(issueDate=now, nextUpdate=now))).verdict


def test_evaluation_numbers_may_differ(machine):
    collateral = machine.resigned("tcb_info", _set(tcbEvaluationDataNumber=17))
    found = machine.examine(collateral=collateral)
    assert found.verdict
    assert (found.tcb_info.evaluation_number, found.qe_identity.evaluation_number) == (17, 21)


# Steps 9 to 12 -----------------------------------------------------------------------------------------------------

REGIONS = {
    "header: qe_svn": (8, [12]),
    "header: user_data": (28, [12]),
    "report: cpu_svn": (48, [12]),
    "report: mr_enclave": (48 + 64, [12]),
    "report: report_data": (48 + 320, [12]),
    "report: last byte": (431, [12]),
    "sig: r": (436, [12]),
    "sig: s": (436 + 32, [12]),
    "attest_pub_key: x": (500, [11, 12]),
    "attest_pub_key: y": (500 + 32, [11, 12]),
    "qe_report: cpu_svn": (564, [9]),
    "qe_report: mr_signer": (564 + 128, [9, 10]),
    "qe_report: isv_svn": (564 + 258, [9]),
    "qe_report: report_data": (564 + 320, [9, 11]),
    "qe_report: second half of report_data": (564 + 352, [9, 11]),
    "qe_report_sig: r": (948, [9]),
    "qe_report_sig: s": (948 + 32, [9]),
    "auth_data": (1014, [11]),
}


@pytest.mark.parametrize("region", REGIONS)
def test_a_flipped_bit_in_a_signed_region_fails_the_steps_that_cover_it(machine, region):
    offset, numbers = REGIONS[region]
    data = bytearray(machine.quote())
    data[offset] ^= 1
    found = machine.examine(bytes(data))
    assert failed(found) == numbers


def test_a_flipped_bit_in_leaf_or_intermediate_is_refused(machine):
    text = machine.parsed().certification_data
    ends = [at for at in range(len(text)) if text.startswith(b"-----END", at)][:2]
    for end in ends:
        # A digit in the middle of the signature, whose bits all count.
        at = end - 20
        changed = text[:at] + (b"A" if text[at : at + 1] != b"A" else b"B") + text[at + 1 :]
        found = machine.examine(edited(machine, certification_data=changed))
        assert set(failed(found)) & {2, 4}, f"at {at}"


QE_REPORT_CASES = {
    "MISCSELECT": ({"misc_select": 1}, "MISCSELECT is 01000000, must be 00000000"),
    "debug QE": ({"attributes": Attributes(flags=0x17, xfrm=0xE7)}, "ATTRIBUTES is 13"),
    "MRSIGNER": ({"mr_signer": bytes(32)}, f"MRSIGNER is {'00' * 32}, must be "),
    "ISVPRODID": ({"isv_prod_id": 2}, "ISVPRODID is 2, must be 1"),
}


@pytest.mark.parametrize("case", QE_REPORT_CASES)
def test_another_qe_fails_step_10_and_its_level_is_not_judged(machine, case):
    changes, sentence = QE_REPORT_CASES[case]
    found = machine.examine(qe_report(machine, **changes))
    assert failed(found) == [10]
    assert detail(found, 10).startswith(sentence)
    assert unjudged(found) == [14, 15]
    assert found.tcb_status is None


@pytest.mark.parametrize("flags", [0x11, 0x15])
@pytest.mark.parametrize("xfrm", [3, 0xE7, 0x602E7])
def test_masked_attributes_of_the_qe_are_free(machine, flags, xfrm):
    assert machine.examine(qe_report(machine, attributes=Attributes(flags=flags, xfrm=xfrm))).verdict


def test_the_second_half_of_the_binding_must_be_zero(machine):
    report_data = machine.parsed().qe_report.report_data[:32] + bytes(31) + b"\1"
    found = machine.examine(qe_report(machine, report_data=report_data))
    assert failed(found) == [11]


def test_a_key_off_the_curve_fails_step_12(machine):
    found = machine.examine(edited(machine, attest_pub_key=b"\1" * 64))
    assert failed(found) == [11, 12]
    assert detail(found, 12) == "the attestation key is not a point on P-256"


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(63) + b"\1"])
def test_a_degenerate_signature_is_refused(machine, signature):
    assert failed(machine.examine(edited(machine, sig=signature))) == [12]
    assert failed(machine.examine(edited(machine, qe_report_sig=signature))) == [9]


def test_a_qe_report_signed_by_another_machine_fails_step_9(machine, other_machine):
    theirs = other_machine.parsed()
    found = machine.examine(edited(machine, qe_report=theirs.qe_report, qe_report_sig=theirs.qe_report_sig))
    assert failed(found) == [9, 11]


# Steps 13 to 15 ----------------------------------------------------------------------------------------------------


def test_no_level_means_no_status_and_no_verdict(machine):
    found = machine.examine(collateral=machine.collateral(CollateralOptions(missing_level=True)))
    assert failed(found) == [13]
    assert detail(found, 13) == "the platform reaches no level of the TCB info: it is older than the oldest one"
    assert found.tcb_status is None


def test_a_qe_below_every_level_counts_as_revoked(machine):
    found = machine.examine(qe_report(machine, isv_svn=0))
    assert failed(found) == [14, 15]
    assert detail(found, 14) == "ISVSVN 0 is below every level: the QE counts as Revoked"
    assert found.tcb_status == "Revoked"


def test_a_revoked_level_is_no_verdict(machine):
    found = machine.examine(collateral=machine.collateral(CollateralOptions(tcb_status=TCBStatus.REVOKED)))
    assert failed(found) == [15]
    assert detail(found, 15) == "Revoked: keys of this platform or QE are known to have leaked"
    assert found.tcb_status == "Revoked"
    assert not found.verdict


def test_advisories_of_platform_and_qe_are_joined_without_repetition(machine):
    def platform(document):
        for level in document["tcbLevels"]:
            level |= {"tcbStatus": "SWHardeningNeeded", "advisoryIDs": ["INTEL-SA-00615", "INTEL-SA-00001"]}

    def qe(document):
        document["tcbLevels"][0] |= {"tcbStatus": "OutOfDate", "advisoryIDs": ["INTEL-SA-00615", "INTEL-SA-00002"]}

    one = machine.resigned("tcb_info", platform)
    two = machine.resigned("qe_identity", qe)
    joined = replace(one, qe_identity=two.qe_identity, qe_identity_signature=two.qe_identity_signature)
    found = machine.examine(collateral=joined)
    assert found.tcb_status == "OutOfDate"
    assert found.advisories == ("INTEL-SA-00615", "INTEL-SA-00001", "INTEL-SA-00002")


def test_statuses_below_up_to_date_are_genuine(machine):
    found = machine.examine(collateral=machine.collateral(CollateralOptions(tcb_status=TCBStatus.OUT_OF_DATE)))
    assert found.verdict
    assert found.tcb_status == "OutOfDate"


# The whole ---------------------------------------------------------------------------------------------------------


def test_every_failure_is_listed_not_only_the_first(machine):
    data = bytearray(edited(machine, attest_pub_key=bytes(64)))
    data[0] = 9
    collateral = machine.collateral(pck_crl=machine.crl(INTERMEDIATE, [PCK]), root_ca_crl="30")
    found = machine.examine(bytes(data), collateral)
    assert failed(found) == [1, 5, 6, 11, 12, 15]
    assert [reason.split(":")[0] for reason in found.reasons] == [
        "step 1 (quote format)",
        "step 5 (root CA CRL)",
        "step 6 (PCK CRL)",
        "step 11 (attestation key binding)",
        "step 12 (quote signature)",
        "step 15 (TCB status)",
    ]


def test_verify_returns_only_for_a_genuine_quote(machine):
    quote, collateral = machine.quote(), machine.collateral()
    assert verify(quote, collateral, machine.root, machine.now).verdict
    with pytest.raises(QuoteVerificationError) as caught:
        verify(quote[:-2000], collateral, machine.root, machine.now)
    assert str(caught.value).startswith("the quote is not genuine: step 1 (quote format): quote: field")


def test_a_debug_enclave_is_genuine(machine):
    flags = FLAG_INITTED | FLAG_MODE64BIT | FLAG_DEBUG
    found = machine.examine(machine.quote(attributes=Attributes(flags=flags)))
    assert found.verdict
    assert found.identity.attributes.debug


def test_one_verifier_serves_many_quotes_at_many_times(machine):
    verifier = Verifier(machine.collateral(), machine.root)
    quotes = [machine.quote(isv_svn=number) for number in range(3)]
    assert [verifier.examine(quote, machine.now).identity.isv_svn for quote in quotes] == [0, 1, 2]
    later = machine.now + timedelta(days=40)
    assert failed(verifier.examine(quotes[0], later)) == [6, 7, 8]
    assert verifier.examine(quotes[1], machine.now).verdict


def test_a_time_without_zone_is_refused(machine):
    with pytest.raises(ValueError, match="time zone"):
        machine.examine(at=datetime(2026, 6, 1, 12))  # noqa: DTZ001 - the case


def test_hostile_text_in_details_cannot_move_the_cursor(machine):
    collateral = machine.resigned("tcb_info", _set(id="\x1b[2J" + "x" * 5000))
    text = detail(machine.examine(collateral=collateral), 7)
    assert "\x1b" not in text
    assert len(text) <= 1000


def test_an_old_date_is_no_trouble(machine):
    found = machine.examine(at=datetime(1, 1, 1, tzinfo=UTC))
    assert failed(found) == [4, 5, 6, 7, 8]


def test_nothing_warns_on_serial_numbers_of_160_bits(real_set):
    chosen = real_set("sgx-00606a000000-268c0681-tcb3-eval17-20250815")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Verifier(chosen.collateral, chosen.root)
        assert Quote.from_bytes(chosen.quote)
