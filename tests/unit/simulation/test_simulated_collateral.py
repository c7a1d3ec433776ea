"""Collateral of simulated platforms, and what an independent verifier (dcap-qvl) makes of quotes with it."""

import json
from dataclasses import replace
from datetime import timedelta

import dcap_qvl
import pytest
from cryptography import x509

from confcom.codes import TCBStatus
from confcom.quote.collateral import Collateral
from confcom.quote.qe_identity import QEIdentity
from confcom.quote.tcb import TCBInfo
from confcom.sgx import DEFAULT_KEY_ID, Attributes
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

KEY_ID = DEFAULT_KEY_ID.to_bytes()
DAY = timedelta(days=1)
MEMBERS = [
    "pck_crl_issuer_chain", "root_ca_crl", "pck_crl", "tcb_info_issuer_chain", "tcb_info", "tcb_info_signature",
    "qe_identity_issuer_chain", "qe_identity", "qe_identity_signature",
]  # fmt: skip


@pytest.fixture(params=["machine", "other_machine"], ids=["processor", "platform"])
def each(request):
    return request.getfixturevalue(request.param)


def quote_of(machine, **fields):
    return machine.get_quote(make_report(machine.target_info(), **fields).to_bytes(), KEY_ID)[0]


def judge(machine, now, options=None, *, quote=None, at=None, root=None, members=None):
    """What dcap-qvl says: the status and the advisories."""
    members = members or machine.collateral(now, options)
    report = dcap_qvl.verify_with_root_ca(
        quote or quote_of(machine),
        dcap_qvl.QuoteCollateralV3.from_json(json.dumps(members)),
        root or machine.root_der,
        int((at or now).timestamp()),
    )
    return report.status, list(report.advisory_ids)


def refusal(*arguments, **keywords):
    """The last and innermost of the reasons that dcap-qvl gives."""
    with pytest.raises(ValueError, match=r"^Verification failed: ") as caught:
        judge(*arguments, **keywords)
    return str(caught.value).removeprefix("Verification failed: ").splitlines()[-1].strip()


CONFIGURING, OUTDATED = ["INTEL-SA-00657", "INTEL-SA-00767"], ["INTEL-SA-00960", "INTEL-SA-01153"]
ADVISORIES = {
    "UpToDate": [],
    "SWHardeningNeeded": ["INTEL-SA-00615"],
    "ConfigurationNeeded": CONFIGURING,
    "ConfigurationAndSWHardeningNeeded": [*CONFIGURING, "INTEL-SA-00615"],
    "OutOfDate": OUTDATED,
    "OutOfDateConfigurationNeeded": OUTDATED + CONFIGURING,
}


@pytest.mark.parametrize("status", ADVISORIES)
@pytest.mark.parametrize("ca", ["processor", "platform"])
def test_dcap_qvl_reaches_the_status_of_the_platform(tmp_path, now, ca, status):
    machine = SimulatedPlatform.create(tmp_path / "machine", ca=ca, tcb_status=TCBStatus(status), now=now)
    assert judge(machine, now) == (status, ADVISORIES[status])


@pytest.mark.parametrize("ca", ["processor", "platform"])
def test_dcap_qvl_refuses_a_revoked_platform(tmp_path, now, ca):
    machine = SimulatedPlatform.create(tmp_path / "machine", ca=ca, tcb_status=TCBStatus.REVOKED, now=now)
    assert refusal(machine, now) == "TCB status is invalid: Revoked"


@pytest.mark.parametrize("status", ADVISORIES)
def test_options_give_any_platform_another_status(each, now, status):
    assert judge(each, now, CollateralOptions(tcb_status=TCBStatus(status))) == (status, ADVISORIES[status])


def test_a_revoked_pck_is_refused(each, now):
    assert refusal(each, now, CollateralOptions(revoke_pck=True)) == "CertRevoked"


def test_a_revoked_pck_is_listed_with_its_reason(each, now):
    crl = x509.load_der_x509_crl(bytes.fromhex(each.collateral(now, CollateralOptions(revoke_pck=True))["pck_crl"]))
    (revoked,) = crl
    (leaf, *_) = x509.load_pem_x509_certificates(each.certificate_chain)
    assert revoked.serial_number == leaf.serial_number
    (reason,) = revoked.extensions
    assert reason.value.reason is x509.ReasonFlags.key_compromise


def test_without_a_level_that_the_platform_reaches_it_is_refused(each, now):
    assert "No matching TCB level found" in refusal(each, now, CollateralOptions(missing_level=True))


