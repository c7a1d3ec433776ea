"""The policy: one row for each thing that an enclave can be otherwise than wanted."""

from dataclasses import replace

import pytest

from confcom.codes import TCBStatus
from confcom.errors import AppraisalError, InputError, QuoteVerificationError
from confcom.quote import DEFAULT_STATUSES, Policy
from confcom.sgx import Attributes
from confcom.sgx.report import FLAG_DEBUG, FLAG_INITTED, FLAG_MODE64BIT
from confcom.simulation.collateral import CollateralOptions

ENCLAVE = b"\xaa" * 32
SIGNER = b"\xbb" * 32
DATA = bytes(range(64))
DEBUG = Attributes(flags=FLAG_INITTED | FLAG_MODE64BIT | FLAG_DEBUG)


@pytest.fixture(scope="module")
def genuine(machine):
    quote = machine.quote(mr_enclave=ENCLAVE, mr_signer=SIGNER, isv_prod_id=3, isv_svn=7, report_data=DATA)
    return machine.examine(quote)


WANTED = {
    "anything": {},
    "mr_enclave": {"mr_enclave": ENCLAVE},
    "mr_signer": {"mr_signer": SIGNER},
    "isv_prod_id": {"isv_prod_id": 3},
    "isv_svn, exact": {"min_isv_svn": 7},
    "isv_svn, lower": {"min_isv_svn": 0},
    "report_data": {"report_data": DATA},
    "all of it": {
        "mr_enclave": ENCLAVE,
        "mr_signer": SIGNER,
        "isv_prod_id": 3,
        "min_isv_svn": 7,
        "report_data": DATA,
        "accepted_statuses": frozenset({TCBStatus.UP_TO_DATE}),
    },
}


@pytest.mark.parametrize("case", WANTED)
def test_a_wanted_enclave_gives_no_reason(genuine, case):
    policy = Policy(**WANTED[case])
    assert policy.appraise(genuine) == ()
    policy.require(genuine)


UNWANTED = {
    "mr_enclave": ({"mr_enclave": bytes(32)}, f"mr_enclave is {'aa' * 32}, expected {'00' * 32}"),
    "mr_signer": ({"mr_signer": ENCLAVE}, f"mr_signer is {'bb' * 32}, expected {'aa' * 32}"),
    "isv_prod_id": ({"isv_prod_id": 0}, "isv_prod_id is 3, expected 0"),
    "isv_svn": ({"min_isv_svn": 8}, "isv_svn is 7, expected at least 8"),
    "report_data": ({"report_data": bytes(64)}, f"report_data is {DATA.hex()}, expected {'00' * 64}"),
    "status": (
        {"accepted_statuses": frozenset({TCBStatus.OUT_OF_DATE, TCBStatus.SW_HARDENING_NEEDED})},
        "TCB status is UpToDate; accepted: SWHardeningNeeded, OutOfDate",
    ),
    "no status": ({"accepted_statuses": frozenset()}, "TCB status is UpToDate; accepted: none"),
}


@pytest.mark.parametrize("case", UNWANTED)
def test_an_unwanted_enclave_gives_found_and_expected(genuine, case):
    fields, sentence = UNWANTED[case]
    assert Policy(**fields).appraise(genuine) == (sentence,)
    with pytest.raises(AppraisalError) as caught:
        Policy(**fields).require(genuine)
    assert str(caught.value) == f"the quote is refused: {sentence}"


def test_every_reason_is_given(genuine):
    policy = Policy(mr_enclave=bytes(32), isv_prod_id=9, min_isv_svn=9)
    assert [reason.split()[0] for reason in policy.appraise(genuine)] == ["mr_enclave", "isv_prod_id", "isv_svn"]


def test_debug_enclaves_are_refused_unless_allowed(machine):
    found = machine.examine(machine.quote(attributes=DEBUG))
    sentence = "it is a DEBUG enclave, whose memory the host can read; the policy does not allow debug"
    assert Policy().appraise(found) == (sentence,)
    assert Policy(allow_debug=True).appraise(found) == ()


