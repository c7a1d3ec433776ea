"""Quotes made by Intel's hardware with collateral that Intel signed: the judge is Intel's own verification library."""

import json
from datetime import UTC, datetime

import dcap_qvl
import pytest

from confcom.quote import Policy, Verifier, examine, intel_root, parse_time

ICX, CFL, OTHER = "sgx-00606a000000", "sgx-00906ed50000", "sgx-00a067110000"
# Set, time, TCB status, evaluation number of the TCB info, whether it is a debug enclave.
SETS = [
    (f"{ICX}-2008020f-tcb3-eval17-20250815", "2025-08-30T05:09:06Z", "OutOfDateConfigurationNeeded", 17, False),
    (f"{ICX}-268c0681-tcb3-eval17-20250815", "2025-08-30T05:09:06Z", "SWHardeningNeeded", 17, False),
    (f"{ICX}-77bcbdfa-tcb3-eval17-20250815", "2025-08-30T05:09:06Z", "OutOfDate", 17, True),
    (f"{CFL}-0c131b4f-tcb3-eval17-20250527", "2025-06-11T19:08:46Z", "OutOfDate", 17, False),
    (f"{CFL}-3346527d-tcb2-eval12-20220426", "2022-05-11T23:03:47Z", "SWHardeningNeeded", 12, True),
    (f"{CFL}-3346527d-tcb3-eval19-20250527", "2025-06-11T19:08:46Z", "OutOfDate", 19, True),
    (f"{CFL}-91831a5e-tcb3-eval17-20250527", "2025-06-11T19:08:46Z", "OutOfDate", 17, False),
    (f"{CFL}-91831a5e-tcb3-eval19-20250527", "2025-06-11T19:08:46Z", "OutOfDate", 19, False),
    (f"{OTHER}-743a7a64-tcb3-eval17-20250619", "2025-07-04T10:28:44Z", "ConfigurationAndSWHardeningNeeded", 17, True),
]
NAMES = [name for name, *_ in SETS]


@pytest.mark.parametrize(("name", "at", "status", "number", "debug"), SETS, ids=NAMES)
class TestEachSet:
    def test_it_is_genuine_and_has_the_status_of_intels_verdict(self, real_set, name, at, status, number, debug):
        chosen = real_set(name)
        found = examine(chosen.quote, chosen.collateral, intel_root(), parse_time(at))
        assert found.reasons == ()
        assert found.verdict
        assert found.tcb_status == status
        assert found.tcb_info.evaluation_number == number
        assert found.identity.attributes.debug == debug
        assert found.warnings == ()
        assert not found.simulated

    def test_the_policy_asks_for_more(self, real_set, name, at, status, number, debug):
        chosen = real_set(name)
        found = examine(chosen.quote, chosen.collateral, chosen.root, parse_time(at))
        reasons = Policy().appraise(found)
        assert any("DEBUG" in reason for reason in reasons) == debug
        assert any(reason.startswith("TCB status is ") for reason in reasons) == (status != "SWHardeningNeeded")
        accepting = Policy(allow_debug=True, accepted_statuses=frozenset({found.tcb_status}))
        assert accepting.appraise(found) == ()

    def test_today_it_is_expired_and_the_expired_parts_are_named(self, real_set, name, at, status, number, debug):
        chosen = real_set(name)
        found = examine(chosen.quote, chosen.collateral, intel_root(), datetime.now(UTC))
        assert not found.verdict
        assert found.tcb_status == status
        for number_, part in ((6, "PCK CRL"), (7, "TCB info"), (8, "QE identity")):
            assert f"{part} expired at 202" in found.steps[number_ - 1].detail
        assert all("expired at" in reason for reason in found.reasons)

    def test_both_ends_of_its_time_belong_to_it(self, real_set, name, at, status, number, debug):
        chosen = real_set(name)
        verifier = Verifier(chosen.collateral, intel_root())
        windows = verifier.examine(chosen.quote, parse_time(at)).windows
        first, last = max(window.start for window in windows), min(window.end for window in windows)
        assert verifier.examine(chosen.quote, first).verdict
        assert verifier.examine(chosen.quote, last).verdict

    def test_dcap_qvl_agrees(self, real_set, name, at, status, number, debug):
        if "tcb2" in name:
            pytest.skip("dcap-qvl knows no TCB info of version 2")
        chosen = real_set(name)
        collateral = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(chosen.members))
        at = int(parse_time(at).timestamp())
        if debug:
            with pytest.raises(ValueError, match=r"^Verification failed: Debug mode is enabled$"):
                dcap_qvl.verify(chosen.quote, collateral, at)
            return
        theirs = dcap_qvl.verify(chosen.quote, collateral, at)
        ours = examine(chosen.quote, chosen.collateral, intel_root(), datetime.fromtimestamp(at, UTC))
        assert theirs.status == ours.tcb_status
        assert set(theirs.advisory_ids) == set(ours.advisories)


def test_evaluation_numbers_of_tcb_info_and_qe_identity_need_not_be_equal(real_set):
    chosen = real_set(f"{CFL}-91831a5e-tcb3-eval19-20250527")
    found = examine(chosen.quote, chosen.collateral, intel_root(), parse_time("2025-06-11T19:08:46Z"))
    assert (found.tcb_info.evaluation_number, found.qe_identity.evaluation_number) == (19, 17)
    assert found.verdict


def test_the_older_root_certificate_has_the_same_key(real_set):
    chosen = real_set(f"{CFL}-0c131b4f-tcb3-eval17-20250527")
    found = examine(chosen.quote, chosen.collateral, intel_root(), parse_time("2025-06-11T19:08:46Z"))
    assert found.steps[2].ok
    assert found.verdict


def test_collateral_of_another_cpu_family_is_refused(real_set):
    chosen, other = real_set(NAMES[1]), real_set(NAMES[6])
    found = examine(chosen.quote, other.collateral, intel_root(), parse_time("2025-06-11T19:08:46Z"))
    assert not found.steps[6].ok
    assert found.steps[6].detail == "it is for FMSPC 00906ed50000, the quote's platform has 00606a000000"
    assert "'Intel SGX PCK Processor CA', whose key is not that" in found.steps[5].detail
    assert found.tcb_status is None


def test_a_real_quote_is_not_of_the_simulators_root(real_set, machine):
    chosen = real_set(NAMES[1])
    found = examine(chosen.quote, chosen.collateral, machine.root, parse_time("2025-08-30T05:09:06Z"))
    assert found.steps[2].detail == (
        "the chain ends in 'Intel SGX Root CA', which has not the key of the trusted root 'Simulated SGX Root CA'"
    )
    assert not found.verdict