def test_another_machines_root_is_refused(machine, other_machine, now):
    assert refusal(machine, now, root=other_machine.root_der) == "InvalidCrlSignatureForPublicKey"


def test_another_machines_collateral_is_refused(machine, other_machine, now):
    assert refusal(machine, now, members=other_machine.collateral(now)) == "InvalidCrlSignatureForPublicKey"


def test_intels_root_is_refused(machine, now):
    collateral = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(machine.collateral(now)))
    with pytest.raises(ValueError, match="InvalidCrlSignatureForPublicKey"):
        dcap_qvl.verify(quote_of(machine), collateral, int(now.timestamp()))


def test_debug_enclaves_fail_by_that_alone(each, now):
    quote = quote_of(each, attributes=Attributes(flags=0x7))
    assert refusal(each, now, quote=quote) == "Debug mode is enabled"


QE_REPORT = "Signature is invalid for qe_report in quote"
ISV_REPORT = "ISV enclave report signature is invalid"
REGIONS = {
    "header": (30, ISV_REPORT),
    "report body": (48 + 320, ISV_REPORT),
    "signature": (440, ISV_REPORT),
    "attestation key": (510, "QE report hash mismatch"),
    "QE report": (600, QE_REPORT),
    "PCK signature": (950, QE_REPORT),
}


@pytest.mark.parametrize(("at", "reason"), REGIONS.values(), ids=REGIONS)
def test_a_flipped_bit_in_a_signed_region_is_refused(machine, now, at, reason):
    quote = bytearray(quote_of(machine))
    quote[at] ^= 1
    assert refusal(machine, now, quote=bytes(quote)) == reason


TIMES = {
    "before its date": (-timedelta(minutes=5, seconds=1), "TCBInfo issue date is in the future"),
    "after 30 days": (30 * DAY, "TCBInfo expired"),
    "after a year": (366 * DAY, "CrlExpired"),
}


@pytest.mark.parametrize(("later", "reason"), TIMES.values(), ids=TIMES)
def test_collateral_outside_its_window_is_refused(each, now, later, reason):
    assert refusal(each, now, at=now + later).startswith(reason)


@pytest.mark.parametrize("later", [timedelta(0), 15 * DAY, 30 * DAY - timedelta(minutes=6)])
def test_collateral_inside_its_window_is_accepted(each, now, later):
    assert judge(each, now, at=now + later) == ("UpToDate", [])


def test_an_old_machine_signs_fresh_collateral(each, now):
    old = now + 6 * 365 * DAY
    assert judge(each, old) == ("UpToDate", [])


def test_options_move_the_window(each, now):
    late = CollateralOptions(issued=-timedelta(hours=1))
    assert refusal(each, now, late) == "TCBInfo issue date is in the future"
    assert judge(each, now, late, at=now + timedelta(hours=2)) == ("UpToDate", [])
    short = CollateralOptions(lifetime=timedelta(minutes=10))
    assert refusal(each, now, short, at=now + timedelta(minutes=6)) == "TCBInfo expired"
    root_only = CollateralOptions(root_crl_lifetime=timedelta(minutes=10))
    assert refusal(each, now, root_only, at=now + timedelta(minutes=6)).startswith("CrlExpired")


def test_dates_are_five_minutes_back_in_whole_seconds(each, now):
    made = each.collateral(now + timedelta(microseconds=900_000))
    for member in ("tcb_info", "qe_identity"):
        document = json.loads(made[member])
        assert (document["issueDate"], document["nextUpdate"]) == ("2026-11-25T11:55:00Z", "2026-12-25T11:55:00Z")
    crls = [x509.load_der_x509_crl(bytes.fromhex(made[member])) for member in ("root_ca_crl", "pck_crl")]
    assert {crl.last_update_utc for crl in crls} == {now - timedelta(minutes=5)}
    assert [(crl.next_update_utc - crl.last_update_utc).days for crl in crls] == [365, 30]


def test_members_are_those_of_dcap_qvl_and_read_by_ours(each, now):
    made = each.collateral(now)
    assert list(made) == MEMBERS
    read = Collateral.from_json(json.dumps(made).encode())
    assert read.tcb_info == made["tcb_info"].encode()
    assert (len(read.tcb_info_signature), len(read.qe_identity_signature)) == (64, 64)


def test_signed_documents_are_compact(each, now):
    made = each.collateral(now)
    for member in ("tcb_info", "qe_identity"):
        assert json.dumps(json.loads(made[member]), separators=(",", ":")) == made[member]


