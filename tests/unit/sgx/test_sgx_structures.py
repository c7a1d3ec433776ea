"""Layouts of the SGX structures: offsets as the headers have them, exact inverses, and truncation at every field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.errors import InputError, SGXFormatError
from confcom.sgx import (
    DEFAULT_KEY_ID,
    AttestationKeyID,
    AttestationKeyIDList,
    Attributes,
    QEReportInfo,
    QuoteHeader,
    Report,
    ReportBody,
    TargetInfo,
)

STRUCTURES = [Attributes, ReportBody, Report, TargetInfo, QEReportInfo, AttestationKeyID, QuoteHeader]

# (structure, field, offset, size): sgx_report.h, sgx_key.h, sgx_quote.h, sgx_quote_3.h.
LAYOUT = [
    (ReportBody, "cpu_svn", 0, 16), (ReportBody, "misc_select", 16, 4), (ReportBody, "isv_ext_prod_id", 32, 16),
    (ReportBody, "attributes", 48, 16), (ReportBody, "mr_enclave", 64, 32), (ReportBody, "mr_signer", 128, 32),
    (ReportBody, "config_id", 192, 64), (ReportBody, "isv_prod_id", 256, 2), (ReportBody, "isv_svn", 258, 2),
    (ReportBody, "config_svn", 260, 2), (ReportBody, "isv_family_id", 304, 16), (ReportBody, "report_data", 320, 64),
    (Report, "body", 0, 384), (Report, "key_id", 384, 32), (Report, "mac", 416, 16),
    (TargetInfo, "mr_enclave", 0, 32), (TargetInfo, "attributes", 32, 16), (TargetInfo, "config_svn", 50, 2),
    (TargetInfo, "misc_select", 52, 4), (TargetInfo, "config_id", 64, 64), (TargetInfo, "reserved3", 128, 384),
    (QEReportInfo, "nonce", 0, 16), (QEReportInfo, "app_enclave_target_info", 16, 512),
    (QEReportInfo, "qe_report", 528, 432),
    (AttestationKeyID, "id", 0, 2), (AttestationKeyID, "version", 2, 2), (AttestationKeyID, "mrsigner_length", 4, 2),
    (AttestationKeyID, "mrsigner", 6, 48), (AttestationKeyID, "prod_id", 54, 4),
    (AttestationKeyID, "extended_prod_id", 58, 16), (AttestationKeyID, "config_id", 74, 64),
    (AttestationKeyID, "family_id", 138, 16), (AttestationKeyID, "algorithm_id", 154, 4),
    (AttestationKeyID, "spid", 158, 16), (AttestationKeyID, "att_key_type", 174, 2),
    (AttestationKeyID, "reserved", 176, 80),
    (QuoteHeader, "version", 0, 2), (QuoteHeader, "att_key_type", 2, 2), (QuoteHeader, "tee_type", 4, 4),
    (QuoteHeader, "qe_svn", 8, 2), (QuoteHeader, "pce_svn", 10, 2), (QuoteHeader, "vendor_id", 12, 16),
    (QuoteHeader, "user_data", 28, 20),
]  # fmt: skip
SIZES = {
    Attributes: 16, ReportBody: 384, Report: 432, TargetInfo: 512, QEReportInfo: 960, AttestationKeyID: 256,
    QuoteHeader: 48,
}  # fmt: skip


def named(value):
    return value.__name__ if isinstance(value, type) else None


def fields_of(structure, base=0):
    """Every plain field with its offset, those of inner structures included, with the name of what holds it."""
    for field, offset in structure.offsets():
        if field.type in (int, bytes):
            yield structure.NAME, field.name, base + offset, field.size
        else:
            yield from fields_of(field.type, base + offset)


def outer_fields(structure):
    return [(field.name, offset, field.size) for field, offset in structure.offsets()]


@pytest.mark.parametrize(("structure", "size"), SIZES.items(), ids=named)
def test_structure_has_the_size_of_its_header(structure, size):
    assert size == structure.SIZE


@pytest.mark.parametrize(("structure", "name", "offset", "size"), LAYOUT)
def test_field_lies_where_the_header_has_it(structure, name, offset, size):
    assert (name, offset, size) in outer_fields(structure)


@pytest.mark.parametrize("structure", STRUCTURES, ids=named)
def test_each_field_takes_its_own_bytes_and_no_others(structure):
    """Distinct bytes everywhere: a field that read a neighbour's would not give the same bytes back."""
    data = bytes(index * 7 % 251 for index in range(structure.SIZE))
    value = structure.from_bytes(data)
    assert value.to_bytes() == data
    for field, offset in structure.offsets():
        raw = data[offset : offset + field.size]
        found = getattr(value, field.name)
        assert found == (raw if field.type is bytes else field.decode(raw, offset))
        if field.type is int:
            assert found == int.from_bytes(raw, "little")


