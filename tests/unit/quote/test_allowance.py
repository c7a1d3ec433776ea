"""Grace and clock slack: what they let pass, that they say so, and what they never touch."""

from datetime import timedelta

import pytest

from confcom.errors import InputError
from confcom.quote import Allowance, Policy, Verifier, Window, format_time, parse_time, verification_document
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def examine(machine, allowance, *, collateral=None, quote=None, at=None):
    verifier = Verifier(collateral or machine.collateral(), machine.root, allowance)
    return verifier.examine(quote or machine.quote(), at or machine.now)


def issued(machine, ago, lifetime=30 * DAY):
    options = CollateralOptions(issued=ago, lifetime=lifetime, root_crl_lifetime=lifetime)
    return machine.collateral(options)


# Grace ---------------------------------------------------------------------------------------------------------------

PARTS = ("root CA CRL", "PCK CRL", "TCB info", "QE identity")


def test_without_grace_each_part_that_is_over_is_a_reason(machine):
    found = examine(machine, Allowance(), collateral=issued(machine, 40 * DAY))
    assert [step.number for step in found.steps if not step.ok] == [5, 6, 7, 8]
    assert found.warnings == ()


def test_within_grace_each_part_is_a_warning_with_its_end_and_how_long_ago(machine):
    found = examine(machine, Allowance(grace=10 * DAY), collateral=issued(machine, 40 * DAY))
    assert found.verdict
    ended, until = format_time(machine.now - 10 * DAY), format_time(machine.now)
    assert found.warnings == tuple(
        f"{part} expired at {ended}, 10 days before {until}; accepted by the grace of 10 days, which ends at {until}"
        for part in PARTS
    )


def test_grace_reaches_no_further_than_the_calendar():
    end = parse_time("9999-12-31T23:59:58Z")
    window = Window(name="TCB info", start=end, end=end, renewable=True)
    assert Allowance(grace=DAY).warning(window, end + timedelta(seconds=1)) == (
        "TCB info expired at 9999-12-31T23:59:58Z, 1 second before 9999-12-31T23:59:59Z; "
        "accepted by the grace of 1 day, which ends at 9999-12-31T23:59:59Z"
    )


@pytest.mark.parametrize("seconds", [1, 3600])
def test_beyond_grace_it_is_a_reason_again(machine, seconds):
    at = machine.now + timedelta(seconds=seconds)
    found = examine(machine, Allowance(grace=10 * DAY), collateral=issued(machine, 40 * DAY), at=at)
    assert not found.verdict
    assert found.reasons[0].startswith("step 5 (root CA CRL): root CA CRL expired at ")


@pytest.mark.parametrize("name", [PCK, INTERMEDIATE])
def test_grace_is_not_for_certificates(machine, name):
    issuer = {PCK: INTERMEDIATE, INTERMEDIATE: ROOT}[name]
    over = machine.reissue(name, issuer=issuer, end=machine.now - timedelta(hours=1))
    chain = [machine.certificates[part] for part in (PCK, INTERMEDIATE, ROOT)]
    chain[[PCK, INTERMEDIATE].index(name)] = over
    found = examine(machine, Allowance(grace=366 * DAY), quote=machine.with_chain(*chain))
    assert not found.verdict
    assert "expired at" in found.steps[3].detail


def test_what_an_expired_crl_revokes_stays_revoked(machine):
    end = machine.now - DAY
    crl = machine.crl(INTERMEDIATE, [PCK], start=end - DAY, end=end)
    found = examine(machine, Allowance(grace=30 * DAY), collateral=machine.collateral(pck_crl=crl))
    assert not found.verdict
    assert found.tcb_status == "Revoked"
    assert found.steps[5].detail.startswith("it revokes the quote's PCK certificate")
    assert "expired" not in found.steps[5].detail


def test_grace_does_not_make_what_is_not_yet_valid_valid(machine):
    found = examine(machine, Allowance(grace=30 * DAY), collateral=issued(machine, -DAY))
    assert not found.verdict


