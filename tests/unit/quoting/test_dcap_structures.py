"""Sizes, widths and places of what is passed to C, as the headers give them."""

import ctypes
import subprocess
import sys

import pytest

from confcom.errors import PlatformError
from confcom.quoting import dcap_structures as structures
from confcom.sgx import DEFAULT_KEY_ID, QEReportInfo


@pytest.mark.parametrize(("name", "kind", "size"), structures.SIZES, ids=[name for name, *_ in structures.SIZES])
def test_size_is_the_headers(name, kind, size):
    assert ctypes.sizeof(kind) == size


@pytest.mark.parametrize(
    ("kind", "field", "offset"),
    [
        (structures.SgxQlAttKeyID, "version", 2),
        (structures.SgxQlAttKeyID, "mrsigner_length", 4),
        (structures.SgxQlAttKeyID, "mrsigner", 6),
        (structures.SgxQlAttKeyID, "prod_id", 54),
        (structures.SgxQlAttKeyID, "extended_prod_id", 58),
        (structures.SgxQlAttKeyID, "config_id", 74),
        (structures.SgxQlAttKeyID, "family_id", 138),
        (structures.SgxQlAttKeyID, "algorithm_id", 154),
        (structures.SgxQlQEReportInfo, "app_enclave_target_info", 16),
        (structures.SgxQlQEReportInfo, "qe_report", 528),
        (structures.NoOcalls, "table", 8),
        (structures.CreateReportCall, "qe_target", 8),
        (structures.CreateReportCall, "report", 16),
    ],
)
def test_field_stands_where_the_header_puts_it(kind, field, offset):
    assert getattr(kind, field).offset == offset


def test_key_id_of_the_wire_is_the_librarys_for_158_bytes():
    key = structures.SgxQlAttKeyID.from_buffer_copy(DEFAULT_KEY_ID.base())
    assert (key.mrsigner_length, key.prod_id, key.algorithm_id) == (32, 1, 2)
    assert bytes(key) == DEFAULT_KEY_ID.base()


def test_qe_report_info_of_the_wire_is_the_librarys():
    data = bytes(range(256)) * 3 + bytes(QEReportInfo.SIZE - 768)
    assert bytes(structures.SgxQlQEReportInfo.from_buffer_copy(data)) == data


@pytest.mark.parametrize(("kind", "size"), [("sgx_report_t", 433), ("bool", 4), ("size_t", 4)])
def test_another_size_is_refused_in_words(monkeypatch, kind, size):
    tampered = [(name, found, size if name == kind else right) for name, found, right in structures.SIZES]
    monkeypatch.setattr(structures, "SIZES", tampered)
    with pytest.raises(PlatformError) as caught:
        structures.check_sizes()
    found = next(ctypes.sizeof(found) for name, found, _ in tampered if name == kind)
    assert str(caught.value) == (
        f"{kind} has {found} bytes in this Python and {size} in Intel's libraries: they cannot be called; quotes of "
        "hardware need a 64-bit Python on x86-64"
    )


def test_sizes_are_checked_when_the_module_is_loaded_even_by_an_optimizing_python():
    program = (
        "import ctypes, sys; real = ctypes.sizeof; ctypes.sizeof = lambda kind: 7\n"
        "try:\n import confcom.quoting.dcap_structures\n"
        "except Exception as error: sys.exit(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-O", "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (1, "PlatformError")