def test_tcb_info_members(each, now):
    document = json.loads(each.collateral(now)["tcb_info"])
    assert list(document) == [
        "id", "version", "issueDate", "nextUpdate", "fmspc", "pceId", "tcbType", "tcbEvaluationDataNumber", "tcbLevels",
    ]  # fmt: skip
    assert (document["id"], document["version"], document["tcbType"], document["pceId"]) == ("SGX", 3, 0, "0000")
    assert document["fmspc"] == ("53494D000001" if each.identity.ca == "processor" else "53494D000002")


@pytest.mark.parametrize("status", TCBStatus)
def test_levels_descend_without_a_double_and_one_is_the_platforms_own(each, now, status):
    text = each.collateral(now, CollateralOptions(tcb_status=status))["tcb_info"]
    # Our reader refuses doubles, unknown statuses and missing dates.
    levels = TCBInfo.from_json(text.encode()).levels
    listed = [level["tcb"]["sgxtcbcomponents"] for level in json.loads(text)["tcbLevels"]]
    ranks = [[component["svn"] for component in components] for components in listed]
    assert ranks == sorted(ranks, reverse=True)
    assert levels[0].date >= levels[-1].date
    components = tuple(each.identity.tcb_components)
    reached = next(level for level in levels if level.is_reached_by(components, each.identity.pce_svn))
    assert (reached.status, reached.components) == (status, components)


LEVELS_ABOVE = {
    "UpToDate": [],
    "SWHardeningNeeded": [],
    "ConfigurationNeeded": ["UpToDate"],
    "ConfigurationAndSWHardeningNeeded": ["SWHardeningNeeded"],
    "OutOfDate": ["UpToDate"],
    "OutOfDateConfigurationNeeded": ["UpToDate", "ConfigurationNeeded", "OutOfDate"],
    "Revoked": ["UpToDate"],
}


@pytest.mark.parametrize(("status", "above"), LEVELS_ABOVE.items())
def test_levels_above_show_what_would_help(machine, now, status, above):
    made = machine.collateral(now, CollateralOptions(tcb_status=TCBStatus(status)))
    levels = [level["tcbStatus"] for level in json.loads(made["tcb_info"])["tcbLevels"]]
    last = "Revoked" if status == "Revoked" else "OutOfDate"
    assert levels == [*above, status, last]


def test_a_better_configuration_lifts_the_platform_to_the_level_above(machine, now):
    made = machine.collateral(now, CollateralOptions(tcb_status=TCBStatus.CONFIGURATION_NEEDED))
    components = machine.identity.tcb_components
    better = replace(machine.identity, tcb_components=components[:6] + b"\1" + components[7:])
    level = TCBInfo.from_json(made["tcb_info"].encode()).level_of(tuple(better.tcb_components), better.pce_svn)
    assert level.status is TCBStatus.UP_TO_DATE


def test_qe_identity_is_ours_and_not_intels(each, now):
    text = each.collateral(now)["qe_identity"]
    document = json.loads(text)
    assert list(document) == [
        "id", "version", "issueDate", "nextUpdate", "tcbEvaluationDataNumber", "miscselect", "miscselectMask",
        "attributes", "attributesMask", "mrsigner", "isvprodid", "tcbLevels",
    ]  # fmt: skip
    assert (document["id"], document["version"], document["isvprodid"]) == ("QE", 2, 1)
    assert (document["miscselect"], document["miscselectMask"]) == ("00000000", "FFFFFFFF")
    assert document["attributes"] == "11000000000000000000000000000000"
    assert document["attributesMask"] == "FBFFFFFFFFFFFFFF0000000000000000"
    assert not document["mrsigner"].startswith("8C4F5775")
    assert [level["tcb"]["isvsvn"] for level in document["tcbLevels"]] == [11, 1]
    assert [level["tcbStatus"] for level in document["tcbLevels"]] == ["UpToDate", "OutOfDate"]
    assert QEIdentity.from_json(text.encode())


def test_strict_policy_takes_a_processor_and_not_a_dynamic_platform(machine, other_machine, now):
    policy = dcap_qvl.QuotePolicy.strict(int(now.timestamp()))

    def claims(one):
        collateral = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(one.collateral(now)))
        verifier = dcap_qvl.QuoteVerifier(one.root_der)
        return verifier.verify_with_policy(quote_of(one), collateral, int(now.timestamp()), policy)

    assert json.loads(claims(machine).to_json())
    with pytest.raises(ValueError, match=r"(?i)dynamic"):
        claims(other_machine)
