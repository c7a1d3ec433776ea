import json
import socket
import subprocess
import sys

import pytest

from confcom.device_plugin.inventory import Wanted
from confcom.doctor import node
from confcom.doctor.check import Verdict, healthy
from confcom.platform.cpuid import CPUIDFinding
from confcom.platform.cpuinfo import CPUFlags
from confcom.platform.device_nodes import ENCLAVE_PATHS, DeviceNode, Driver, DriverNodes
from confcom.platform.survey import Survey

GIB = 1 << 30
NODE = DeviceNode(host_path="/dev/sgx_enclave", container_paths=ENCLAVE_PATHS, driver=Driver.IN_TREE)
SGX = CPUIDFinding(sgx=True, launch_control=True, sgx1=True, sgx2=True, sections=(GIB,))
NO_NODES = DriverNodes(enclave=None, provision=None)


def found(**changes):
    values = {
        "sysfs": (GIB,),
        "cpuid": SGX,
        "cpuid_problem": None,
        "flags": CPUFlags(readable=True, sgx=True, sgx_lc=True),
        "nodes": DriverNodes(enclave=NODE, provision=NODE),
    }
    return Survey(**{**values, **changes})


OFF = {"sysfs": (), "flags": CPUFlags(readable=True), "nodes": NO_NODES}


def facts(check):
    return check.verdict, check.evidence, check.fix


@pytest.mark.parametrize(
    ("check", "seen", "verdict", "evidence"),
    [
        (node.processor, found(), "ok", "SGX with SGX1, SGX2, launch control"),
        (node.processor, found(cpuid=CPUIDFinding(sgx=True, sgx1=True)), "ok", "SGX with SGX1"),
        (node.processor, found(cpuid=None, cpuid_problem="not x86"), "warning", "not x86"),
        (node.processor, found(cpuid=CPUIDFinding(sgx=False), **OFF), "failed", "no SGX"),
        (
            node.processor,
            found(cpuid=CPUIDFinding(sgx=False)),
            "warning",
            "no SGX, yet a driver works: CPUID is hidden or altered here",
        ),
        (node.kernel, found(), "ok", "flag sgx set, flag sgx_lc set"),
        (node.kernel, found(flags=CPUFlags(readable=False)), "warning", "it shows no flags"),
        (
            node.kernel,
            found(flags=CPUFlags(readable=True)),
            "ok",
            "flag sgx not set, flag sgx_lc not set; a driver outside the kernel is loaded, which needs no flag",
        ),
        (node.kernel, found(**OFF), "failed", "flag sgx not set, flag sgx_lc not set"),
        (node.epc, found(), "ok", "1,024 MiB in 1 section(s)"),
        (
            node.epc,
            found(sysfs=(2 * GIB, GIB)),
            "warning",
            "3,072 MiB in 2 section(s); sysfs says 3,221,225,472 bytes, CPUID 1,073,741,824",
        ),
        (node.epc, found(**OFF), "failed", "none"),
        (node.enclave_device, found(), "ok", "/dev/sgx_enclave, in-tree driver (Linux 5.11 and newer)"),
        (node.enclave_device, found(nodes=NO_NODES), "failed", "none"),
        (node.provision_device, found(nodes=NO_NODES), "warning", "none"),
    ],
)
def test_each_finding(check, seen, verdict, evidence):
    result = check(seen)
    assert (result.verdict.value, result.evidence) == (verdict, evidence)


def test_off_in_the_bios_is_told_in_words_at_the_kernels_check():
    assert node.kernel(found(**OFF)).fix == (
        "the processor has SGX, but the kernel does not use it: it is off in the BIOS, or this kernel has no SGX driver "
        "(CONFIG_X86_SGX, from Linux 5.11)"
    )


def test_a_name_that_leads_nowhere_is_a_warning():
    nodes = DriverNodes(
        enclave=NODE, provision=NODE, problems=("/dev/sgx/enclave is a link to /dev/x, which does not exist",)
    )
    (check,) = node.other_devices(found(nodes=nodes))
    assert facts(check) == (
        Verdict.WARNING,
        "/dev/sgx/enclave is a link to /dev/x, which does not exist",
        "remove it, or load the driver again so that udev makes it anew",
    )


@pytest.mark.parametrize(
    ("mode", "verdict"), [(0o666, "ok"), (0o777, "ok"), (0o660, "warning"), (0o600, "warning"), (0o664, "warning")]
)
def test_mode_of_the_enclave_device_tells_who_may_open_it(tmp_path, mode, verdict):
    device = tmp_path / "sgx_enclave"
    device.touch()
    device.chmod(mode)
    (check,) = node.enclave_device_mode(found(), tmp_path)
    assert (check.verdict.value, check.source) == (verdict, "/dev/sgx_enclave")
    assert check.evidence == f"0{mode:o}, of user {device.stat().st_uid} and group {device.stat().st_gid}"
    assert ("docs/how-to/own-nodes.md, 4" in (check.fix or "")) == (verdict == "warning")


