"""Reports by the key scheme of the Intel SGX SDK's simulation mode."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcom.errors import QuoteVerificationError, SGXFormatError
from confcom.sgx import Attributes, Report, TargetInfo
from confcom.simulation.reports import (
    BASE_KEY,
    DEFAULT_CPU_SVN,
    SDK_KEY_ID,
    SIMULATED_MR_ENCLAVE,
    SIMULATED_MR_SIGNER,
    ReportTarget,
    make_report,
    report_key,
    verify_report,
)

TARGET = TargetInfo(mr_enclave=b"\xee" * 32, attributes=Attributes(flags=1, xfrm=3))


def test_report_key_of_the_published_vector():
    assert report_key(TARGET).hex() == "7b9550cdb15201787224ac1808358272"


def test_key_id_is_the_base_key_and_zeros():
    assert bytes.fromhex("ff00" * 8) == BASE_KEY
    assert bytes.fromhex("ff00" * 8) + bytes(16) == SDK_KEY_ID


KEY_INPUTS = {
    "mr_enclave": {"mr_enclave": b"\xef" + b"\xee" * 31},
    "flags": {"attributes": Attributes(flags=3, xfrm=3)},
    "xfrm": {"attributes": Attributes(flags=1, xfrm=7)},
    "misc_select": {"misc_select": 1},
    "config_svn": {"config_svn": 1},
    "config_id": {"config_id": b"\1" + bytes(63)},
}


@pytest.mark.parametrize("change", KEY_INPUTS.values(), ids=KEY_INPUTS)
def test_every_field_of_the_target_changes_the_key(change):
    fields = {"mr_enclave": TARGET.mr_enclave, "attributes": TARGET.attributes}
    assert report_key(TargetInfo(**{**fields, **change})) != report_key(TARGET)


@pytest.mark.parametrize("field", ["reserved1", "reserved2", "reserved3"])
def test_reserved_fields_of_the_target_do_not_change_the_key(field):
    size = len(getattr(TARGET, field))
    changed = TargetInfo(mr_enclave=TARGET.mr_enclave, attributes=TARGET.attributes, **{field: b"\1" * size})
    assert report_key(changed) == report_key(TARGET)


def test_key_id_and_cpu_svn_change_the_key():
    upgraded = bytes.fromhex("5339ae8c93ae8f3ce432db924d0f0733")
    assert len({report_key(TARGET), report_key(TARGET, key_id=bytes(32)), report_key(TARGET, cpu_svn=upgraded)}) == 3


def test_report_carries_what_it_was_made_of():
    report = make_report(
        TARGET,
        mr_enclave=b"e" * 32,
        mr_signer=b"s" * 32,
        report_data=b"d" * 64,
        attributes=Attributes(flags=0x87, xfrm=0xE7),
        misc_select=1,
        isv_prod_id=2,
        isv_svn=3,
        isv_ext_prod_id=b"x" * 16,
        isv_family_id=b"f" * 16,
        config_id=b"c" * 64,
        config_svn=4,
    )
    body = report.body
    assert (body.mr_enclave, body.mr_signer, body.report_data) == (b"e" * 32, b"s" * 32, b"d" * 64)
    assert (body.misc_select, body.isv_prod_id, body.isv_svn, body.config_svn) == (1, 2, 3, 4)
    assert (body.isv_ext_prod_id, body.isv_family_id, body.config_id) == (b"x" * 16, b"f" * 16, b"c" * 64)
    assert body.attributes == Attributes(flags=0x87, xfrm=0xE7)
    assert (body.cpu_svn, report.key_id, body.reserved_is_zero) == (DEFAULT_CPU_SVN, SDK_KEY_ID, True)
    assert len(report.to_bytes()) == 432


def test_default_enclave_is_named_after_the_simulation():
    body = make_report(TARGET).body
    assert body.mr_enclave == SIMULATED_MR_ENCLAVE == hashlib.sha256(b"Simulated SGX enclave").digest()
    assert body.mr_signer == SIMULATED_MR_SIGNER == hashlib.sha256(b"Simulated SGX enclave signer").digest()
    assert body.attributes.initted
    assert not body.attributes.debug


def test_verify_report_accepts_what_was_made_for_the_target():
    verify_report(make_report(TARGET), TARGET)


def test_verify_report_refuses_another_target():
    other = TargetInfo(mr_enclave=b"\xdd" * 32)
    with pytest.raises(QuoteVerificationError) as caught:
        verify_report(make_report(TARGET), other)
    assert str(caught.value) == (
        f"REPORT: its MAC does not hold for the enclave {'dd' * 32}: it was made for another enclave or another "
        "machine, or changed since"
    )


def test_report_of_an_upgraded_host_is_refused():
    body = make_report(TARGET).body
    key = report_key(TARGET, cpu_svn=bytes.fromhex("5339ae8c93ae8f3ce432db924d0f0733"))
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.cmac import CMAC

    cmac = CMAC(AES(key))
    cmac.update(body.to_bytes())
    with pytest.raises(QuoteVerificationError):
        verify_report(Report(body=body, key_id=SDK_KEY_ID, mac=cmac.finalize()), TARGET)


SIZES = {
    "mr_enclave": (31, "REPORT body: field 'mr_enclave' at offset 64: needs 32 bytes, not 31"),
    "mr_signer": (33, "REPORT body: field 'mr_signer' at offset 128: needs 32 bytes, not 33"),
    "report_data": (65, "REPORT body: field 'report_data' at offset 320: needs 64 bytes, not 65"),
}


@pytest.mark.parametrize(("field", "case"), SIZES.items(), ids=SIZES)
def test_wrong_sizes_are_refused(field, case):
    size, sentence = case
    with pytest.raises(SGXFormatError) as caught:
        make_report(TARGET, **{field: bytes(size)})
    assert str(caught.value) == sentence


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, 432 * 8 - 1), data=st.binary(min_size=64, max_size=64))
def test_one_flipped_bit_anywhere_is_refused(bit, data):
    target = ReportTarget(TARGET)
    report = bytearray(make_report(TARGET, report_data=data).to_bytes())
    assert target.accepts(bytes(report))
    report[bit // 8] ^= 1 << bit % 8
    assert not target.accepts(bytes(report))


@settings(max_examples=30, deadline=None)
@given(key_ids=st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=5))
def test_a_kept_key_never_answers_for_another_key_id(key_ids):
    kept = ReportTarget(TARGET)
    body = make_report(TARGET).body.to_bytes()
    assert [kept.mac(body, key) for key in key_ids] == [ReportTarget(TARGET).mac(body, key) for key in key_ids]
