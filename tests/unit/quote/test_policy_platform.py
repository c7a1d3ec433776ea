"""The policy's wishes about platform and report data: lists, advisories, evaluation numbers, and helpful words."""

import hashlib

import pytest

from confcom.codes import TCBStatus
from confcom.errors import InputError
from confcom.quote import Policy, report_data
from confcom.simulation.collateral import CollateralOptions

ENCLAVE = b"\xaa" * 32
OUT_OF_DATE = ("INTEL-SA-00960", "INTEL-SA-01153")


@pytest.fixture(scope="module")
def genuine(machine):
    return machine.examine(machine.quote(mr_enclave=ENCLAVE))


@pytest.fixture(scope="module")
def out_of_date(machine):
    found = machine.examine(collateral=machine.collateral(CollateralOptions(tcb_status=TCBStatus.OUT_OF_DATE)))
    assert found.advisories == OUT_OF_DATE
    return found


def test_one_of_several_measurements_is_enough(genuine):
    assert Policy(mr_enclave=frozenset({bytes(32), ENCLAVE})).appraise(genuine) == ()
    others = frozenset({b"\x02" * 32, b"\x01" * 32})
    assert Policy(mr_enclave=others).appraise(genuine) == (
        f"mr_enclave is {'aa' * 32}, expected {'01' * 32} or {'02' * 32}",
    )


ADVISORIES = {
    "no wish": ({}, []),
    "both accepted": ({"accepted_advisories": frozenset(OUT_OF_DATE)}, []),
    "one accepted": (
        {"accepted_advisories": frozenset(OUT_OF_DATE[:1])},
        ["INTEL-SA-01153 concerns the platform, and is not among the accepted advisories"],
    ),
    "none accepted": (
        {"accepted_advisories": frozenset()},
        [f"{name} concerns the platform, and is not among the accepted advisories" for name in OUT_OF_DATE],
    ),
    "one rejected": (
        {"rejected_advisories": frozenset({"INTEL-SA-00960", "INTEL-SA-00001"})},
        ["INTEL-SA-00960 concerns the platform, and the policy rejects it"],
    ),
    "rejected wins": (
        {"accepted_advisories": frozenset(OUT_OF_DATE), "rejected_advisories": frozenset({"INTEL-SA-01153"})},
        ["INTEL-SA-01153 concerns the platform, and the policy rejects it"],
    ),
}


@pytest.mark.parametrize("case", ADVISORIES)
def test_advisories_are_accepted_and_rejected(out_of_date, case):
    fields, reasons = ADVISORIES[case]
    policy = Policy(accepted_statuses=frozenset({TCBStatus.OUT_OF_DATE}), **fields)
    assert policy.appraise(out_of_date) == tuple(reasons)


@pytest.mark.parametrize(("least", "count"), [(None, 0), (0, 0), (21, 0), (22, 2)])
def test_collateral_may_not_be_older_than_wanted(genuine, least, count):
    reasons = Policy(min_tcb_evaluation_data_number=least).appraise(genuine)
    assert len(reasons) == count
    if count:
        assert reasons[0] == "tcbEvaluationDataNumber of the TCB info is 21, expected at least 22"


BAD = {
    "mr_enclave of several": (
        {"mr_enclave": frozenset({bytes(32), bytes(31)})},
        "policy: mr_enclave needs 32 bytes, not 31",
    ),
    "advisory": (
        {"rejected_advisories": frozenset({"CVE-2024-1"})},
        "policy: 'CVE-2024-1' is no advisory; write it like INTEL-SA-00615",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_values_that_no_platform_could_have_are_refused(case):
    fields, sentence = BAD[case]
    with pytest.raises(InputError) as caught:
        Policy(**fields)
    assert str(caught.value) == sentence


# Report data -------------------------------------------------------------------------------------------------------------


def test_the_forms_of_report_data():
    assert report_data.raw(b"\x01") == b"\x01" + bytes(63)
    assert report_data.sha256_of(b"key") == hashlib.sha256(b"key").digest() + bytes(32)
    assert report_data.sha256_of(b"key", b"nonce") == hashlib.sha256(b"noncekey").digest() + bytes(32)


@pytest.mark.parametrize("size", [0, 65])
def test_report_data_of_another_size_is_refused(size):
    with pytest.raises(InputError) as caught:
        report_data.raw(bytes(size))
    assert str(caught.value) == f"report data: has {size} bytes; a report has 64"


WANTED = report_data.raw(b"public key")
HINTS = {
    "hashed": (report_data.sha256_of(b"public key"), "SHA-256 of the expected bytes (the form of MAA and RA-TLS)"),
    "hashed with padding": (
        report_data.sha256_of(WANTED),
        "SHA-256 of the expected bytes (the form of MAA and RA-TLS)",
    ),
    "hashed as hex": (report_data.sha256_of(b"public key".hex().encode()), "SHA-256 of the expected bytes as hex text"),
    "hex": (report_data.raw(b"public key".hex().encode()), "the expected bytes as hex text"),
    "nothing": (bytes(64), "zeros: the application put nothing into it"),
}


@pytest.mark.parametrize("case", HINTS)
def test_a_mismatch_names_the_likeliest_misunderstanding(case):
    found, hint = HINTS[case]
    assert report_data.difference(found, WANTED).endswith(f": the quote holds {hint}")


def test_a_mismatch_of_the_last_half_is_told():
    found = WANTED[:32] + b"\x01" * 32
    assert report_data.difference(found, WANTED).endswith(": the first 32 bytes agree, the last 32 do not")


def test_another_mismatch_gives_both_values_alone():
    found = b"\x01" * 64
    assert report_data.difference(found, WANTED) == f"report_data is {found.hex()}, expected {WANTED.hex()}"
