"""Both daemons look at what they run beside when they start (R22): told, shown, and refused where it does not work."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from helper_process import HelperProcess
from libsgx.stand_in import COMPILER, build
from ports import reserved_port

EXIT_SECONDS = 40.0
needs_compiler = pytest.mark.skipif(
    COMPILER is None, reason="needs a C compiler (cc or gcc) for the stand-in libraries"
)
REFUSED = (
    "confcom quote-helper: SGX driver EPID does not work with this version of confcom: enclaves run, but isgx has no "
    "provision device, so DCAP quotes cannot be made"
)


@pytest.fixture
def machine(short_dir):
    """Makes a machine with these devices and this kernel, and returns the flags that show it to a daemon."""

    def make(devices, release):
        for name in devices:
            device = short_dir / "dev" / name
            device.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("making device nodes needs the right to (CAP_MKNOD)")
        kernel = short_dir / "proc/sys/kernel"
        kernel.mkdir(parents=True)
        (kernel / "osrelease").write_text(f"{release}\n")
        return ["--dev-root", str(short_dir / "dev"), "--proc-root", str(short_dir / "proc")]

    return make


# --- the device plugin -------------------------------------------------------------------------------------------------

PLUGIN = {
    "in-tree": (("sgx_enclave", "sgx_provision"), "6.8.0-1021-azure", ["works", "works"]),
    "new kernel": (("sgx_enclave", "sgx_provision"), "6.19.2", ["works with limits", "works"]),
    "DCAP": (("sgx/enclave", "sgx/provision"), "5.4.0-1103-azure", ["works with limits", "works"]),
    # Enclaves run with it, so the plugin does; quotes are another matter.
    "EPID": (("isgx",), "4.15.0", ["works with limits", "works with limits"]),
    "no SGX": ((), "6.8.0", ["works"]),
}


def run_plugin(short_dir, flags):
    """Starts the plugin, asks it for `/status` once, ends it; that, and the lines of its log."""
    with reserved_port() as port:
        return run_plugin_on(port, short_dir, flags)


def run_plugin_on(port, short_dir, flags):
    (short_dir / "k").mkdir()
    command = [
        sys.executable, "-m", "confcom.device_plugin", "--device-plugin-dir", str(short_dir / "k"),
        "--slots-dir", str(short_dir / "s"), "--http-port", str(port), "--log-format", "json",
        "--sys-root", str(short_dir), *flags,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        status = ask_when_open(f"http://127.0.0.1:{port}/status")
    finally:
        process.terminate()
        _, log = process.communicate(timeout=EXIT_SECONDS)
    return status, [json.loads(line) for line in log.splitlines()]


def ask_when_open(url):
    deadline = time.monotonic() + EXIT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=EXIT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


@pytest.mark.parametrize("name", PLUGIN)
def test_plugin_tells_and_shows_what_it_runs_beside(short_dir, machine, name):
    devices, release, verdicts = PLUGIN[name]
    status, lines = run_plugin(short_dir, [*machine(devices, release), "--epc", "64MiB"])
    shown = status["compatibility"]
    assert [found["verdict"] for found in shown] == verdicts
    assert [found["part"] for found in shown] == ["Linux", "SGX driver"][: len(verdicts)]
    assert shown[0]["found"] == release
    told = [line for line in lines if line["message"] == "runs beside"]
    assert [{key: line[key] for key in ("part", "found", "verdict", "why")} for line in told] == shown
    assert [line["level"] for line in told] == ["INFO" if verdict == "works" else "WARNING" for verdict in verdicts]


def test_a_simulated_plugin_uses_neither_kernel_nor_driver(short_dir, machine):
    status, lines = run_plugin(short_dir, [*machine(("null", "isgx"), "4.4.0"), "--simulate-epc", "64MiB"])
    assert status["compatibility"] == []
    assert "runs beside" not in {line["message"] for line in lines}


# --- the quote helper --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    return build(tmp_path_factory.mktemp("libsgx"))


@pytest.fixture
def runtime(libraries, tmp_path):
    """The stand-ins, with a runtime that says which version it is."""

    def make(version):
        shutil.copytree(libraries, tmp_path / "lib")
        source = tmp_path / "urts.c"
        source.write_text(f'const char version[] = "SGX_URTS_VERSION_{version}";\n')
        file = tmp_path / "lib/libsgx_urts.so.2"
        subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(file), str(source)], check=True, timeout=60)
        return {"LD_LIBRARY_PATH": str(tmp_path / "lib")}

    return make


HELPER = {
    "all well": (
        ("sgx_enclave", "sgx_provision"), "6.8.0", "2.21.100.1",
        [("Linux", "6.8.0", "works"), ("SGX driver", "in-tree", "works"), ("Intel PSW", "2.21.100.1", "works")],
    ),
    "everything with limits": (
        ("sgx_enclave", "sgx_provision"), "5.4.0", "2.9.101.2",
        [
            ("Linux", "5.4.0", "works with limits"),
            ("SGX driver", "DCAP", "works"),
            ("Intel PSW", "2.9.101.2", "works with limits"),
        ],
    ),
    "no devices yet": (
        (), "6.8.0", "2.21.100.1", [("Linux", "6.8.0", "works"), ("Intel PSW", "2.21.100.1", "works")],
    ),
}  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("name", HELPER)
def test_helper_tells_and_shows_what_it_runs_beside(short_dir, machine, runtime, name):
    devices, release, psw, wanted = HELPER[name]
    flags = machine(devices, release)
    helper = HelperProcess(short_dir, None, "--backend", "dcap", *flags, environment=runtime(psw))
    try:
        shown = helper.status()["compatibility"]
    finally:
        helper.end()
    assert [(found["part"], found["found"], found["verdict"]) for found in shown] == wanted
    told = [line for line in helper.log if "runs beside" in line]
    assert len(told) == len(wanted)
    for line, (_, found, verdict) in zip(told, wanted, strict=True):
        assert f"found={found}" in line
        assert verdict in line
        assert (" WARNING " in line) == (verdict != "works")


@needs_compiler
def test_helper_refuses_a_driver_without_quotes_in_one_sentence(short_dir, machine, runtime):
    flags = machine(("isgx",), "4.15.0")
    helper = HelperProcess(short_dir, None, "--backend", "dcap", *flags, environment=runtime("2.21.100.1"))
    try:
        helper.wait_for_line(REFUSED)
        assert helper.wait_end() == 3
    finally:
        helper.end()
    assert [line for line in helper.log if "runs beside" not in line] == [REFUSED]
    assert not (short_dir / "s").exists()


def test_a_simulated_helper_uses_neither_driver_nor_psw(short_dir, machine, platform_dir):
    flags = machine(("isgx",), "4.4.0")
    helper = HelperProcess(short_dir, platform_dir, *flags)
    try:
        assert helper.status()["compatibility"] == []
    finally:
        helper.end()
    assert not [line for line in helper.log if "runs beside" in line]
