"""TCB info: strict reading of both versions, level matching, and the table of combined statuses."""

import copy
import json

import pytest

from confcom.codes import TCBStatus
from confcom.errors import CollateralFormatError
from confcom.quote.tcb import TCBInfo, combine
from confcom.quote.times import format_time


def level(components, pcesvn, status="UpToDate", **more):
    parts = [{"svn": svn} for svn in [*components, *[0] * (16 - len(components))]]
    return {
        "tcb": {"sgxtcbcomponents": parts, "pcesvn": pcesvn},
        "tcbDate": "2024-03-13T00:00:00Z",
        "tcbStatus": status,
        **more,
    }


def level2(components, pcesvn, status="UpToDate"):
    svns = [*components, *[0] * (16 - len(components))]
    tcb = {f"sgxtcbcomp{number:02}svn": svn for number, svn in enumerate(svns, start=1)}
    return {"tcb": {**tcb, "pcesvn": pcesvn}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status}


def document(*levels, **changes):
    return {
        "id": "SGX",
        "version": 3,
        "issueDate": "2026-06-01T00:00:00Z",
        "nextUpdate": "2026-07-01T00:00:00Z",
        "fmspc": "00606a000000",
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": 17,
        "tcbLevels": list(levels) or [level([5, 5], 13)],
        **changes,
    }


def read(content):
    return TCBInfo.from_json(json.dumps(content).encode())


def read2(*levels, **changes):
    content = document(*levels, version=2, **changes)
    del content["id"]
    return read(content)


def padded(*components):
    return (*components, *[0] * (16 - len(components)))


def test_version_3_is_read_whole():
    titled = level([1, 2], 3, "SWHardeningNeeded", advisoryIDs=["INTEL-SA-00615"])
    titled["tcb"]["sgxtcbcomponents"][0] |= {"category": "BIOS", "type": "Early Microcode Update"}
    titled["tcb"]["sgxtcbcomponents"][1] |= {"category": "OS/VMM"}
    info = read(document(titled, fmspc="00606A000000", pceId="0A0b", tdxModule={"anything": 1}))
    assert (info.version, info.evaluation_number) == (3, 17)
    assert (info.fmspc.hex(), info.pce_id.hex()) == ("00606a000000", "0a0b")
    assert format_time(info.window.start) == "2026-06-01T00:00:00Z"
    assert format_time(info.window.end) == "2026-07-01T00:00:00Z"
    assert info.component_labels[:3] == ("BIOS: Early Microcode Update", "OS/VMM", "")
    (only,) = info.levels
    assert (only.components, only.pce_svn) == (padded(1, 2), 3)
    assert (only.status, only.advisories) == (TCBStatus.SW_HARDENING_NEEDED, ("INTEL-SA-00615",))


def test_version_2_has_no_id_and_names_its_components():
    info = read2(level2([17, 17, 2], 11, "SWHardeningNeeded"))
    assert info.version == 2
    assert info.levels[0].components == padded(17, 17, 2)
    assert info.component_labels == ("",) * 16


