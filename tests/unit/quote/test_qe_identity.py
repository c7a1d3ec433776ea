"""QE identity: strict reading, masked comparison, levels as they are listed."""

import json

import pytest

from confcom.errors import CollateralFormatError
from confcom.quote.qe_identity import QEIdentity
from confcom.sgx import Attributes, ReportBody

SIGNER = "8C4F5775D796503E96137F77C68A829A0056AC8DED70140B081B094490C57BFF"


def level(isv_svn, status="UpToDate", **more):
    return {"tcb": {"isvsvn": isv_svn}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status, **more}


def document(**changes):
    return {
        "id": "QE",
        "version": 2,
        "issueDate": "2026-06-01T00:00:00Z",
        "nextUpdate": "2026-07-01T00:00:00Z",
        "tcbEvaluationDataNumber": 17,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": SIGNER,
        "isvprodid": 1,
        "tcbLevels": [level(8), level(6, "OutOfDate", advisoryIDs=["INTEL-SA-00615"]), level(2, "Revoked")],
        **changes,
    }


def read(**changes):
    return QEIdentity.from_json(json.dumps(document(**changes)).encode())


def report(**changes):
    fields = {"attributes": Attributes(flags=0x15, xfrm=0xE7), "mr_signer": bytes.fromhex(SIGNER), "isv_prod_id": 1}
    return ReportBody(**fields | changes)


MALFORMED = {
    "TD_QE": ({"id": "TD_QE"}, "qe_identity.id: must be 'QE', is 'TD_QE'"),
    "QVE": ({"id": "QVE"}, "qe_identity.id: must be 'QE', is 'QVE'"),
    "a terminal's words": ({"id": "\x1b[2J"}, "qe_identity.id: must be 'QE', is '?[2J'"),
    "a version of 4,000 digits": ({"version": 10**4000}, "qe_identity.version: Expected `int` <= 4294967295"),
    "version 1": ({"version": 1}, "qe_identity.version: must be 2, is 1"),
    "fraction": (
        {"issueDate": "2026-06-01T00:00:00.000Z"},
        "qe_identity.issueDate: must be a time in the form YYYY-MM-DDTHH:MM:SSZ",
    ),
    "miscselect": ({"miscselect": "0000"}, "qe_identity.miscselect: must be 8 hex digits"),
    "miscselectMask": ({"miscselectMask": "FFFFFFFG"}, "qe_identity.miscselectMask: must be 8 hex digits"),
    "attributes": ({"attributes": "11" * 17}, "qe_identity.attributes: must be 32 hex digits"),
    "attributesMask": ({"attributesMask": ""}, "qe_identity.attributesMask: must be 32 hex digits"),
    "mrsigner": ({"mrsigner": SIGNER[:-2]}, "qe_identity.mrsigner: must be 64 hex digits"),
    "isvprodid": ({"isvprodid": 65536}, "qe_identity.isvprodid: Expected `int` <= 65535"),
    "no levels": ({"tcbLevels": []}, "qe_identity.tcbLevels: Expected `array` of length >= 1"),
    "ascending": ({"tcbLevels": [level(2), level(8)]}, "qe_identity.tcbLevels: does not descend by isvsvn"),
    "twice": ({"tcbLevels": [level(8), level(8)]}, "qe_identity.tcbLevels: does not descend by isvsvn"),
    "a platform's status": (
        {"tcbLevels": [level(8, "SWHardeningNeeded")]},
        "qe_identity.tcbLevels[0].tcbStatus: Invalid enum value 'SWHardeningNeeded'",
    ),
    "no date": (
        {"tcbLevels": [{"tcb": {"isvsvn": 1}, "tcbStatus": "UpToDate"}]},
        "qe_identity.tcbLevels[0]: Object missing required field `tcbDate`",
    ),
    "wrong date": (
        {"tcbLevels": [level(8), level(7, tcbDate="2024-03-13")]},
        "qe_identity.tcbLevels[1].tcbDate: must be a time in the form YYYY-MM-DDTHH:MM:SSZ",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_qe_identity_is_refused_with_the_members_path(case):
    changes, sentence = MALFORMED[case]
    with pytest.raises(CollateralFormatError) as caught:
        read(**changes)
    assert str(caught.value) == f"collateral: {sentence}"


@pytest.mark.parametrize("member", list(document()))
def test_a_missing_member_is_refused(member):
    content = document()
    del content[member]
    with pytest.raises(CollateralFormatError, match=f"missing required field `{member}`"):
        QEIdentity.from_json(json.dumps(content).encode())


LEVELS = [(9, "UpToDate"), (8, "UpToDate"), (7, "OutOfDate"), (6, "OutOfDate"), (5, "Revoked"), (2, "Revoked")]


@pytest.mark.parametrize(("isv_svn", "status"), LEVELS)
def test_the_first_level_that_the_qe_has(isv_svn, status):
    assert read().level_of(isv_svn).status == status


@pytest.mark.parametrize("isv_svn", [0, 1])
def test_below_the_last_level_there_is_none(isv_svn):
    assert read().level_of(isv_svn) is None


def test_the_qe_that_the_identity_describes_fits():
    assert read().mismatches(report()) == []


# In memory order the first byte of the hex is the lowest of FLAGS and of MISCSELECT.
FITTING = {
    "MODE64BIT is masked out": ({"attributes": Attributes(flags=0x11, xfrm=0xE7)}, {}),
    "XFRM is masked out": ({"attributes": Attributes(flags=0x15, xfrm=0x602E7)}, {}),
    "what the identity sets outside its mask": ({}, {"attributes": "15000000000000000300000000000000"}),
    "MISCSELECT in memory order": ({"misc_select": 0x100}, {"miscselect": "00010000"}),
    "MISCSELECT outside its mask": ({"misc_select": 1}, {"miscselectMask": "FEFFFFFF"}),
    "lower-case hex": ({}, {"mrsigner": SIGNER.lower(), "attributesMask": "fbffffffffffffff0000000000000000"}),
}


@pytest.mark.parametrize("case", FITTING)
def test_masked_fields_fit(case):
    fields, changes = FITTING[case]
    assert read(**changes).mismatches(report(**fields)) == []


OTHER = {
    "DEBUG": ({"attributes": Attributes(flags=0x17)}, ["ATTRIBUTES is 13", "must be 11"]),
    "no PROVISION_KEY": ({"attributes": Attributes(flags=0x05)}, ["ATTRIBUTES is 01"]),
    "KSS": ({"attributes": Attributes(flags=0x95)}, ["ATTRIBUTES is 91"]),
    "EXINFO": ({"misc_select": 1}, ["MISCSELECT is 01000000, must be 00000000"]),
    "signer": ({"mr_signer": bytes(32)}, [f"MRSIGNER is {'00' * 32}, must be {SIGNER.lower()}"]),
    "product": ({"isv_prod_id": 2}, ["ISVPRODID is 2, must be 1"]),
}


@pytest.mark.parametrize("case", OTHER)
def test_another_enclave_does_not_fit(case):
    fields, sentences = OTHER[case]
    (mismatch,) = read().mismatches(report(**fields))
    assert all(sentence in mismatch for sentence in sentences)


def test_every_difference_is_named():
    found = read().mismatches(ReportBody(misc_select=1, isv_prod_id=9))
    assert [sentence.split()[0] for sentence in found] == ["MISCSELECT", "ATTRIBUTES", "MRSIGNER", "ISVPRODID"]
