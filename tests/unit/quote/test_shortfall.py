"""What a platform lacks: for every status of the simulated platform, for real lists, and for lists made up."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.codes import TCBStatus
from confcom.quote import parse_time, verification_document
from confcom.quote.policy import Policy
from confcom.quote.shortfall import shortfall
from confcom.quote.tcb import TCBInfo, TCBLevel
from confcom.quote.times import Window
from confcom.simulation.collateral import CollateralOptions

LATER = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(name="TCB info", start=LATER, end=LATER)
LABELS = ("BIOS: Early Microcode Update", "OS/VMM: SGX Late Microcode Update", "", *("",) * 13)


def level(status, *svns, pce_svn=13):
    components = tuple(svns) + (0,) * (16 - len(svns))
    return TCBLevel(components=components, pce_svn=pce_svn, date=LATER, status=TCBStatus(status))


def info(*levels):
    return TCBInfo(
        version=3,
        window=WINDOW,
        fmspc=bytes(6),
        pce_id=bytes(2),
        evaluation_number=21,
        component_labels=LABELS,
        levels=tuple(sorted(levels, key=lambda one: one.rank, reverse=True)),
    )


def lacking(machine, levels, *svns, pce_svn=13):
    """The shortfall of a platform with these SVNs."""
    found = info(*levels)
    components = tuple(svns) + (0,) * (16 - len(svns))
    pck = replace(machine.examine().pck, components=components, pce_svn=pce_svn)
    return shortfall(found, pck, found.level_of(components, pce_svn))


def behind(found):
    return [(part.number, part.svn, part.needed) for part in found.components]


CASES = {
    "nothing": ([level("UpToDate", 5)], (5,), None),
    "nothing better in the list": ([level("SWHardeningNeeded", 5)], (9,), None),
    "one component": ([level("UpToDate", 5, 7), level("OutOfDate", 4, 7)], (4, 7), ("UpToDate", [(1, 4, 5)])),
    "two components": ([level("UpToDate", 5, 7), level("OutOfDate")], (4, 6), ("UpToDate", [(1, 4, 5), (2, 6, 7)])),
    "the better of two": (
        [level("UpToDate", 6), level("SWHardeningNeeded", 5), level("OutOfDate", 4)],
        (4,),
        ("UpToDate", [(1, 4, 6)]),
    ),
    "of two as good the nearer": (
        [level("UpToDate", 6, 9), level("UpToDate", 6, 2), level("OutOfDate")],
        (4, 2),
        ("UpToDate", [(1, 4, 6)]),
    ),
    "a level that is no better is passed over": (
        [level("OutOfDate", 6), level("OutOfDate", 4)],
        (4,),
        None,
    ),
    "no level at all": ([level("OutOfDate", 6)], (4,), ("OutOfDate", [(1, 4, 6)])),
}


@pytest.mark.parametrize("case", CASES)
def test_the_best_level_for_the_least_change(machine, case):
    levels, svns, wanted = CASES[case]
    found = lacking(machine, levels, *svns)
    assert (found and (found.level.status, behind(found))) == wanted


def test_pcesvn_alone_may_be_behind(machine):
    found = lacking(machine, [level("UpToDate", 5, pce_svn=14), level("OutOfDate", 5, pce_svn=10)], 5, pce_svn=13)
    assert (found.components, found.pce_svn) == ((), 14)


def test_a_component_carries_its_label(machine):
    found = lacking(machine, [level("UpToDate", 5, 5), level("OutOfDate")], 1, 1)
    assert [part.label for part in found.components] == list(LABELS[:2])


svns = st.tuples(*[st.integers(0, 3)] * 4)
levels_ = st.lists(st.tuples(st.sampled_from(TCBStatus), svns, st.integers(0, 3)), min_size=1, max_size=6)


@given(levels=levels_, mine=svns, pce_svn=st.integers(0, 3))
def test_what_is_lacking_added_reaches_the_level_and_nothing_else_was_needed(machine, levels, mine, pce_svn):
    rows = {(row[1], row[2]): level(row[0], *row[1], pce_svn=row[2]) for row in levels}
    found = lacking(machine, list(rows.values()), *mine, pce_svn=pce_svn)
    if found is None:
        return
    components = list(mine) + [0] * 12
    for part in found.components:
        assert components[part.number - 1] == part.svn < part.needed
        components[part.number - 1] = part.needed
    assert found.level.is_reached_by(tuple(components), max(pce_svn, found.pce_svn or 0))


# Whole verifications -----------------------------------------------------------------------------------------------------

BETTER = {
    "UpToDate": (None, []),
    "SWHardeningNeeded": (None, ["platform"]),
    "ConfigurationNeeded": ("UpToDate", ["platform"]),
    "ConfigurationAndSWHardeningNeeded": ("SWHardeningNeeded", ["platform"]),
    "OutOfDate": ("UpToDate", ["platform"]),
    "OutOfDateConfigurationNeeded": ("UpToDate", ["platform"]),
}


@pytest.mark.parametrize("status", BETTER)
def test_every_simulated_status_names_its_better_level(machine, status):
    collateral = machine.collateral(CollateralOptions(tcb_status=TCBStatus(status)))
    tcb = verification_document(machine.examine(collateral=collateral), Policy())["tcb"]
    better, held_back_by = BETTER[status]
    assert (tcb["better_level"] and tcb["better_level"]["status"], tcb["held_back_by"]) == (better, held_back_by)


def test_a_qe_that_is_behind_is_to_blame(machine):
    def change(content):
        newest = content["tcbLevels"][0]
        content["tcbLevels"] = [newest | {"tcb": {"isvsvn": 12}}, newest | {"tcbStatus": "OutOfDate"}]

    tcb = verification_document(machine.examine(collateral=machine.resigned("qe_identity", change)), Policy())["tcb"]
    assert tcb["held_back_by"] == ["qe"]
    assert (tcb["qe_isv_svn"], tcb["qe_newest_isv_svn"]) == (11, 12)


def test_a_platform_below_the_list_is_shown_the_nearest_level(machine):
    found = machine.examine(collateral=machine.collateral(CollateralOptions(missing_level=True)))
    assert found.tcb_status is None
    tcb = verification_document(found, Policy())["tcb"]
    assert tcb["platform"] is None
    assert tcb["better_level"]["components_behind"]


def test_without_authentic_tcb_info_nothing_is_said(machine):
    collateral = machine.collateral(tcb_info_signature="00" * 64)
    assert machine.examine(collateral=collateral).shortfall is None


REAL = {
    "sgx-00606a000000-2008020f-tcb3-eval17-20250815": (
        "2025-08-30T05:09:06Z",
        "SWHardeningNeeded",
        [(1, "BIOS: Early Microcode Update"), (2, "OS/VMM: SGX Late Microcode Update"), (7, "")],
    ),
    "sgx-00a067110000-743a7a64-tcb3-eval17-20250619": ("2025-07-04T10:28:44Z", "SWHardeningNeeded", [(7, "")]),
}


@pytest.mark.parametrize("name", REAL)
def test_a_real_platform_is_told_which_components_are_behind(real_set, name):
    at, status, parts = REAL[name]
    chosen = real_set(name)
    from confcom.quote import examine, intel_root

    found = examine(chosen.quote, chosen.collateral, intel_root(), parse_time(at)).shortfall
    assert found.level.status == status
    assert [(part.number, part.label) for part in found.components] == parts