@pytest.mark.parametrize("status", [status for status in TCBStatus if status is not TCBStatus.REVOKED])
def test_the_default_accepts_the_best_that_healthy_machines_reach(machine, status):
    found = machine.examine(collateral=machine.collateral(CollateralOptions(tcb_status=status)))
    assert found.tcb_status is status
    reasons = Policy().appraise(found)
    assert reasons == (
        () if status in DEFAULT_STATUSES else (f"TCB status is {status}; accepted: UpToDate, SWHardeningNeeded",)
    )
    assert Policy(accepted_statuses=frozenset({status})).appraise(found) == ()


def test_the_default_statuses():
    assert {TCBStatus.UP_TO_DATE, TCBStatus.SW_HARDENING_NEEDED} == DEFAULT_STATUSES


def test_revoked_is_refused_once_whatever_is_accepted(machine):
    found = machine.examine(collateral=machine.collateral(CollateralOptions(tcb_status=TCBStatus.REVOKED)))
    everything = Policy(accepted_statuses=frozenset(TCBStatus) - {TCBStatus.REVOKED})
    assert everything.appraise(found) == (
        "step 15 (TCB status): Revoked: keys of this platform or QE are known to have leaked",
    )
    with pytest.raises(InputError, match="Revoked cannot be accepted"):
        Policy(accepted_statuses=frozenset({TCBStatus.REVOKED}))


def test_no_policy_makes_a_forgery_pass(machine):
    data = bytearray(machine.quote(mr_enclave=ENCLAVE))
    data[48 + 64] ^= 1
    found = machine.examine(bytes(data))
    forged = bytes(data[48 + 64 : 48 + 96])
    policy = Policy(mr_enclave=forged, allow_debug=True)
    assert policy.appraise(found) == found.reasons != ()
    with pytest.raises(QuoteVerificationError, match=r"the quote is refused: step 12 \(quote signature\)"):
        policy.require(found)


def test_a_step_that_was_not_judged_never_makes_a_quote_pass(genuine):
    unjudged = replace(genuine.steps[14], ok=False, judged=False, detail="not judged: it rests on nothing")
    found = replace(genuine, verdict=False, steps=(*genuine.steps[:14], unjudged))
    with pytest.raises(QuoteVerificationError, match=r"step 15 \(TCB status\): not judged: it rests on nothing$"):
        Policy(allow_debug=True).require(found)


def test_failed_steps_come_before_what_the_policy_wants(machine):
    found = machine.examine(machine.quote()[:-1])
    reasons = Policy(isv_prod_id=5).appraise(found)
    assert [reason[:6] for reason in reasons] == ["step 1", "isv_pr"]


MALFORMED = {
    "mr_enclave": ({"mr_enclave": bytes(31)}, "policy: mr_enclave needs 32 bytes, not 31"),
    "one of two": ({"mr_enclave": frozenset({bytes(32), bytes(33)})}, "policy: mr_enclave needs 32 bytes, not 33"),
    "no mr_enclave": (
        {"mr_enclave": frozenset()},
        "policy: mr_enclave is an empty set: nothing could be accepted; leave it out to accept any",
    ),
    "no mr_signer": (
        {"mr_signer": frozenset()},
        "policy: mr_signer is an empty set: nothing could be accepted; leave it out to accept any",
    ),
    "mr_signer": ({"mr_signer": b""}, "policy: mr_signer needs 32 bytes, not 0"),
    "report_data": ({"report_data": bytes(32)}, "policy: report_data needs 64 bytes, not 32"),
    "isv_prod_id": ({"isv_prod_id": 65536}, "policy: isv_prod_id must be 0 to 65535, is 65536"),
    "min_isv_svn": ({"min_isv_svn": -1}, "policy: min_isv_svn must be 0 to 65535, is -1"),
    "min_tcb_evaluation_data_number": (
        {"min_tcb_evaluation_data_number": 1 << 32},
        "policy: min_tcb_evaluation_data_number must be 0 to 4294967295, is 4294967296",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_values_that_no_report_could_have_are_refused(case):
    fields, sentence = MALFORMED[case]
    with pytest.raises(InputError) as caught:
        Policy(**fields)
    assert str(caught.value) == sentence