MALFORMED = {
    "no member id": ({"id": None}, "tcb_info.id: Expected `str`, got `null`"),
    "TDX": ({"id": "TDX"}, "tcb_info.id: must be 'SGX', is 'TDX'"),
    "a terminal's words as id": ({"id": "\x1b[2J" + "x" * 300}, f"tcb_info.id: must be 'SGX', is '?[2J{'x' * 193}...'"),
    "a terminal's words as status": (
        {"tcbLevels": [level([1], 1, "\x1b[2J")]},
        "tcb_info.tcbLevels[0].tcbStatus: Invalid enum value '\\x1b[2J'",
    ),
    "a type of 4,000 digits": ({"tcbType": 10**4000}, "tcb_info.tcbType: Expected `int` <= 4294967295"),
    "version 4": ({"version": 4}, "tcb_info.version: Invalid value 4"),
    "version as text": ({"version": "3"}, "tcb_info.version: Expected `int`"),
    "TDX type": ({"tcbType": 1}, "tcb_info.tcbType: must be 0, is 1"),
    "type missing": ({"tcbType": None}, "tcb_info.tcbType: Expected `int`, got `null`"),
    "fraction": (
        {"issueDate": "2026-06-01T00:00:00.5Z"},
        "tcb_info.issueDate: must be a time in the form YYYY-MM-DDTHH:MM:SSZ",
    ),
    "offset": (
        {"nextUpdate": "2026-06-01T00:00:00+00:00"},
        "tcb_info.nextUpdate: must be a time in the form YYYY-MM-DDTHH:MM:SSZ",
    ),
    "no such day": (
        {"nextUpdate": "2026-02-30T00:00:00Z"},
        "tcb_info.nextUpdate: must be a time that exists, in the form YYYY-MM-DDTHH:MM:SSZ",
    ),
    "short fmspc": ({"fmspc": "00606a0000"}, "tcb_info.fmspc: must be 12 hex digits"),
    "fmspc with a blank": ({"fmspc": "00 06a00000"}, "tcb_info.fmspc: must be 12 hex digits"),
    "pceId": ({"pceId": "00"}, "tcb_info.pceId: must be 4 hex digits"),
    "negative number": (
        {"tcbEvaluationDataNumber": -1},
        "tcb_info.tcbEvaluationDataNumber: Expected `int` >= 0",
    ),
    "no levels": ({"tcbLevels": []}, "tcb_info.tcbLevels: Expected `array` of length >= 1"),
    "levels as object": ({"tcbLevels": {}}, "tcb_info.tcbLevels: Expected `array`, got `object`"),
    "same level twice": (
        {"tcbLevels": [level([1], 1), level([1], 1, "OutOfDate")]},
        "tcb_info.tcbLevels: has the same level twice",
    ),
    "unknown status": (
        {"tcbLevels": [level([1], 1, "uptodate")]},
        "tcb_info.tcbLevels[0].tcbStatus: Invalid enum value 'uptodate'",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_version_3_is_refused_with_the_members_path(case):
    changes, sentence = MALFORMED[case]
    with pytest.raises(CollateralFormatError) as caught:
        read(document(**changes))
    assert str(caught.value) == f"collateral: {sentence}"


@pytest.mark.parametrize(
    "member",
    ["version", "id", "issueDate", "nextUpdate", "fmspc", "pceId", "tcbType", "tcbEvaluationDataNumber", "tcbLevels"],
)
def test_a_missing_member_is_refused(member):
    content = document()
    del content[member]
    with pytest.raises(CollateralFormatError, match=f"missing required field `{member}`|'SGX'"):
        read(content)


@pytest.mark.parametrize("member", ["tcb", "tcbDate", "tcbStatus"])
@pytest.mark.parametrize("make", [level, level2])
def test_a_level_that_lacks_a_member_is_refused(member, make):
    content = make([1], 1)
    del content[member]
    with pytest.raises(CollateralFormatError, match=f"missing required field `{member}`"):
        read(document(content)) if make is level else read2(content)


SVNS = {
    "15 components": (lambda tcb: tcb["sgxtcbcomponents"].pop(), "Expected `array` of length >= 16"),
    "17 components": (lambda tcb: tcb["sgxtcbcomponents"].append({"svn": 0}), "Expected `array` of length <= 16"),
    "component 256": (lambda tcb: tcb["sgxtcbcomponents"][3].update(svn=256), "Expected `int` <= 255"),
    "component -1": (lambda tcb: tcb["sgxtcbcomponents"][3].update(svn=-1), "Expected `int` >= 0"),
    "component true": (lambda tcb: tcb["sgxtcbcomponents"][3].update(svn=True), "Expected `int`, got `bool`"),
    "component 1.0": (lambda tcb: tcb["sgxtcbcomponents"][3].update(svn=1.0), "Expected `int`, got `float`"),
    "pcesvn 65536": (lambda tcb: tcb.update(pcesvn=65536), "Expected `int` <= 65535"),
    "no pcesvn": (lambda tcb: tcb.pop("pcesvn"), "missing required field `pcesvn`"),
}


@pytest.mark.parametrize("case", SVNS)
def test_malformed_svns_are_refused(case):
    change, sentence = SVNS[case]
    content = copy.deepcopy(level([1], 1))
    change(content["tcb"])
    with pytest.raises(CollateralFormatError) as caught:
        read(document(content))
    assert sentence in caught.value.problem
    assert caught.value.path.startswith("tcb_info.tcbLevels[0].tcb")


def test_a_levels_date_is_refused_with_its_place():
    with pytest.raises(CollateralFormatError) as caught:
        read(document(level([2], 1), level([1], 1, tcbDate="13.3.2024")))
    assert caught.value.path == "tcb_info.tcbLevels[1].tcbDate"


def test_malformed_version_2_is_refused():
    with pytest.raises(CollateralFormatError, match=r"tcb_info\.id: does not belong in version 2"):
        read(document(level2([1], 1), version=2))
    content = level2([1], 1)
    del content["tcb"]["sgxtcbcomp09svn"]
    with pytest.raises(CollateralFormatError, match=r"tcbLevels\[0\]\.tcb\.sgxtcbcomp09svn: is missing"):
        read2(content)
    with pytest.raises(CollateralFormatError, match="has a component SVN over 255"):
        read2(level2([256], 1))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b"\xff",
        pytest.param(json.dumps(document()).encode()[:-1] + b', "unknown": "\xff"}', id="no text where nobody looks"),
        b'{"version":3} x',
        b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_text_that_is_no_tcb_info_is_refused(text):
    with pytest.raises(CollateralFormatError) as caught:
        TCBInfo.from_json(text)
    assert caught.value.path.startswith("tcb_info")


# Matching: the levels descend whatever their order in the text.
LEVELS = document(
    level([3, 3], 10, "OutOfDate"),
    level([5, 5], 13, "UpToDate"),
    level([5, 5], 11, "ConfigurationNeeded"),
    level([5, 4], 13, "OutOfDateConfigurationNeeded"),
    level([1, 1], 5, "Revoked"),
)

MATCHES = {
    "all at the top": ((5, 5), 13, "UpToDate"),
    "above the top": ((255, 255), 15, "UpToDate"),
    "PCE between two": ((5, 5), 12, "ConfigurationNeeded"),
    "PCE below both": ((5, 5), 10, "OutOfDate"),
    "one component behind": ((5, 4), 13, "OutOfDateConfigurationNeeded"),
    "one ahead, one behind": ((9, 4), 13, "OutOfDateConfigurationNeeded"),
    "one ahead, one far behind": ((9, 3), 13, "OutOfDate"),
    "both behind": ((4, 4), 13, "OutOfDate"),
    "leaked": ((2, 2), 9, "Revoked"),
    "component too old": ((5, 0), 13, None),
    "PCE too old": ((5, 5), 4, None),
    "nothing": ((0, 0), 0, None),
}


@pytest.mark.parametrize("case", MATCHES)
def test_the_highest_level_that_all_svns_reach(case):
    components, pce_svn, status = MATCHES[case]
    found = read(LEVELS).level_of(padded(*components), pce_svn)
    assert (found.status if found else None) == status


@pytest.mark.parametrize("position", range(16))
def test_every_component_counts(position):
    wanted = [7] * 16
    behind = [7] * 16
    behind[position] = 6
    info = read(document(level(wanted, 1)))
    assert info.level_of(tuple(wanted), 1) is not None
    assert info.level_of(tuple(behind), 1) is None


# Rows: the platform's status; columns: the QE's.
COMBINED = {
    "UpToDate": ("UpToDate", "OutOfDate"),
    "SWHardeningNeeded": ("SWHardeningNeeded", "OutOfDate"),
    "ConfigurationNeeded": ("ConfigurationNeeded", "OutOfDateConfigurationNeeded"),
    "ConfigurationAndSWHardeningNeeded": ("ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"),
    "OutOfDate": ("OutOfDate", "OutOfDate"),
    "OutOfDateConfigurationNeeded": ("OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"),
    "Revoked": ("Revoked", "Revoked"),
}


@pytest.mark.parametrize("platform", COMBINED)
def test_platform_and_qe_are_combined(platform):
    current, outdated = COMBINED[platform]
    assert combine(TCBStatus(platform), TCBStatus.UP_TO_DATE) == current
    assert combine(TCBStatus(platform), TCBStatus.OUT_OF_DATE) == outdated
    assert combine(TCBStatus(platform), TCBStatus.REVOKED) == "Revoked"


def test_the_table_has_every_status():
    assert set(COMBINED) == set(TCBStatus)
