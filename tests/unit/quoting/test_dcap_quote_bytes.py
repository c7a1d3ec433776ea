"""What a library may leave in a buffer: the quote in it is found, or a sentence says why there is none."""

import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.errors import QuotingError
from confcom.quoting.dcap import certification_type, told_if_slow, trim
from confcom.quoting.dcap_status import MAX_SAID, failure, quote3_from_raw
from confcom.sgx import DEFAULT_KEY_ID, Quote
from confcom.simulation.reports import make_report


@pytest.fixture(scope="module")
def report(platform):
    return make_report(platform.target_info(), report_data=b"t" * 64).to_bytes()


@pytest.fixture(scope="module")
def quote(platform, report):
    return platform.get_quote(report, DEFAULT_KEY_ID.to_bytes())[0]


@given(padding=st.binary(max_size=4096))
def test_whatever_stands_behind_the_quote_is_left_out(quote, report, padding):
    assert trim(quote + padding, report) == quote


@given(data=st.binary(max_size=2048))
def test_any_bytes_are_a_refusal_in_words(report, data):
    with pytest.raises(QuotingError) as caught:
        trim(data, report)
    assert caught.value.code == 1
    assert caught.value.cause.startswith("sgx_ql_get_quote: returned success and ")


@given(size=st.integers(0, 6000))
def test_quote_cut_anywhere_is_refused(quote, report, size):
    if size < len(quote):
        with pytest.raises(QuotingError):
            trim(quote[:size], report)


@given(declared=st.integers(0, 0xFFFFFFFF))
def test_declared_length_is_believed_only_inside_the_buffer(quote, report, declared):
    data = quote[:432] + declared.to_bytes(4, "little") + quote[436:] + bytes(1000)
    if 1020 <= 436 + declared <= len(data):
        assert len(trim(data, report)) == 436 + declared
    else:
        with pytest.raises(QuotingError, match=f"says of itself that it has {436 + declared} bytes"):
            trim(data, report)


def test_certification_type_is_the_parsers(quote):
    assert certification_type(quote) == Quote.from_bytes(quote).certification_data_type == 5


@pytest.mark.parametrize("number", [0, 0xE001, 0xE0FF, 0x1, 0x2000, 0x2011, 0xD001, 0xFFFFFFFF], ids=hex)
def test_number_that_is_no_raw_status_stands_as_it_is(number):
    assert quote3_from_raw(number) == number


@pytest.mark.parametrize("number", [n for n in range(0x2001, 0x2011) if n != 0x2005], ids=hex)
def test_every_failure_to_load_an_enclave_is_one(number):
    assert quote3_from_raw(number) == 0xE016


def test_what_the_library_said_is_shortened():
    cause = failure("call", 0xE001, "x" * 5000).cause
    assert cause.endswith(" The library's log says: " + "x" * MAX_SAID)


def test_slow_call_is_told_while_it_lasts(caplog):
    told = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record):
            if record.getMessage() == "the quoting library takes long":
                self.fields = record.fields
                told.set()

    listener = Listener()
    logger = logging.getLogger("confcom.quoting.dcap")
    logger.addHandler(listener)
    try:
        with told_if_slow("sgx_ql_init_quote", 0.01):
            assert told.wait(10)
    finally:
        logger.removeHandler(listener)
    assert listener.fields["call"] == "sgx_ql_init_quote"
    assert listener.fields["next_step"].startswith("it may be waiting for the certificate service")


def _timers():
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_call_in_time_leaves_no_timer_behind():
    before = _timers()
    with told_if_slow("sgx_ql_init_quote", 3600):
        (timer,) = set(_timers()) - set(before)
    timer.join(10)
    assert not timer.is_alive()
