"""The simulated QE: the checks of a real one, in its order, with its errors; and what its quotes hold."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcom.codes import AESM
from confcom.errors import QuotingError
from confcom.quote.certificates import key_from_raw, verify_raw
from confcom.sgx import DEFAULT_KEY_ID, Attributes, QEReportInfo, Quote, Report, TargetInfo
from confcom.simulation.identity import QE_MR_SIGNER
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import ereport, make_report, verify_report

KEY_ID = DEFAULT_KEY_ID.to_bytes()
CALLER = TargetInfo(mr_enclave=b"c" * 32)
INFO = QEReportInfo(nonce=b"n" * 16, app_enclave_target_info=CALLER).to_bytes()


def report_for(machine, **fields):
    return make_report(machine.target_info(), **fields).to_bytes()


def unusual_report(machine, **fields):
    """A report with a right MAC over a body that no hardware writes."""
    body = replace(make_report(machine.target_info()).body, **fields)
    return ereport(machine.target_info(), body).to_bytes()


def flipped(data, at):
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def refusal(machine, report, key_id=KEY_ID, info=None):
    with pytest.raises(QuotingError) as caught:
        machine.get_quote(report, key_id, info)
    return caught.value.code, caught.value.cause


def mac_sentence(machine):
    return (
        "REPORT: its MAC does not hold: it was made on another machine or for another enclave than this QE (MRENCLAVE "
        f"{machine.target_info().mr_enclave.hex()}), or changed since"
    )


SIZES = {
    "report empty": (b"", KEY_ID, None, "report: needs 432 bytes, not 0"),
    "report short": (bytes(431), KEY_ID, None, "report: needs 432 bytes, not 431"),
    "report long": (bytes(433), KEY_ID, None, "report: needs 432 bytes, not 433"),
    "qe_report_info empty": (bytes(432), KEY_ID, b"", "qe_report_info: needs 960 bytes, not 0"),
    "qe_report_info short": (bytes(432), KEY_ID, bytes(959), "qe_report_info: needs 960 bytes, not 959"),
    "qe_report_info long": (bytes(432), KEY_ID, bytes(961), "qe_report_info: needs 960 bytes, not 961"),
    "key id absent": (bytes(432), b"", None, "attestation key id: needs 256 bytes, not 0"),
    "key id without its end": (bytes(432), KEY_ID[:158], None, "attestation key id: needs 256 bytes, not 158"),
    "key id short": (bytes(432), KEY_ID[:255], None, "attestation key id: needs 256 bytes, not 255"),
}


@pytest.mark.parametrize(("report", "key_id", "info", "cause"), SIZES.values(), ids=SIZES)
def test_wrong_sizes_are_parameter_errors(machine, report, key_id, info, cause):
    assert refusal(machine, report, key_id, info) == (3, cause)


def test_any_of_the_first_158_bytes_of_another_key_id_is_refused(machine):
    report = report_for(machine)
    codes = {refusal(machine, report, flipped(KEY_ID, at))[0] for at in range(158)}
    assert codes == {38}
    assert refusal(machine, report, flipped(KEY_ID, 6))[1] == (
        "attestation key id: its first 158 bytes are not those of the default ECDSA-P256 key, the only one offered here"
    )


def test_the_last_98_bytes_of_the_key_id_are_not_compared(machine):
    report = report_for(machine)
    sizes = {len(machine.get_quote(report, flipped(KEY_ID, at))[0]) for at in range(158, 256)}
    assert sizes == {machine.quote_size}


DAMAGES = {"body": 0, "mr_enclave": 64, "report_data": 383, "KEYID": 384, "end of KEYID": 415, "MAC": 416, "end": 431}


@pytest.mark.parametrize("at", DAMAGES.values(), ids=DAMAGES)
def test_a_flipped_bit_is_an_invalid_report(machine, at):
    assert refusal(machine, flipped(report_for(machine), at)) == (47, mac_sentence(machine))


def test_a_report_for_another_machine_is_refused(machine, other_machine):
    assert refusal(machine, report_for(other_machine)) == (47, mac_sentence(machine))
    assert refusal(other_machine, report_for(machine)) == (47, mac_sentence(other_machine))


OTHER_TARGETS = {
    "attributes": {"attributes": Attributes(flags=0x17, xfrm=0xE7)},
    "misc_select": {"misc_select": 1},
    "config_svn": {"config_svn": 1},
    "config_id": {"config_id": b"\1" * 64},
}


@pytest.mark.parametrize("change", OTHER_TARGETS.values(), ids=OTHER_TARGETS)
def test_a_report_for_an_enclave_almost_like_the_qe_is_refused(machine, change):
    report = make_report(replace(machine.target_info(), **change))
    assert refusal(machine, report.to_bytes()) == (47, mac_sentence(machine))


RESERVED = {"reserved1": 12, "reserved2": 32, "reserved3": 32, "reserved4": 42}


@pytest.mark.parametrize(("field", "size"), RESERVED.items())
def test_reserved_fields_must_be_zero(machine, field, size):
    for value in (b"\1" + bytes(size - 1), bytes(size - 1) + b"\x80"):
        assert refusal(machine, unusual_report(machine, **{field: value})) == (
            47,
            f"REPORT: field '{field}' is not zero",
        )


def test_an_enclave_that_was_never_initialised_is_refused(machine):
    report = unusual_report(machine, attributes=Attributes(flags=0x4))
    assert refusal(machine, report) == (47, "REPORT: field 'attributes' lacks INITTED: no enclave is running")


def test_without_a_certified_key_there_are_no_quotes(tmp_path):
    machine = SimulatedPlatform.create(tmp_path / "machine")
    before = machine.pub_key_id
    machine.quoting_enclave.forget_key()
    cause = "the attestation key is not certified: initialise it"
    assert refusal(machine, report_for(machine)) == (42, cause)
    for ask in (lambda: machine.quote_size, lambda: machine.pub_key_id):
        with pytest.raises(QuotingError, match=cause) as caught:
            ask()
        assert caught.value.code == 42
    machine.quoting_enclave.certify_key()
    assert machine.pub_key_id == before
    assert len(machine.get_quote(report_for(machine), KEY_ID)[0]) == machine.quote_size


def test_the_first_check_that_fails_decides(tmp_path):
    machine = SimulatedPlatform.create(tmp_path / "machine")
    machine.quoting_enclave.forget_key()
    other_key = flipped(KEY_ID, 0)
    bad_mac = flipped(unusual_report(machine, reserved1=b"\1" * 12, attributes=Attributes(flags=0)), 431)
    assert refusal(machine, b"", other_key)[0] == AESM.PARAMETER
    assert refusal(machine, bad_mac, other_key)[0] == AESM.UNSUPPORTED_ATT_KEY_ID
    assert refusal(machine, bad_mac)[0] == AESM.ATT_KEY_NOT_INITIALIZED
    machine.quoting_enclave.certify_key()
    assert refusal(machine, bad_mac) == (AESM.INVALID_REPORT, mac_sentence(machine))
    both = unusual_report(machine, reserved1=b"\1" * 12, attributes=Attributes(flags=0))
    assert refusal(machine, both)[1] == "REPORT: field 'reserved1' is not zero"


@settings(max_examples=60, deadline=None)
@given(report=st.binary(max_size=500), key_id=st.binary(max_size=300), info=st.none() | st.binary(max_size=1000))
def test_random_bytes_get_a_quoting_error_and_no_other(machine, report, key_id, info):
    with pytest.raises(QuotingError) as caught:
        machine.get_quote(report, key_id, info)
    assert caught.value.code in {3, 38, 47}


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, 432 * 8 - 1))
def test_any_flipped_bit_of_a_report_is_refused(machine, bit):
    report = bytearray(report_for(machine))
    report[bit // 8] ^= 1 << bit % 8
    assert refusal(machine, bytes(report)) == (47, mac_sentence(machine))


def test_target_info_sets_three_fields_only(machine):
    assert machine.target_info().to_bytes() == (
        machine.identity.qe_mr_enclave + bytes.fromhex("1500000000000000 e700000000000000") + bytes(512 - 48)
    )


def test_quote_fields(machine):
    report = make_report(machine.target_info(), report_data=bytes(range(64)))
    data, info = machine.get_quote(report.to_bytes(), KEY_ID)
    quote = Quote.from_bytes(data)

    assert info is None
    assert quote.to_bytes() == data
    assert len(data) == machine.quote_size
    assert (quote.trailing, quote.report) == (b"", report.body)
    header = quote.header
    assert (header.version, header.att_key_type, header.tee_type, header.qe_svn, header.pce_svn) == (3, 2, 0, 11, 15)
    assert header.vendor_id.hex() == "939a7233f79c4ca9940a0db3957f0607"
    assert header.user_data == machine.identity.qe_id + bytes(4)
    assert quote.auth_data == bytes(range(32))
    assert quote.certification_data_type == 5
    assert quote.certification_data == machine.certificate_chain + b"\0"


def test_quote_binds_its_key(machine):
    quote = Quote.from_bytes(machine.get_quote(report_for(machine), KEY_ID)[0])
    assert machine.pub_key_id == hashlib.sha256(quote.attest_pub_key + quote.auth_data).digest()
    assert quote.qe_report.report_data == machine.pub_key_id + bytes(32)
    assert verify_raw(key_from_raw(quote.attest_pub_key), quote.sig, quote.signed_bytes())


def test_qe_report_of_the_quote(machine):
    qe = Quote.from_bytes(machine.get_quote(report_for(machine), KEY_ID)[0]).qe_report
    assert (qe.misc_select, qe.attributes, qe.isv_prod_id, qe.isv_svn) == (0, Attributes(flags=0x15, xfrm=0xE7), 1, 11)
    assert (qe.mr_enclave, qe.mr_signer) == (machine.identity.qe_mr_enclave, QE_MR_SIGNER)
    assert qe.mr_signer == hashlib.sha256(b"Simulated SGX QE signer").digest()
    assert qe.reserved_is_zero


def test_quote_fits_the_buffers_of_clients_made_for_real_quotes(machine, other_machine):
    assert machine.quote_size <= 4600
    assert other_machine.quote_size <= 4734


def test_debug_enclaves_are_quoted_as_by_a_real_qe(machine):
    report = report_for(machine, attributes=Attributes(flags=0x7))
    assert Quote.from_bytes(machine.get_quote(report, KEY_ID)[0]).report.attributes.debug


def test_qe_report_info_comes_back_filled(machine):
    quote, info = machine.get_quote(report_for(machine), KEY_ID, INFO)
    assert info[:528] == INFO[:528]
    answer = Report.from_bytes(info[528:])
    assert answer.body.report_data == hashlib.sha256(b"n" * 16 + quote).digest() + bytes(32)
    assert answer.body.mr_enclave == machine.target_info().mr_enclave
    verify_report(answer, CALLER)


def test_what_stood_in_the_place_of_the_qe_report_does_not_matter(machine):
    _, info = machine.get_quote(report_for(machine), KEY_ID, INFO[:528] + b"\xff" * 432)
    verify_report(Report.from_bytes(info[528:]), CALLER)
