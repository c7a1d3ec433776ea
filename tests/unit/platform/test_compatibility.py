"""What runs beside what, row by row."""

import itertools

import pytest

from confcom.platform.compatibility import (
    DRIVERS,
    MATRIX,
    DriverName,
    Part,
    Verdict,
    look_up,
    look_up_driver,
    parse_version,
    refusal,
)

CASES = [
    (Part.KUBERNETES, "v1.29.15", Verdict.REFUSED),
    (Part.KUBERNETES, "v1.30.0", Verdict.WORKS),
    (Part.KUBERNETES, "v1.35.9", Verdict.WORKS),
    (Part.KUBERNETES, "v1.36.2", Verdict.LIMITED),
    (Part.KUBERNETES, "v1.37.0-rc.1", Verdict.LIMITED),
    (Part.KUBERNETES, "v1.38.0", Verdict.UNTRIED),
    (Part.KUBERNETES, "v2.0.0", Verdict.UNTRIED),
    (Part.LINUX, "4.15.0-1103-azure", Verdict.LIMITED),
    (Part.LINUX, "5.10.230", Verdict.LIMITED),
    (Part.LINUX, "5.11.0", Verdict.WORKS),
    (Part.LINUX, "5.15.0-1074-azure", Verdict.WORKS),
    (Part.LINUX, "6.8.0-1021-azure", Verdict.WORKS),
    (Part.LINUX, "6.19.1", Verdict.LIMITED),
    (Part.LINUX, "7.0", Verdict.LIMITED),
    (Part.PSW, "2.9.101.2", Verdict.LIMITED),
    (Part.PSW, "2.16.100", Verdict.LIMITED),
    (Part.PSW, "2.21.100.1", Verdict.WORKS),
    (Part.PSW, "unknown", Verdict.UNTRIED),
    (Part.LINUX, "", Verdict.UNTRIED),
]


@pytest.mark.parametrize(("part", "text", "verdict"), CASES)
def test_version_has_its_verdict(part, text, verdict):
    found = look_up(part, text)
    assert (found.verdict, found.found) == (verdict, text)
    assert found.why


@pytest.mark.parametrize("part", [Part.KUBERNETES, Part.LINUX, Part.PSW])
def test_rows_leave_no_gap_and_do_not_overlap(part):
    rows = [row for row in MATRIX if row.part is part]
    assert rows[0].first is None
    assert rows[-1].last is None
    for before, after in itertools.pairwise(rows):
        assert before.last < after.first
        assert sum(row.covers(after.first) for row in rows) == 1
        major, minor = before.last
        assert after.first == (major, minor + 1)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.36.2", (1, 36, 2)),
        ("6.8.0-1021-azure", (6, 8, 0)),
        ("2.21.100.1-jammy1", (2, 21, 100, 1)),
        ("x", None),
        ("v", None),
    ],
)
def test_versions_are_read(text, version):
    assert parse_version(text) == version


def test_ranges_for_people():
    assert [row.range for row in MATRIX if row.part is Part.KUBERNETES] == [
        "up to 1.29", "1.30 - 1.35", "1.36", "1.37", "1.38 and newer",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "quoting", "verdict"),
    [
        pytest.param(DriverName.IN_TREE, True, Verdict.WORKS, id="in-tree, quotes"),
        pytest.param(DriverName.IN_TREE, False, Verdict.WORKS, id="in-tree, devices"),
        pytest.param(DriverName.DCAP, True, Verdict.WORKS, id="DCAP, quotes"),
        pytest.param(DriverName.DCAP, False, Verdict.WORKS, id="DCAP, devices"),
        pytest.param(DriverName.EPID, True, Verdict.REFUSED, id="EPID, quotes"),
        pytest.param(DriverName.EPID, False, Verdict.LIMITED, id="EPID, devices: enclaves run"),
    ],
)
def test_drivers(name, quoting, verdict):
    found = look_up_driver(name, quoting=quoting)
    assert (found.part, found.found, found.verdict, found.why) == (Part.DRIVER, name, verdict, DRIVERS[name].why)


def test_only_what_does_not_work_is_refused():
    good = (
        look_up(Part.LINUX, "5.4"),
        look_up(Part.KUBERNETES, "9.9"),
        look_up(Part.PSW, "unknown"),
        look_up_driver(DriverName.EPID, quoting=False),
    )
    assert refusal(good) is None
    assert refusal((*good, look_up_driver(DriverName.EPID, quoting=True))) == (
        "SGX driver EPID does not work with this version of confcom: enclaves run, but isgx has no provision device, so "
        "DCAP quotes cannot be made"
    )