@pytest.mark.parametrize("structure", STRUCTURES, ids=named)
def test_any_bytes_of_the_size_are_read_and_written_back(structure):
    @given(st.binary(min_size=structure.SIZE, max_size=structure.SIZE))
    def check(data):
        assert structure.from_bytes(data).to_bytes() == data

    check()


TRUNCATIONS = [
    pytest.param(structure, cut, id=f"{structure.__name__}-{cut}")
    for structure in STRUCTURES
    for _, offset, size in outer_fields(structure)
    for cut in sorted({offset, offset + size - 1})
]


@pytest.mark.parametrize(("structure", "cut"), TRUNCATIONS)
def test_input_that_ends_inside_a_field_names_it_and_its_offset(structure, cut):
    name, offset, size = next(row for row in outer_fields(structure) if row[1] <= cut < row[1] + row[2])
    with pytest.raises(SGXFormatError) as caught:
        structure.from_bytes(bytes(cut))
    error = caught.value
    assert (error.structure, error.field, error.offset) == (structure.NAME, name, offset)
    assert error.problem == f"needs {size} bytes, the input has {cut - offset} left"
    assert str(error) == f"{structure.NAME}: field '{name}' at offset {offset}: {error.problem}"


@pytest.mark.parametrize("structure", STRUCTURES, ids=named)
@pytest.mark.parametrize("extra", [1, 16, 4096])
def test_bytes_behind_the_end_are_refused_with_their_number(structure, extra):
    with pytest.raises(SGXFormatError) as caught:
        structure.from_bytes(bytes(structure.SIZE + extra))
    assert (caught.value.field, caught.value.offset) == ("end", structure.SIZE)
    assert caught.value.problem == f"{extra} bytes too many: it has {structure.SIZE}"


def test_inner_structure_counts_offsets_from_the_outermost():
    """The QE's report sits at 528 of qe_report_info: what is wrong in it is told from the start of the whole."""
    with pytest.raises(SGXFormatError) as caught:
        Report.from_bytes(bytes(431), base=528)
    assert (caught.value.field, caught.value.offset) == ("mac", 944)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(
            lambda: ReportBody(mr_enclave=bytes(31)),
            "REPORT body: field 'mr_enclave' at offset 64: needs 32 bytes, not 31", id="short-bytes"),
        pytest.param(
            lambda: ReportBody(report_data=bytes(65)),
            "REPORT body: field 'report_data' at offset 320: needs 64 bytes, not 65", id="long-bytes"),
        pytest.param(
            lambda: ReportBody(isv_svn=1 << 16),
            "REPORT body: field 'isv_svn' at offset 258: 65536 does not fit in 2 unsigned bytes", id="large-integer"),
        pytest.param(
            lambda: Attributes(flags=-1),
            "ATTRIBUTES: field 'flags' at offset 0: -1 does not fit in 8 unsigned bytes", id="negative-integer"),
        pytest.param(
            lambda: QEReportInfo(nonce=b""),
            "qe_report_info: field 'nonce' at offset 0: needs 16 bytes, not 0", id="no-nonce"),
    ],
)  # fmt: skip
def test_value_without_an_encoding_cannot_be_made(make, sentence):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == sentence


class TestAttributes:
    @pytest.mark.parametrize(
        ("flags", "names"),
        [
            (0, []),
            (0x5, ["INITTED", "MODE64BIT"]),
            (0x2, ["DEBUG"]),
            (0x10, ["PROVISION_KEY"]),
            (0x20, ["EINITTOKEN_KEY"]),
            (0x80, ["KSS"]),
            (0x40, ["CET"]),
            (0x400, ["AEX_NOTIFY"]),
            (0x1_0000_0008, ["0x100000008"]),
            (0x9, ["INITTED", "0x8"]),
        ],
    )
    def test_flags_have_names_and_unknown_bits_stand_as_hex(self, flags, names):
        assert Attributes(flags=flags).flag_names() == names

    @pytest.mark.parametrize(("flags", "debug", "initted"), [(0x7, True, True), (0x5, False, True), (0x2, True, False)])
    def test_debug_and_initted_are_single_bits(self, flags, debug, initted):
        attributes = Attributes(flags=flags)
        assert (attributes.debug, attributes.initted) == (debug, initted)


