"""Is this node one that can make quotes of hardware: devices, libraries, and the choice that follows."""

import errno
import os
import stat
from pathlib import Path

import pytest
from libsgx.stand_in import COMPILER, build

from confcom.codes import AESM
from confcom.errors import ConfcomError, PlatformError, SettingsError
from confcom.quote_helper.main import _choose_backend
from confcom.quote_helper.settings import QuoteHelperSettings
from confcom.quoting import dcap_presence
from confcom.quoting.dcap_presence import Lack, missing_device, missing_library, open_node, require_hardware

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler for the stand-in libraries")
PLUGIN = "in a cluster the device plugin hands it over with the resource confcom.io/sgx-quote-helper"
NO_ENCLAVE = (
    "there is no device /dev/sgx_enclave: SGX must be on in the BIOS (or the machine type must have it) and the kernel "
    f"5.11 or newer; {PLUGIN}"
)
NO_PROVISION = f"there is no device /dev/sgx_provision: QE and PCE cannot be loaded without it; {PLUGIN}"


@pytest.fixture
def make_dev(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            try:
                os.mknod(tmp_path / name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("making device nodes needs the right to (CAP_MKNOD)")
        return tmp_path

    return make


def _refuse(wanted, error):
    def opened(path):
        if path.name.endswith(wanted):
            raise OSError(error, os.strerror(error))

    return opened


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("sgx_enclave", "sgx_provision"), id="in-tree names"),
        pytest.param(("sgx/enclave", "sgx/provision"), id="names of the DCAP driver"),
        pytest.param(("sgx_enclave", "sgx/provision"), id="one of each"),
    ],
)
def test_both_devices_that_open_lack_nothing(make_dev, names):
    assert missing_device(make_dev(*names)) is None


def test_links_to_devices_count(make_dev):
    dev = make_dev("sgx_enclave", "sgx_provision")
    (dev / "sgx").mkdir()
    (dev / "sgx/enclave").symlink_to("../sgx_enclave")
    assert missing_device(dev) is None


@pytest.mark.parametrize(
    ("names", "code", "sentence"),
    [
        pytest.param((), AESM.NO_DEVICE, NO_ENCLAVE, id="neither"),
        pytest.param(("sgx_provision",), AESM.NO_DEVICE, NO_ENCLAVE, id="no enclave device"),
        pytest.param(("sgx_enclave",), AESM.ENCLAVE_LOAD, NO_PROVISION, id="no provision device"),
        pytest.param(("isgx",), AESM.ENCLAVE_LOAD, NO_PROVISION, id="EPID driver"),
    ],
)
def test_missing_device_is_named(make_dev, names, code, sentence):
    assert missing_device(make_dev(*names)) == Lack(code=code, sentence=sentence)


def test_dev_that_is_not_there_lacks_the_enclave_device(tmp_path):
    assert missing_device(tmp_path / "none") == Lack(code=AESM.NO_DEVICE, sentence=NO_ENCLAVE)


def test_file_in_the_place_of_a_device_is_told(tmp_path):
    (tmp_path / "sgx_enclave").touch()
    lack = missing_device(tmp_path)
    assert lack.sentence.startswith(
        "there is no device /dev/sgx_enclave (/dev/sgx_enclave is not a character device but a file): SGX must be on"
    )


@pytest.mark.parametrize(
    ("kind", "code", "group"),
    [
        ("enclave", AESM.NO_DEVICE, "the group sgx, on some distributions"),
        ("provision", AESM.ENCLAVE_LOAD, "the group sgx_prv"),
    ],
)
@pytest.mark.parametrize(
    ("error", "words"),
    [(errno.EACCES, "Permission denied"), (errno.EPERM, "Operation not permitted")],
)
def test_device_that_may_not_be_opened_is_not_a_missing_one(make_dev, kind, code, group, error, words):
    dev = make_dev("sgx_enclave", "sgx_provision")
    assert missing_device(dev, _refuse(kind, error)) == Lack(
        code=code,
        sentence=f"/dev/sgx_{kind} is there but may not be opened ({words}): the helper must run as root or in {group}, "
        f"and its container must be given the device; {PLUGIN}",
    )


@pytest.mark.parametrize("kind", ["enclave", "provision"])
def test_device_that_cannot_be_opened_points_to_the_kernel(make_dev, kind):
    dev = make_dev("sgx_enclave", "sgx_provision")
    assert missing_device(dev, _refuse(kind, errno.ENXIO)).sentence == (
        f"/dev/sgx_{kind} is there but cannot be opened (No such device or address): look at the kernel's log"
    )


def test_devices_are_opened_for_reading_and_writing(tmp_path):
    path = tmp_path / "file"
    path.touch(mode=0o600)
    open_node(path)
    with pytest.raises(IsADirectoryError):
        open_node(tmp_path)


# --- libraries ---------------------------------------------------------------------------------------------------------


