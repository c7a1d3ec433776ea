"""The rendered objects: as on record, valid for every Kubernetes of the window, and within the rights each pod may have."""

import importlib.util
import re
from pathlib import Path

import field_ownership as ssa
import kubernetes_validate
import pytest
import yaml

from confcom.addon import names
from confcom.addon.render import render, to_yaml
from confcom.addon.spec import Spec
from confcom.device_plugin import inventory
from confcom.device_plugin.settings import DevicePluginSettings
from confcom.errors import InputError
from confcom.platform.slots import DEFAULT_SLOTS_DIR
from confcom.quote_helper.listeners import REQUEST_SECONDS
from confcom.quote_helper.main import DRAIN_SECONDS, HAND_OVER_SECONDS
from confcom.quote_helper.settings import QuoteHelperSettings
from confcom.runtime.http import EVERY_ADDRESS
from confcom.settings import load

ROOT = Path(__file__).resolve().parents[3]
_spec = importlib.util.spec_from_file_location("generate_manifests", ROOT / "tools/generate_manifests.py")
generate_manifests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate_manifests)

EXAMPLES = {name: render(Spec.from_dict(content)) for name, content in generate_manifests.EXAMPLES.items()}
WINDOW = [f"1.{minor}" for minor in range(30, 38)]
SETTINGS = {names.DEVICE_PLUGIN: DevicePluginSettings, names.QUOTE_HELPER: QuoteHelperSettings}
DAEMON_SETS = [
    pytest.param(item, id=f"{name}, {item['metadata']['name']}")
    for name, objects in EXAMPLES.items()
    for item in objects
    if item["kind"] == "DaemonSet"
]


def pod_of(item):
    return item["spec"]["template"]["spec"]


def container_of(item):
    (container,) = pod_of(item)["containers"]
    return container


@pytest.mark.parametrize("name", EXAMPLES)
def test_objects_are_as_on_record(name):
    recorded = (ROOT / f"tests/unit/addon/rendered/{name}.yaml").read_text(encoding="utf-8")
    assert to_yaml(EXAMPLES[name]) == recorded


def test_generated_files_are_up_to_date():
    stale = [str(p) for p, text in generate_manifests.wanted().items() if p.read_text(encoding="utf-8") != text]
    assert stale == []


@pytest.mark.parametrize("version", WINDOW)
def test_every_object_is_valid(version):
    for objects in EXAMPLES.values():
        for item in objects:
            kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("item", DAEMON_SETS)
def test_arguments_are_what_the_daemon_reads(item):
    container = container_of(item)
    module = container["command"][2]
    assert container["command"] == ["python3", "-m", module]
    program = {"confcom.device_plugin": names.DEVICE_PLUGIN, "confcom.quote_helper": names.QUOTE_HELPER}[module]
    assert program == item["metadata"]["name"]
    settings = load(SETTINGS[program], container["args"], {"CONFCOM_GENERATION": "7"}, program=program)
    assert settings.generation == 7
    assert settings.log_format == "json"


def daemon_set_of(name, program):
    return next(i for i in EXAMPLES[name] if i["kind"] == "DaemonSet" and i["metadata"]["name"] == program)


def settings_of(name, program):
    return load(SETTINGS[program], container_of(daemon_set_of(name, program))["args"], {}, program=program)


def test_plugin_and_helper_agree_on_slots_and_ports():
    for name in ("hardware", "simulation", "everything"):
        plugin, helper = settings_of(name, names.DEVICE_PLUGIN), settings_of(name, names.QUOTE_HELPER)
        assert plugin.slots == helper.slots
        assert plugin.slots_dir == helper.slots_dir == DEFAULT_SLOTS_DIR
        assert (plugin.http_port, helper.http_port) == (names.DEVICE_PLUGIN_PORT, names.QUOTE_HELPER_PORTS[0])
        assert plugin.http_address == helper.http_address == EVERY_ADDRESS


def test_values_of_the_resource_reach_the_daemons():
    plugin, helper = settings_of("everything", names.DEVICE_PLUGIN), settings_of("everything", names.QUOTE_HELPER)
    assert plugin.intel_names
    assert plugin.reserve == 64 << 20
    assert plugin.provision_units == 4
    assert (helper.workers, helper.slots) == (3, 32)
    assert str(helper.quote_provider_library).endswith("/intel/libdcap_quoteprov.so.1")


def test_simulation_reaches_both_daemons():
    assert settings_of("simulation", names.DEVICE_PLUGIN).simulate_epc == 8 << 30
    assert str(settings_of("simulation", names.QUOTE_HELPER).simulated_platform) == names.SIMULATED_PLATFORM_DIR
    assert settings_of("simulation", names.QUOTE_HELPER).backend == "simulation"
    assert settings_of("hardware", names.DEVICE_PLUGIN).simulate_epc is None
    assert settings_of("hardware", names.QUOTE_HELPER).simulated_platform is None