# Clock slack ---------------------------------------------------------------------------------------------------------


def test_without_slack_a_second_is_too_early(machine):
    assert not examine(machine, Allowance(), collateral=issued(machine, -timedelta(seconds=1))).verdict


@pytest.mark.parametrize(
    ("ahead", "verdict"), [(MINUTE, True), (5 * MINUTE, True), (5 * MINUTE + timedelta(seconds=1), False)]
)
def test_within_slack_what_begins_later_holds(machine, ahead, verdict):
    found = examine(machine, Allowance(clock_slack=5 * MINUTE), collateral=issued(machine, -ahead))
    assert found.verdict == verdict
    assert len(found.warnings) == (4 if verdict else 0)


def test_the_warning_names_the_slack(machine):
    found = examine(machine, Allowance(clock_slack=5 * MINUTE), collateral=issued(machine, -MINUTE))
    start, at = format_time(machine.now + MINUTE), format_time(machine.now)
    assert found.warnings[-1] == (
        f"QE identity is valid only from {start}, 1 minute after {at}; accepted by the clock slack of 5 minutes"
    )


def test_slack_is_for_certificates_too_and_not_for_ends(machine):
    late = machine.reissue(PCK, issuer=INTERMEDIATE, start=machine.now + MINUTE)
    quote = machine.with_chain(late, machine.certificates[INTERMEDIATE], machine.certificates[ROOT])
    assert examine(machine, Allowance(clock_slack=5 * MINUTE), quote=quote).verdict
    over = issued(machine, 30 * DAY + MINUTE)
    assert not examine(machine, Allowance(clock_slack=5 * MINUTE), collateral=over).verdict


BAD = {
    "negative slack": ({"clock_slack": -MINUTE}, "policy: clock_slack must be 0 to 1 day"),
    "a wrong clock": ({"clock_slack": 2 * DAY}, "policy: clock_slack must be 0 to 1 day"),
    "negative grace": ({"grace": -DAY}, "policy: grace must be 0 to 366 days"),
    "years of grace": ({"grace": 367 * DAY}, "policy: grace must be 0 to 366 days"),
}


@pytest.mark.parametrize("case", BAD)
def test_spans_that_are_no_allowance_are_refused(case):
    fields, sentence = BAD[case]
    with pytest.raises(InputError) as caught:
        Allowance(**fields)
    assert str(caught.value) == sentence


# The document --------------------------------------------------------------------------------------------------------


def test_the_document_tells_windows_days_left_and_what_was_allowed(machine):
    allowance = Allowance(clock_slack=5 * MINUTE, grace=10 * DAY)
    found = examine(machine, allowance, collateral=issued(machine, 40 * DAY))
    document = verification_document(found, Policy())
    assert document["verdict"] == "yes"
    assert document["allowance"] == {"clock_slack_seconds": 300, "grace_days": 10}
    windows = {window["name"]: window for window in document["windows"]}
    assert windows["TCB info"]["days_left"] == -10
    assert windows["TCB info"]["ok"]
    assert windows["TCB info"]["renewable"]
    assert not windows["certificate 'Simulated SGX PCK Certificate'"]["renewable"]
    # The machine's certificates begin after this collateral ended.
    assert document["holds"] is None


@pytest.mark.parametrize(("left", "warned"), [(7 * DAY, False), (7 * DAY - MINUTE, True), (timedelta(), True)])
def test_what_ends_in_less_than_a_week_is_warned_of(machine, left, warned):
    found = examine(machine, Allowance(), collateral=issued(machine, 30 * DAY - left))
    warnings = verification_document(found, Policy())["warnings"]
    assert any(warning.startswith("TCB info ends in ") for warning in warnings) == warned
    assert found.warnings == ()


def test_all_windows_hold_from_the_last_start_until_the_first_end(machine):
    found = machine.examine()
    assert found.holds == (machine.now - 5 * MINUTE, machine.now - 5 * MINUTE + 30 * DAY)
