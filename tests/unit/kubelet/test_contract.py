import subprocess
import sys
from pathlib import Path

import pytest

from confcom.kubelet import contract

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "name",
    [
        "kubernetes.azure.com/sgx_epc_mem_in_MiB",
        "confcom.io/sgx-quote",
        "confcom.io/sgx-provision",
        "confcom.io/sgx-quote-helper",
        "sgx.intel.com/enclave",
        "a.b/" + "x" * 63,
    ],
)
def test_an_extended_resource_is_taken(name):
    assert contract.resource_name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "'' has no domain before a slash, which an extended resource needs"),
        ("cpu", "'cpu' has no domain before a slash, which an extended resource needs"),
        ("/epc", "'/epc' has no domain before a slash, which an extended resource needs"),
        ("kubernetes.io/epc", "'kubernetes.io/epc' lies in kubernetes.io, which is Kubernetes' own"),
        ("node.kubernetes.io/epc", "'node.kubernetes.io/epc' lies in kubernetes.io, which is Kubernetes' own"),
        ("requests.a.io/epc", "'requests.a.io/epc' starts with 'requests.', which belongs to quotas"),
        ("A.io/epc", "'A.io/epc': 'A.io' is no DNS domain in small letters"),
        ("a..io/epc", "'a..io/epc': 'a..io' is no DNS domain in small letters"),
        ("a.io/", "'a.io/': '' is no qualified name (1 to 63 letters, digits, '-', '_' and '.')"),
        ("a.io/-epc", "'a.io/-epc': '-epc' is no qualified name (1 to 63 letters, digits, '-', '_' and '.')"),
        ("a.io/e/c", "'a.io/e/c': 'e/c' is no qualified name (1 to 63 letters, digits, '-', '_' and '.')"),
        ("a.io/e\n", "'a.io/e\n': 'e\n' is no qualified name (1 to 63 letters, digits, '-', '_' and '.')"),
        (
            "a.io/" + "x" * 64,
            f"'a.io/{'x' * 64}': '{'x' * 64}' is no qualified name (1 to 63 letters, digits, '-', '_' and '.')",
        ),
    ],
)
def test_what_the_kubelet_would_not_take_is_named(name, problem):
    assert contract.resource_name_problem(name) == problem


def test_a_domain_must_leave_room_for_the_quota_prefix():
    fits = ".".join(["a" * 60] * 4)  # 243 characters, 252 with the prefix
    assert contract.resource_name_problem(f"{fits}/epc") is None
    assert contract.resource_name_problem(f"{fits}aa/epc") is not None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (contract.REGISTER, "/v1beta1.Registration/Register"),
        (contract.GET_OPTIONS, "/v1beta1.DevicePlugin/GetDevicePluginOptions"),
        (contract.LIST_AND_WATCH, "/v1beta1.DevicePlugin/ListAndWatch"),
        (contract.ALLOCATE, "/v1beta1.DevicePlugin/Allocate"),
        (contract.PRE_START_CONTAINER, "/v1beta1.DevicePlugin/PreStartContainer"),
        (contract.GET_PREFERRED_ALLOCATION, "/v1beta1.DevicePlugin/GetPreferredAllocation"),
        (contract.LIST_POD_RESOURCES, "/v1.PodResourcesLister/List"),
    ],
)
def test_paths_on_the_wire(method, path):
    assert method.path == path


def test_the_generated_messages_are_what_their_protos_say():
    done = subprocess.run(
        [sys.executable, "tools/generate_protos.py", "--check"], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