@pytest.mark.parametrize("name", ["hardware", "everything"])
def test_a_helper_on_hardware_waits_for_its_devices(name):
    """With `auto` it would end where they are not there yet, again and again (docs/reference/dcap-backend.md)."""
    assert settings_of(name, names.QUOTE_HELPER).backend == "dcap"


@pytest.mark.parametrize(("name", "mib"), [("hardware", 4), ("everything", 12), ("simulation", 0)])
def test_every_worker_of_the_helper_has_epc_for_its_own_enclaves(name, mib):
    """Else the workers of a second helper would wait for EPC during an update, or page that of tenants."""
    workers = settings_of(name, names.QUOTE_HELPER).workers
    plugin = settings_of(name, names.DEVICE_PLUGIN)
    assert plugin.helper_epc_mib == mib
    assert mib in (0, workers * inventory.QUOTING_EPC_MIB)


def test_without_a_helper_nothing_is_withheld_for_it():
    plugin = settings_of("plugin-only", names.DEVICE_PLUGIN)
    assert (plugin.helper_tokens, plugin.slots) == (0, 0)
    assert [i["metadata"]["name"] for i in EXAMPLES["plugin-only"] if i["kind"] == "DaemonSet"] == ["sgx-device-plugin"]


def test_names_are_those_of_the_daemons():
    assert names.EPC_RESOURCE == inventory.EPC_RESOURCE
    assert names.SLOT_RESOURCE == inventory.SLOT_RESOURCE
    assert names.PROVISION_RESOURCE == inventory.PROVISION_RESOURCE
    assert names.HELPER_RESOURCE == inventory.HELPER_RESOURCE
    assert names.INTEL_RESOURCES == (inventory.INTEL_ENCLAVE_RESOURCE, inventory.INTEL_PROVISION_RESOURCE)


def test_only_the_kubelets_pod_resources_follow_its_root_directory():
    """A kubelet with --root-dir keeps its plugins' sockets where every kubelet does (`device-plugin.md` 1.1)."""
    volumes = {
        v["name"]: v.get("hostPath") for v in pod_of(daemon_set_of("everything", names.DEVICE_PLUGIN))["volumes"]
    }
    assert volumes["device-plugins"] == {"path": "/var/lib/kubelet/device-plugins", "type": "Directory"}
    assert volumes["pod-resources"]["path"] == "/var/lib/k0s/kubelet/pod-resources"


@pytest.mark.parametrize(
    ("pccs", "told"),
    [
        ({"url": "http://a.example/"}, "http://a.example/"),
        ({"url": "https://a.example/"}, "https://a.example/"),
        ({"configSecret": "s"}, None),
        ({"configSecret": "s", "url": "http://a.example/"}, None),
        ({}, None),
    ],
)
def test_another_pccs_makes_the_helpers_anew(pccs, told):
    """A changed ConfigMap alone does not, and Intel's client has read the former one."""
    objects = render(Spec.from_dict({"images": {"default": "i"}, "quoteProvider": "intel", "pccs": pccs}))
    helper = next(i for i in objects if i["kind"] == "DaemonSet" and i["metadata"]["name"] == names.QUOTE_HELPER)
    notes = helper["spec"]["template"]["metadata"].get("annotations", {})
    assert notes.get("confcom.io/pccs-url") == told
    assert any(item["kind"] == "ConfigMap" for item in objects) is (told is not None)


# --- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", DAEMON_SETS)
def test_pods_have_no_more_rights_than_they_need(item):
    pod, container = pod_of(item), container_of(item)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["nodeSelector"].items() >= {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}.items()
    assert not {"hostPID", "hostIPC"} & set(pod)


@pytest.mark.parametrize("item", DAEMON_SETS)
def test_no_port_is_declared(item):
    """With hostNetwork a declared port becomes a hostPort, and the pod that replaces this one waits for ever."""
    assert "ports" not in container_of(item)


@pytest.mark.parametrize("item", DAEMON_SETS)
def test_probes_ask_inside_the_container(item):
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        command = container_of(item)[kind]["exec"]["command"]
        assert command[:3] == ["python3", "-m", "confcom.runtime.probe"]
    assert container_of(item)["readinessProbe"]["exec"]["command"][-1] == "--path=/readyz"


@pytest.mark.parametrize("item", DAEMON_SETS)
def test_requests_and_limits_are_there(item):
    resources = container_of(item)["resources"]
    assert {"cpu", "memory"} <= set(resources["requests"])
    assert "memory" in resources["limits"]


@pytest.mark.parametrize("item", DAEMON_SETS)
def test_defaults_in_atomic_structures_are_written_out(item):
    for variable in container_of(item)["env"]:
        if "valueFrom" in variable:
            assert variable["valueFrom"]["fieldRef"]["apiVersion"] == "v1"


