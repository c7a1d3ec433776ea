"""One line per event with its fields, as text or JSON; many lines of one cause become few."""

import io
import json
import logging

import pytest

from confcom.runtime.logs import BURST_PER_CAUSE, MAX_CAUSES, WINDOW_SECONDS, CauseLimit, configure, event

logger = logging.getLogger("confcom.sample")


@pytest.fixture
def lines(request):
    """The lines that a format writes; the package's logging is as it was afterwards."""
    root = logging.getLogger("confcom")
    before = root.handlers, root.level, root.propagate
    stream = io.StringIO()
    configure(getattr(request, "param", "text"), "sample", stream)
    yield lambda: stream.getvalue().splitlines()
    root.handlers, root.level, root.propagate = before


@pytest.mark.parametrize(
    ("fields", "tail"),
    [
        ({}, ""),
        ({"path": "/run/x"}, " path=/run/x"),
        ({"count": 3, "ok": True}, " count=3 ok=True"),
        ({"cause_in_words": "two words"}, ' cause_in_words="two words"'),
        ({"empty": ""}, ' empty=""'),
        ({"odd": 'a"b=c\nd'}, ' odd="a\\"b=c\\nd"'),
        # What a terminal or a reader of lines would obey.
        ({"odd": "a\rb\x1b[2J\u2028"}, ' odd="a\\rb\\u001b[2J\\u2028"'),
    ],
)
def test_text_line_has_its_fields_quoted_where_they_need_it(lines, fields, tail):
    event(logger, logging.INFO, "it happened", **fields)
    (line,) = lines()
    assert line.endswith(f" INFO    sample: it happened{tail}")


@pytest.mark.parametrize("lines", ["json"], indirect=True)
def test_json_line_is_one_object(lines):
    event(logger, logging.WARNING, "it\nhappened", path="/x", number=7)
    (line,) = lines()
    said = json.loads(line)
    assert said.pop("time").endswith("Z")
    assert said == {"level": "WARNING", "component": "sample", "message": "it\nhappened", "path": "/x", "number": 7}


@pytest.mark.parametrize("lines", ["text", "json"], indirect=True)
def test_traceback_of_a_fault_stays_on_the_line(lines):
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logger.exception("a fault")
    (line,) = lines()
    assert "ZeroDivisionError" in line


def test_lines_of_one_cause_are_limited_and_others_are_not(lines):
    for number in range(50):
        event(logger, logging.INFO, "again", cause="same", number=number)
        event(logger, logging.INFO, "free")
    assert sum("again" in line for line in lines()) == BURST_PER_CAUSE
    assert sum("free" in line for line in lines()) == 50


def record(cause):
    made = logging.LogRecord("confcom", logging.INFO, "", 0, "m", None, None)
    made.cause = cause
    return made


def test_line_after_the_window_tells_how_many_were_left_out():
    now = [0.0]
    limit = CauseLimit(lambda: now[0])
    assert sum(limit.filter(record("x")) for _ in range(25)) == BURST_PER_CAUSE
    now[0] = WINDOW_SECONDS
    following = record("x")
    assert limit.filter(following)
    assert following.fields == {"left_out_before": 25 - BURST_PER_CAUSE}


def test_a_stream_of_distinct_causes_takes_no_memory_without_end():
    limit = CauseLimit(lambda: 0.0)
    for number in range(MAX_CAUSES * 2):
        limit.filter(record(str(number)))
    assert len(limit._windows) <= MAX_CAUSES
