"""The samples: valid, without the traps of the documented ones (requirements R55-R63), and tried where that can be done."""

import os
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "deploy/samples"
FILES = sorted(SAMPLES.glob("*.yaml"))
EPC = "kubernetes.azure.com/sgx_epc_mem_in_MiB"


def objects(file):
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


ALL = [(file.name, item) for file in FILES for item in objects(file)]
PODS = [
    pytest.param(name, item["spec"]["template"]["spec"], id=f"{name} {item['kind']}")
    for name, item in ALL
    if item["kind"] in ("Job", "Deployment")
]


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_sample_is_valid(file, version):
    for item in objects(file):
        kubernetes_validate.validate(item, version, strict=True)


def test_names_are_unique():
    """The documented Job and the documented hello world have one name, and Job templates are immutable."""
    names = [(item["kind"], item["metadata"]["name"]) for _, item in ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_pod_has_none_of_the_traps(name, pod):
    for container in pod["containers"]:
        assert all(isinstance(variable["value"], str) for variable in container.get("env", ()))
        resources = container["resources"]
        extended = {key: value for key, value in resources["limits"].items() if "/" in key}
        assert EPC in extended
        assert all(isinstance(value, str) and value.isdigit() for value in extended.values())
        assert {key: value for key, value in resources["requests"].items() if "/" in key} == extended
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert not container["securityContext"].get("privileged")
        variables = [variable["name"] for variable in container.get("env", ())]
        in_process = "confcom.io/sgx-provision" in extended
        assert not (in_process and ("SGX_AESM_ADDR" in variables or "confcom.io/sgx-quote" in extended))
        assert re.fullmatch(r"[a-z0-9.]+(/[a-z0-9.-]+)+:[\w.-]+", container["image"]), (
            "an image reference, with a version"
        )
    for volume in pod.get("volumes", ()):
        if "hostPath" in volume:
            assert volume["hostPath"] == {"path": "/var/run/aesmd", "type": "Directory"}
            mounts = [mount for container in pod["containers"] for mount in container["volumeMounts"]]
            assert all(mount["readOnly"] for mount in mounts if mount["name"] == volume["name"])


@pytest.mark.parametrize(
    ("name", "item"), [(n, i) for n, i in ALL if i["kind"] == "Job"], ids=lambda v: v if isinstance(v, str) else ""
)
def test_jobs_do_not_try_for_ever(name, item):
    assert item["spec"]["backoffLimit"] == 0
    assert item["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_pods_of_restricted_namespaces_are_restricted():
    restricted = {
        item["metadata"]["name"]
        for _, item in ALL
        if item["kind"] == "Namespace"
        and item["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    }
    pods = [
        i["spec"]["template"]["spec"]
        for _, i in ALL
        if "template" in i.get("spec", {}) and i["metadata"].get("namespace") in restricted
    ]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any("hostPath" in volume for volume in pod.get("volumes", ()))
        for container in pod["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_deployment_fits_its_quota():
    _namespace, quota, deployment = objects(SAMPLES / "deployment-with-quota.yaml")
    limits = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    for name, hard in quota["spec"]["hard"].items():
        wanted = int(limits.get(name.removeprefix("requests."), "0")) * deployment["spec"]["replicas"]
        assert wanted <= int(hard)


def test_script_of_the_simulation_job_ends_with_a_verified_quote(start_helper, tmp_path):
    """Its own words, with this machine's socket and port in the places of the node's."""
    helper = start_helper()
    job = objects(SAMPLES / "simulation-job.yaml")[1]
    (script,) = job["spec"]["template"]["spec"]["containers"][0]["args"]
    script = script.replace("http://sgx-quote-helper.confcom-system:9411", f"http://127.0.0.1:{helper.port}")
    script = script.replace("quote get", f"quote get --socket {helper.socket}").replace("/evidence/", f"{tmp_path}/")
    script = re.sub(r"^ls -l .*\n", "", script)
    environment = os.environ | {"SGX_AESM_ADDR": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-ec", script], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "VERIFIED" in done.stdout
    environment["SGX_AESM_ADDR"] = ""
    refused = subprocess.run(["sh", "-ec", script], capture_output=True, timeout=60, env=environment, check=False)
    assert refused.returncode == 1