def test_only_the_helper_gets_a_token_and_only_one():
    for objects in EXAMPLES.values():
        for item in objects:
            if item["kind"] != "DaemonSet":
                continue
            limits = container_of(item)["resources"]["limits"]
            wanted = "1" if item["metadata"]["name"] == names.QUOTE_HELPER else None
            assert limits.get(names.HELPER_RESOURCE) == wanted
            assert container_of(item)["resources"]["requests"].get(names.HELPER_RESOURCE) == wanted


def test_helper_has_time_to_answer_what_it_accepted():
    helper = next(
        i for i in EXAMPLES["hardware"] if i["metadata"]["name"] == names.QUOTE_HELPER and i["kind"] == "DaemonSet"
    )
    grace = pod_of(helper)["terminationGracePeriodSeconds"]
    assert grace > HAND_OVER_SECONDS + DRAIN_SECONDS > REQUEST_SECONDS


def test_updates_surge_the_helper_and_never_the_plugin():
    strategies = {
        i["metadata"]["name"]: i["spec"]["updateStrategy"] for i in EXAMPLES["hardware"] if i["kind"] == "DaemonSet"
    }
    assert strategies[names.QUOTE_HELPER] == {
        "type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }  # fmt: skip
    assert strategies[names.DEVICE_PLUGIN]["rollingUpdate"]["maxSurge"] == 0


@pytest.mark.parametrize("item", DAEMON_SETS)
def test_every_folder_that_is_written_is_mounted(item):
    """The root file system is read-only: each path in the arguments lies in a mount."""
    container, mounts = container_of(item), [m["mountPath"] for m in container_of(item)["volumeMounts"]]
    for argument in container["args"]:
        path = argument.partition("=")[2]
        if path.startswith("/") and not path.startswith("/opt/"):
            assert any(path == mount or path.startswith(f"{mount}/") for mount in mounts), argument
    volumes = {volume["name"] for volume in pod_of(item)["volumes"]}
    assert {m["name"] for m in container["volumeMounts"]} == volumes


@pytest.mark.parametrize("name", EXAMPLES)
def test_http_ports_are_what_the_policies_admit_and_nothing_else(name):
    for item in EXAMPLES[name]:
        if item["kind"] != "NetworkPolicy":
            continue
        ports = [port["port"] for rule in item["spec"]["ingress"] for port in rule["ports"]]
        assert set(ports) <= {9410, 9411, 9412}
        assert all(port["protocol"] == "TCP" for rule in item["spec"]["ingress"] for port in rule["ports"])
        may_call_out = "egress" in item["spec"]
        assert may_call_out == (item["metadata"]["name"] == names.QUOTE_HELPER and name != "simulation")


def test_simulation_has_a_service_of_the_own_node():
    (service,) = [i for i in EXAMPLES["simulation"] if i["kind"] == "Service"]
    assert service["spec"]["internalTrafficPolicy"] == "Local"
    assert service["metadata"]["name"] == "sgx-quote-helper"
    assert not [i for i in EXAMPLES["hardware"] if i["kind"] == "Service"]


def test_objects_carry_our_label_and_never_managed_by():
    for objects in EXAMPLES.values():
        for item in objects:
            assert item["metadata"]["labels"][names.ADDON_LABEL] == "confcom"
            assert "app.kubernetes.io/managed-by" not in item["metadata"]["labels"]


def test_yaml_has_no_anchors_and_reads_back():
    for objects in EXAMPLES.values():
        text = to_yaml(objects)
        assert not re.search(r"(^|\s)[&*]id\d+", text)
        assert list(yaml.safe_load_all(text)) == objects


def test_equal_manifests_of_two_managers_do_not_conflict():
    """As when GitOps and the command line apply the same rendering (`cluster-addon.md` 3)."""
    for item in EXAMPLES["everything"]:
        schema = ssa.builtin_schema(item["apiVersion"], item["kind"])
        live, owners = ssa.apply({}, [], item, schema, "argocd", force=False)
        again, _ = ssa.apply(live, owners, item, schema, "confcom", force=False)
        assert again == live


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "spec.images: no image is named for devicePlugin; give --image IMAGE, or images.default in the resource"),
        (
            {"images": {"devicePlugin": "i"}},
            "spec.images: no image is named for quoteHelper; give --image IMAGE, or images.default in the resource",
        ),
    ],
)
def test_no_image_is_refused(content, sentence):
    with pytest.raises(InputError) as refused:
        render(Spec.from_dict(content))
    assert str(refused.value) == sentence


def test_an_image_that_nobody_runs_is_not_asked_for():
    assert render(Spec.from_dict({"images": {"devicePlugin": "i"}, "quoteHelper": {"enabled": False}}))
