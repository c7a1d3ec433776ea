"""From what is wrong to whose move it is: a row for each finding, the code that it must lead to, and who acts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from confcom.codes import TCBStatus, Who
from confcom.quote import Collateral, Policy, TrustRoot, Verifier, advise, intel_root, verification_document
from confcom.sgx import Attributes
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT, TCB_SIGNER

NOTHING = Collateral(
    pck_crl_issuer_chain=b"", root_ca_crl=b"", pck_crl=b"", tcb_info_issuer_chain=b"", tcb_info=b"",
    tcb_info_signature=b"", qe_identity_issuer_chain=b"", qe_identity=b"", qe_identity_signature=b"",
)  # fmt: skip


def options(**values):
    return lambda m: m.examine(collateral=m.collateral(CollateralOptions(**values)))


def members(change):
    return lambda m: m.examine(collateral=m.collateral(**change(m)))


def quote(change):
    return lambda m: m.examine(change(m))


def signed(**changes):
    return lambda m: m.examine(m.sign(replace(m.parsed(), **changes)))


def over(name, issuer):
    """The chain with one certificate that ended an hour ago."""

    def make(m):
        chain = {part: m.certificates[part] for part in (PCK, INTERMEDIATE, ROOT)}
        chain[name] = m.reissue(name, issuer=issuer, end=m.now - timedelta(hours=1))
        return m.examine(m.with_chain(*chain.values()))

    return make


def crl_over(m):
    return m.examine(collateral=m.collateral(root_ca_crl=m.crl(ROOT, end=m.now - timedelta(seconds=1))))


def signer_over(m):
    signer = m.reissue(TCB_SIGNER, issuer=ROOT, end=m.now - timedelta(hours=1))
    chain = (signer + m.certificates[ROOT]).decode()
    return m.examine(collateral=m.collateral(tcb_info_issuer_chain=chain, qe_identity_issuer_chain=chain))


def resigned(document, **changes):
    return lambda m: m.examine(collateral=m.resigned(document, lambda content: content.update(changes)))


def flipped(offset):
    def change(m):
        data = bytearray(m.quote())
        data[offset] ^= 1
        return bytes(data)

    return quote(change)


def qe_svn(m):
    parsed = m.parsed()
    return m.examine(m.sign(replace(parsed, qe_report=replace(parsed.qe_report, isv_svn=0))))


EXPIRED = {"0xE02E", "0xE02C", "0xE030"}
# What is wrong, the codes in their order, and who acts first.
FINDINGS = {
    "version": (flipped(0), ["0xE01D", "0xA004"], Who.YOU),
    "type 3": (signed(certification_data_type=3, certification_data=bytes(404)), ["0xE01C"], Who.HELPER_OPERATOR),
    "no chain": (signed(certification_data=b""), ["0xE021"], Who.YOU),
    "Intel's root": (
        lambda m: m.examine(root=intel_root()),
        ["untrusted root"],
        Who.VERIFIER,
    ),
    "leaf is over": (over(PCK, INTERMEDIATE), ["0xE02D"], Who.NODE_OWNER),
    "CA is over": (over(INTERMEDIATE, ROOT), ["0xE02D"], Who.NODE_OWNER),
    "signer is over": (signer_over, ["0xE02F"], Who.VERIFIER),
    "root CRL is over": (crl_over, ["0xE02E"], Who.VERIFIER),
    "all is over": (options(issued=timedelta(days=40)), ["0xE02E", "0xE02C", "0xE030"], Who.VERIFIER),
    "all begins later": (options(issued=-timedelta(days=1)), ["issue date in the future"], Who.VERIFIER),
    "CRL of another": (members(lambda m: {"pck_crl": m.crl(ROOT)}), ["0xE022"], Who.VERIFIER),
    "PCK revoked": (options(revoke_pck=True), ["0xE031"], Who.NODE_OWNER),
    "CA revoked": (members(lambda m: {"root_ca_crl": m.crl(ROOT, [INTERMEDIATE])}), ["0xE031"], Who.NODE_OWNER),
    "level revoked": (options(tcb_status=TCBStatus.REVOKED), ["0xE032"], Who.NODE_OWNER),
    "other FMSPC": (resigned("tcb_info", fmspc="00" * 6), ["0xE024"], Who.VERIFIER),
    "malformed TCB info": (resigned("tcb_info", fmspc="0"), ["0xE023"], Who.VERIFIER),
    "forged TCB info": (members(lambda m: {"tcb_info_signature": "00" * 64}), ["0xE03A"], Who.VERIFIER),
    "malformed QE identity": (resigned("qe_identity", id="TD_QE"), ["0xE025"], Who.VERIFIER),
    "forged QE identity": (members(lambda m: {"qe_identity_signature": "00" * 64}), ["0xE039"], Who.VERIFIER),
    "other QE": (resigned("qe_identity", mrsigner="00" * 32), ["0xE026"], Who.VERIFIER),
    "QE report changed": (flipped(633), ["0xE01F"], Who.YOU),
    "key changed": (flipped(510), ["0xA004"], Who.YOU),
    "report changed": (flipped(112), ["0xA004"], Who.YOU),
    "no level": (options(missing_level=True), ["0xE066"], Who.NODE_OWNER),
    "QE below all levels": (qe_svn, ["0xE032"], Who.NODE_OWNER),
}


@pytest.mark.parametrize("case", FINDINGS)
def test_a_finding_leads_to_its_code_and_to_who_acts(machine, case):
    make, labels, who = FINDINGS[case]
    found = advise(make(machine), Policy())
    assert [advice.code.label for advice in found] == labels
    assert found[0].code.who is who
    assert all(advice.reasons and advice.code.next_step for advice in found)


WANTED = {
    "mr_enclave": (Policy(mr_enclave=bytes(32)), "another enclave"),
    "isv_svn": (Policy(min_isv_svn=9), "another enclave"),
    "report data": (Policy(report_data=b"\x01" * 64), "report data mismatch"),
    "debug": (Policy(), "debug enclave"),
    "status": (Policy(accepted_statuses=frozenset()), "UpToDate"),
    "evaluation number": (Policy(min_tcb_evaluation_data_number=99), "worked yesterday, fails today"),
}


@pytest.mark.parametrize("case", WANTED)
def test_what_the_policy_refuses_leads_to_its_code_too(machine, case):
    policy, label = WANTED[case]
    attributes = Attributes(flags=7) if case == "debug" else Attributes(flags=5)
    found = advise(machine.examine(machine.quote(attributes=attributes)), policy)
    assert [advice.code.label for advice in found] == [label]


def test_advisories_lead_to_the_advisory(machine):
    verification = machine.examine(collateral=machine.collateral(CollateralOptions(tcb_status=TCBStatus.OUT_OF_DATE)))
    policy = Policy(
        accepted_statuses=frozenset({TCBStatus.OUT_OF_DATE}), rejected_advisories=frozenset({"INTEL-SA-00960"})
    )
    found = advise(verification, policy)
    assert [advice.code.label for advice in found] == ["INTEL-SA-00960"]
    assert "intel-sa-00960.html" in found[0].code.next_step


def test_a_quote_that_is_accepted_needs_no_advice(machine):
    assert advise(machine.examine(), Policy()) == ()


def test_each_reason_is_answered_and_the_document_says_so(machine):
    verification = machine.examine(collateral=machine.collateral(CollateralOptions(issued=timedelta(days=40))))
    document = verification_document(verification, Policy(mr_enclave=bytes(32)))
    answered = {reason for step in document["next_steps"] for reason in step["reasons"]}
    assert answered == set(document["reasons"])
    assert {step["code"] for step in document["next_steps"]} >= EXPIRED
    assert all(step["who"] and step["next_step"] for step in document["next_steps"])


def test_without_any_collateral_every_reason_is_answered(machine):
    verification = Verifier(NOTHING, TrustRoot.from_bytes(machine.platform.root_pem)).examine(
        machine.quote(), machine.now
    )
    document = verification_document(verification, Policy())
    answered = {reason for step in document["next_steps"] for reason in step["reasons"]}
    assert answered == set(document["reasons"])
