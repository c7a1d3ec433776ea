"""What a program sees of kernel, driver and PSW from inside its container."""

import pytest

from confcom.platform.compatibility import Part, Verdict
from confcom.platform.device_nodes import (
    ENCLAVE_PATHS,
    ISGX_PATHS,
    PROVISION_PATHS,
    DeviceNode,
    Driver,
    DriverNodes,
)
from confcom.platform.versions import driver_of, kernel_release, look_around, psw_version

NEW = DeviceNode(host_path="/dev/sgx_enclave", container_paths=ENCLAVE_PATHS, driver=Driver.IN_TREE)
OLD = DeviceNode(host_path="/dev/sgx/enclave", container_paths=ENCLAVE_PATHS, driver=Driver.DCAP)
ISGX = DeviceNode(host_path="/dev/isgx", container_paths=ISGX_PATHS, driver=Driver.EPID)
PLAYED = DeviceNode(host_path="/dev/null", container_paths=ENCLAVE_PATHS, driver=Driver.SIMULATED)
PROVISION = DeviceNode(host_path="/dev/sgx_provision", container_paths=PROVISION_PATHS, driver=Driver.IN_TREE)


def proc(folder, release):
    if release is not None:
        (folder / "sys/kernel").mkdir(parents=True)
        (folder / "sys/kernel/osrelease").write_bytes(release)
    return folder


def nodes(enclave):
    return DriverNodes(enclave=enclave, provision=PROVISION if enclave else None)


@pytest.mark.parametrize(
    ("content", "release"),
    [
        pytest.param(b"6.8.0-1021-azure\n", "6.8.0-1021-azure", id="a release"),
        pytest.param(None, None, id="no /proc"),
        pytest.param(b"", None, id="an empty file"),
        pytest.param(b"\n", None, id="an empty line"),
        pytest.param(b"6.8-\xff\n", "6.8-\N{REPLACEMENT CHARACTER}", id="no text"),
        pytest.param(b"6" * 5000, "6" * 256, id="without an end"),
    ],
)
def test_kernel_release(tmp_path, content, release):
    assert kernel_release(proc(tmp_path, content)) == release


def test_a_folder_in_the_place_of_the_release_is_no_release(tmp_path):
    (tmp_path / "sys/kernel/osrelease").mkdir(parents=True)
    assert kernel_release(tmp_path) is None


@pytest.mark.parametrize(
    ("enclave", "release", "driver"),
    [
        pytest.param(NEW, "6.8.0", "in-tree", id="in-tree"),
        pytest.param(NEW, "5.11.0", "in-tree", id="in-tree, first kernel that has it"),
        pytest.param(NEW, "5.10.230", "DCAP", id="new name on an older kernel: handed over by the device plugin"),
        pytest.param(NEW, None, "in-tree", id="new name, kernel not known"),
        pytest.param(NEW, "odd", "in-tree", id="new name, kernel not readable"),
        pytest.param(OLD, "5.4.0-1103-azure", "DCAP", id="DCAP"),
        pytest.param(OLD, "6.8.0", "DCAP", id="DCAP on a new kernel"),
        pytest.param(ISGX, "4.15.0", "EPID", id="EPID"),
        pytest.param(PLAYED, "6.8.0", None, id="simulated"),
        pytest.param(None, "6.8.0", None, id="no device"),
    ],
)
def test_driver(enclave, release, driver):
    assert driver_of(nodes(enclave), release) == driver


@pytest.mark.parametrize(
    ("content", "version"),
    [
        pytest.param(b"\x7fELF\0SGX_URTS_VERSION_2.21.100.1\0more", "2.21.100.1", id="2.21"),
        pytest.param(b"SGX_URTS_VERSION_2.9.101.2", "2.9.101.2", id="at the end of the file"),
        pytest.param(b"SGX_URTS_VERSION_2.17", "2.17", id="two numbers"),
        pytest.param(b"SGX_URTS_VERSION_2", None, id="one number"),
        pytest.param(b"SGX_URTS_VERSION_", None, id="no number"),
        pytest.param(b"SGX_URTS_VERSION", None, id="cut off"),
        pytest.param(b"SGX_TRTS_VERSION_2.21.100.1", None, id="another library's"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_version_in_the_runtime(tmp_path, content, version):
    (tmp_path / "libsgx_urts.so").write_bytes(content)
    assert psw_version(tmp_path / "libsgx_urts.so") == version


def test_a_runtime_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        psw_version(tmp_path / "libsgx_urts.so")


@pytest.mark.parametrize(
    ("release", "enclave", "quoting", "verdicts"),
    [
        pytest.param(b"6.8.0\n", NEW, True, [("Linux", "6.8.0", "works"), ("SGX driver", "in-tree", "works")], id="all well"),
        pytest.param(
            b"6.19.0\n", NEW, False,
            [("Linux", "6.19.0", "works with limits"), ("SGX driver", "in-tree", "works")], id="new kernel",
        ),
        pytest.param(
            b"5.4.0\n", OLD, True,
            [("Linux", "5.4.0", "works with limits"), ("SGX driver", "DCAP", "works")], id="out-of-tree driver",
        ),
        pytest.param(
            b"4.15.0\n", ISGX, False,
            [("Linux", "4.15.0", "works with limits"), ("SGX driver", "EPID", "works with limits")],
            id="EPID, devices",
        ),
        pytest.param(
            b"4.15.0\n", ISGX, True,
            [("Linux", "4.15.0", "works with limits"), ("SGX driver", "EPID", "does not work")], id="EPID, quotes",
        ),
        pytest.param(b"6.8.0\n", None, True, [("Linux", "6.8.0", "works")], id="no device yet"),
        pytest.param(None, None, True, [("Linux", "unknown", "not tried")], id="nothing to be seen"),
    ],
)  # fmt: skip
def test_looking_around(tmp_path, release, enclave, quoting, verdicts):
    found = look_around(proc(tmp_path, release), nodes(enclave), quoting=quoting)
    assert [(f.part, f.found, f.verdict) for f in found] == verdicts
    assert all(f.why for f in found)
    assert all(isinstance(f.part, Part) and isinstance(f.verdict, Verdict) for f in found)
