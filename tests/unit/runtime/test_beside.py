"""What a daemon runs beside: its lines in the log, and its entries in `/status`."""

import io
import json
import logging

import msgspec
import pytest

from confcom.platform.compatibility import DriverName, Part, Verdict, look_up, look_up_driver
from confcom.runtime import beside, logs
from confcom.runtime.status import Compatibility

LEVELS = [
    (look_up(Part.LINUX, "6.8.0"), "INFO"),
    (look_up(Part.LINUX, "6.19.0"), "WARNING"),
    (look_up(Part.PSW, "unknown"), "WARNING"),
    (look_up_driver(DriverName.EPID, quoting=True), "ERROR"),
]


@pytest.fixture
def lines():
    stream = io.StringIO()
    root = logging.getLogger("confcom")
    before = root.handlers, root.level, root.propagate
    logs.configure("json", "test", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers, root.level, root.propagate = before


def test_every_verdict_has_its_level():
    assert {found.verdict for found, _ in LEVELS} == set(Verdict)


@pytest.mark.parametrize(("found", "level"), LEVELS, ids=[found.verdict for found, _ in LEVELS])
def test_one_event_for_each_finding(lines, found, level):
    beside.tell(logging.getLogger("confcom.test"), [found])
    (line,) = lines()
    assert (line["level"], line["message"]) == (level, "runs beside")
    assert [line[name] for name in ("part", "found", "verdict", "why")] == [
        found.part, found.found, found.verdict, found.why,
    ]  # fmt: skip


def test_nothing_found_is_nothing_to_tell(lines):
    beside.tell(logging.getLogger("confcom.test"), ())
    assert lines() == []


def test_entries_survive_the_way_over_http():
    found = [finding for finding, _ in LEVELS]
    body = msgspec.json.encode(beside.entries(found))
    read = msgspec.json.decode(body, type=tuple[Compatibility, ...])
    assert [(c.part, c.found, c.verdict, c.why) for c in read] == [
        (str(f.part), f.found, str(f.verdict), f.why) for f in found
    ]