@pytest.mark.parametrize("offset", [20, 31, 96, 127, 160, 191, 262, 303])
def test_any_reserved_byte_of_a_report_body_shows(offset):
    data = bytearray(384)
    assert ReportBody.from_bytes(bytes(data)).reserved_is_zero
    data[offset] = 1
    assert not ReportBody.from_bytes(bytes(data)).reserved_is_zero


def test_default_key_id_is_the_one_that_clients_have_built_in():
    signer = bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff")
    expected = bytearray(256)
    expected[4] = 32
    expected[6:38] = signer
    expected[54] = 1
    expected[154] = 2
    assert DEFAULT_KEY_ID.to_bytes() == bytes(expected)
    assert DEFAULT_KEY_ID.base() == bytes(expected[:158])


class TestAttestationKeyIDList:
    def listed(self, count, *, kind=0, version=0, number=None, size=None):
        header = kind.to_bytes(2, "little") + version.to_bytes(2, "little")
        header += (count if number is None else number).to_bytes(4, "little")
        data = header + DEFAULT_KEY_ID.to_bytes() * count
        return data if size is None else data[:size]

    @pytest.mark.parametrize("count", [1, 2, 10])
    def test_list_of_ids_is_read_and_written_back(self, count):
        data = self.listed(count)
        value = AttestationKeyIDList.from_bytes(data)
        assert value.ids == (DEFAULT_KEY_ID,) * count
        assert value.to_bytes() == data

    @pytest.mark.parametrize(
        ("data", "field", "offset", "problem"),
        [
            ({"count": 1, "size": 0}, "id", 0, "needs 2 bytes, the input ends before"),
            ({"count": 1, "size": 1}, "id", 0, "needs 2 bytes, the input ends before"),
            ({"count": 1, "size": 3}, "version", 2, "needs 2 bytes, the input ends before"),
            ({"count": 1, "size": 7}, "num", 4, "needs 4 bytes, the input ends before"),
            ({"count": 1, "kind": 1}, "id", 0, "must be 0, is 1"),
            ({"count": 1, "version": 3}, "version", 2, "must be 0, is 3"),
            ({"count": 0}, "num", 4, "must be 1 to 10, is 0"),
            ({"count": 11}, "num", 4, "must be 1 to 10, is 11"),
            ({"count": 1, "number": 0xFFFFFFFF}, "num", 4, "must be 1 to 10, is 4294967295"),
            ({"count": 1, "size": 8}, "att_key_id_list", 8, "1 ids do not make 8 bytes in all"),
            ({"count": 1, "size": 263}, "att_key_id_list", 8, "1 ids do not make 263 bytes in all"),
            ({"count": 2, "number": 1}, "att_key_id_list", 8, "1 ids do not make 520 bytes in all"),
            ({"count": 1, "number": 2}, "att_key_id_list", 8, "2 ids do not make 264 bytes in all"),
        ],
    )
    def test_list_that_contradicts_itself_is_refused(self, data, field, offset, problem):
        with pytest.raises(SGXFormatError) as caught:
            AttestationKeyIDList.from_bytes(self.listed(**data))
        assert (caught.value.field, caught.value.offset, caught.value.problem) == (field, offset, problem)

    @pytest.mark.parametrize("count", [0, 11])
    def test_list_that_no_server_takes_cannot_be_made(self, count):
        with pytest.raises(SGXFormatError, match=f"'num' at offset 4: must be 1 to 10, is {count}$"):
            AttestationKeyIDList(ids=(DEFAULT_KEY_ID,) * count)

    @given(st.binary(max_size=600))
    def test_any_bytes_are_a_list_or_one_error(self, data):
        try:
            value = AttestationKeyIDList.from_bytes(data)
        except SGXFormatError:
            return
        assert value.to_bytes() == data