def test_mode_of_a_device_that_has_just_gone_is_a_warning_and_of_none_is_not_asked(tmp_path):
    (check,) = node.enclave_device_mode(found(), tmp_path)
    assert facts(check) == (Verdict.WARNING, "cannot be looked at: No such file or directory", None)
    assert node.enclave_device_mode(found(nodes=NO_NODES), tmp_path) == ()


def test_the_kubelets_folder(tmp_path):
    assert node.kubelet(tmp_path).evidence == f"{tmp_path}/kubelet.sock does not exist"
    assert node.kubelet(tmp_path).verdict is Verdict.FAILED
    (tmp_path / "kubelet.sock").touch()
    assert facts(node.kubelet(tmp_path)) == (
        Verdict.WARNING,
        "kubelet.sock, and 0 socket(s) of this plugin",
        "start the device plugin, or look at its log",
    )
    (tmp_path / "confcom-sgx-epc-0.sock").touch()
    assert facts(node.kubelet(tmp_path)) == (Verdict.OK, "kubelet.sock, and 1 socket(s) of this plugin", None)


def test_a_folder_that_is_closed_to_the_user_is_not_called_empty(tmp_path):
    """As the kubelet's is to whoever is not root, the image's own user among them."""

    class Closed(type(tmp_path)):
        def iterdir(self):
            raise PermissionError(13, "Permission denied")

    check = node.kubelet(Closed(tmp_path))
    assert facts(check) == (Verdict.FAILED, "cannot be read: Permission denied", "run as root")


@pytest.mark.parametrize(("units", "verdict"), [(0, "ok"), (262_408, "ok"), (262_409, "failed")])
def test_list_size(units, verdict):
    check = node.list_size(units)
    assert check.verdict.value == verdict
    assert check.evidence.endswith("of 4,194,304 bytes")
    assert (check.fix is None) == (verdict == "ok")


@pytest.mark.parametrize(
    ("units", "verdict"), [(8_192, "ok"), (16_384, "ok"), (16_385, "warning"), (262_144, "warning")]
)
def test_freeze_estimate_and_the_gates_by_name(units, verdict):
    check = node.stand_still(units)
    assert check.verdict.value == verdict
    assert ("ResourceHealthStatus=false" in (check.fix or "")) == (verdict == "warning")


def test_warnings_leave_a_node_healthy(tmp_path):
    (tmp_path / "kubelet.sock").touch()
    checks = node.node_checks(
        found(nodes=DriverNodes(enclave=NODE, provision=None)),
        dev_root=tmp_path,
        device_plugin_dir=tmp_path,
        wanted=Wanted(),
        helper_epc_mib=4,
    )
    assert {check.verdict for check in checks} == {Verdict.OK, Verdict.WARNING}
    assert healthy(checks)
    assert checks[-2].evidence.startswith("1,016 units")
    assert not healthy(
        node.node_checks(found(**OFF), dev_root=tmp_path, device_plugin_dir=tmp_path, wanted=Wanted(), helper_epc_mib=4)
    )


def doctor(*arguments):
    command = [sys.executable, "-m", "confcom.cli", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_verb_on_a_node_without_sgx_exits_1_with_json(tmp_path):
    with socket.socket(socket.AF_UNIX) as kubelet:
        kubelet.bind(str(tmp_path / "kubelet.sock"))
        roots = ("--dev-root", str(tmp_path), "--sys-root", str(tmp_path), "--proc-root", str(tmp_path))
        done = doctor("--node", *roots, "--device-plugin-dir", str(tmp_path), "--output", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["healthy"], done.stderr) == (1, False, "")
    by_name = {check["name"]: check for check in document["checks"]}
    assert set(by_name) == {
        "processor",
        "kernel",
        "EPC",
        "enclave device",
        "provision device",
        "kubelet",
        "list size",
        "kubelet restart",
    }
    assert (by_name["EPC"]["verdict"], by_name["kubelet"]["verdict"]) == ("failed", "warning")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "confcom: doctor: say what to check: --node, the machine that this runs on\n"),
        (
            ["--node", "--epc", "9xx"],
            "confcom: --epc: '9xx' is not a size: write a number and a unit, for example 8GiB or 512MiB\n",
        ),
    ],
)
def test_wrong_use(arguments, sentence):
    done = doctor(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)