@needs_compiler
def test_libraries_that_load_lack_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(build(tmp_path)))
    assert missing_library() is None


@needs_compiler
@pytest.mark.parametrize(
    ("leave_out", "name", "package"),
    [("pce", "libsgx_pce_logic.so.1", "libsgx-pce-logic"), ("qe", "libsgx_qe3_logic.so", "libsgx-qe3-logic")],
)
def test_library_that_is_not_there_is_named(tmp_path, monkeypatch, leave_out, name, package):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(build(tmp_path, leave_out=(leave_out,))))
    assert missing_library() == Lack(
        code=AESM.SERVICE_UNAVAILABLE,
        sentence=f"the quoting library {name} cannot be loaded ({name}: cannot open shared object file: No such file or "
        f"directory): install {package} and what it needs",
    )


def test_library_that_is_damaged_is_told(tmp_path, monkeypatch):
    (tmp_path / "libsgx_pce_logic.so.1").write_bytes(b"\x7fELF but not more")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    sentence = missing_library().sentence
    assert sentence.startswith("the quoting library libsgx_pce_logic.so.1 cannot be loaded (")
    assert "file too short" in sentence


def test_libraries_that_do_not_load_in_time_are_told(monkeypatch):
    monkeypatch.setattr(dcap_presence, "LOOK_SECONDS", 0.001)
    assert missing_library() == Lack(
        code=AESM.SERVICE_UNAVAILABLE, sentence="loading the quoting libraries did not end within 0.001 s"
    )


# --- the choice --------------------------------------------------------------------------------------------------------


@needs_compiler
def test_auto_is_dcap_where_devices_and_libraries_are_there(make_dev, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(build(tmp_path_factory.mktemp("lib"))))
    dev = make_dev("sgx_enclave", "sgx_provision")
    chosen = _choose_backend(QuoteHelperSettings(dev_root=dev))
    assert (chosen.kind, chosen.simulated_platform, chosen.dev_root) == ("dcap", "", str(dev))


def test_devices_are_looked_at_before_libraries(make_dev, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    with pytest.raises(PlatformError) as caught:
        require_hardware(make_dev("sgx_enclave"))
    assert str(caught.value) == (
        f"--backend auto: this node cannot make quotes of hardware: {NO_PROVISION}. To wait until it can, say --backend "
        "dcap; for quotes without SGX, name a folder with --simulated-platform"
    )


SIMULATED = Path("/somewhere")


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        pytest.param({"simulated_platform": SIMULATED}, "simulation", id="auto with a folder"),
        pytest.param({"backend": "simulation", "simulated_platform": SIMULATED}, "simulation", id="simulation"),
        pytest.param({"backend": "dcap"}, "dcap", id="dcap, whatever is there"),
    ],
)
def test_backend_that_is_named_is_taken(settings, kind):
    assert _choose_backend(QuoteHelperSettings(**settings)).kind == kind


@pytest.mark.parametrize(
    ("settings", "kind", "status", "sentence"),
    [
        pytest.param(
            {"backend": "dcap", "simulated_platform": SIMULATED},
            SettingsError,
            2,
            "--backend dcap makes quotes of hardware: leave out --simulated-platform, or the former",
            id="dcap with a folder",
        ),
        pytest.param(
            {"backend": "simulation"},
            SettingsError,
            2,
            "--backend simulation: name the folder of a simulated platform with --simulated-platform",
            id="simulation without a folder",
        ),
        pytest.param(
            {"dev_root": Path("/nowhere")},
            PlatformError,
            3,
            f"--backend auto: this node cannot make quotes of hardware: {NO_ENCLAVE}. To wait until it can, say --backend "
            "dcap; for quotes without SGX, name a folder with --simulated-platform",
            id="auto with nothing there",
        ),
    ],
)
def test_choice_that_cannot_be_is_refused_in_a_sentence(settings, kind, status, sentence):
    with pytest.raises(ConfcomError) as caught:
        _choose_backend(QuoteHelperSettings(**settings))
    assert (type(caught.value), caught.value.exit_code, str(caught.value)) == (kind, status, sentence)


def test_paths_of_the_settings_reach_the_worker():
    settings = QuoteHelperSettings(
        backend="dcap",
        quote_provider_library=Path("/a/qpl.so"),
        qe_path=Path("/a/qe.so"),
        pce_path=Path("/a/pce.so"),
        probe_enclave=Path("/a/probe.so"),
        dev_root=Path("/host/dev"),
        log_format="json",
    )
    chosen = _choose_backend(settings)
    assert (chosen.quote_provider_library, chosen.qe_path, chosen.pce_path) == ("/a/qpl.so", "/a/qe.so", "/a/pce.so")
    assert (chosen.probe_enclave, chosen.dev_root, chosen.log_format) == ("/a/probe.so", "/host/dev", "json")
