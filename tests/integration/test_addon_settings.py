"""Every setting of the add-on changed in a cluster, and changed back: server-side apply merges, and must leave nothing."""

import pytest
import yaml
from addon_cluster import ENABLE, HELPER, RESOURCE
from api_server import RefusalError

from confcom.addon import provider
from confcom.addon import spec as spec_module
from confcom.addon.provider import settle_provider
from confcom.addon.render import render
from confcom.addon.resource import write_resource
from confcom.addon.spec import Spec

IMAGES = {"default": "i"}
TOLERATION = {"key": "team", "operator": "Equal", "value": "x", "effect": "NoSchedule"}
SETTINGS = {
    "images": {"images": {"default": "i", "quoteHelper": "h", "pullPolicy": "Always", "pullSecrets": ["s"]}},
    "labels": {"nodes": {"labels": {"confcom.io/sgx": "true", "a": "b"}}},
    "no labels": {"nodes": {"labels": {}}},
    "instance types": {"nodes": {"instanceTypes": ["Standard_DC4s_v3"]}},
    "a selector": {"nodes": {"selector": {"kubernetes.io/hostname": "sgx-1"}}},
    "tolerations": {"nodes": {"tolerations": [TOLERATION]}},
    "no tolerations": {"nodes": {"tolerations": []}},
    "the plugin": {"devicePlugin": {"reserve": "64MiB", "provisionUnits": 2, "intelNames": True}},
    "the plugin's resources": {"devicePlugin": {"resources": {"limits": {"memory": "262144Ki"}}}},
    "the helper": {"quoteHelper": {"workers": 2, "slots": 4, "hostNetwork": True}},
    "the helper's resources": {"quoteHelper": {"resources": {"requests": {"cpu": "1.5"}, "limits": {"cpu": "2"}}}},
    "no helper": {"quoteHelper": {"enabled": False}},
    "nothing at all": {"quoteHelper": {"enabled": False}, "devicePlugin": {"enabled": False}},
    "a provider": {"quoteProvider": "azure"},
    "a PCCS": {"pccs": {"url": "https://pccs/v4/", "caConfigMap": "roots", "proxy": "http://p:3128"}},
    "a PCCS with a token": {"pccs": {"configSecret": "qcnl"}},
    "the kubelet's directory": {"kubeletDirectory": "/var/snap/kubelet"},
    "a simulation": {"simulation": {}},
    "another simulation": {"simulation": {"epc": "28MiB"}},
    "updates by hand": {"update": {"policy": "Manual"}},
    "batches": {"update": {"batch": "5%"}},
}


@pytest.fixture
def switch_to(cluster, tmp_path):
    """Enables what a spec says and nothing else, and looks whether that is in the cluster then."""
    file = tmp_path / "confcom.yaml"

    def enable(content):
        spec = Spec.from_dict({"images": IMAGES} | content)
        file.write_text(yaml.safe_dump(write_resource(spec)))
        code, out, err = cluster.run("addon", "enable", "--file", str(file))
        assert code == 0, err
        assert Spec.from_dict(cluster.api.get(*RESOURCE)["spec"]) == spec
        for item in render(settle_provider(spec, [""])):
            if item["kind"] == "DaemonSet":
                live = cluster.api.get("apps/v1", "daemonsets", "confcom-system", item["metadata"]["name"])
                assert (
                    live["spec"]["template"]["spec"].items()
                    >= {k: v for k, v in item["spec"]["template"]["spec"].items() if k != "containers"}.items()
                )
        return out

    return enable


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_changed_and_changed_back(cluster, switch_to, name):
    switch_to({})
    before = cluster.contents()
    switch_to(SETTINGS[name])
    assert cluster.contents() != before
    switch_to({})
    assert cluster.contents() == before


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("labels", "no labels"),
        ("instance types", "a selector"),
        ("another simulation", "a simulation"),
        ("a PCCS", "a PCCS with a token"),
        ("updates by hand", "batches"),
    ],
)
def test_a_setting_follows_another(cluster, switch_to, first, second):
    switch_to(SETTINGS[first])
    switch_to(SETTINGS[second])


def outcome(out, title):
    (line,) = [line for line in out.splitlines() if line.startswith(f"{title} ")]
    return line.removeprefix(f"{title} ")


CONFIGURATION = "ConfigMap confcom-system/sgx-quote-helper"


def test_a_dry_run_tells_of_objects_that_have_no_generation(cluster, switch_to, tmp_path):
    """A ConfigMap has none, and a dry run leaves its version as it is."""
    switch_to({"pccs": {"url": "https://a/v4/"}})
    file = tmp_path / "other.yaml"
    file.write_text(
        yaml.safe_dump(write_resource(Spec.from_dict({"images": IMAGES, "pccs": {"url": "https://b/v4/"}})))
    )
    before = cluster.snapshot()
    code, out, _ = cluster.run("addon", "enable", "--file", str(file), "--dry-run")
    assert (code, outcome(out, CONFIGURATION)) == (0, "would be changed")
    assert outcome(out, "ServiceAccount confcom-system/sgx-quote-helper") == "would be unchanged"
    assert cluster.snapshot() == before


def test_show_tells_of_a_configmap_that_another_version_wrote(cluster, switch_to, monkeypatch):
    switch_to({"pccs": {"url": "https://a/v4/"}})
    monkeypatch.setattr(provider, "_RETRY_TIMES", 2)
    code, out, _ = cluster.run("addon", "show")
    assert code == 1
    assert (
        f"! {CONFIGURATION} differs from what this version of confcom renders; confcom addon update applies it" in out
    )


def test_a_controller_that_writes_the_status_meanwhile_changes_nothing(cluster, monkeypatch):
    cluster.run(*ENABLE)
    real = cluster.api.apply

    def apply(key, *arguments, **options):
        if key == HELPER:
            cluster.api.edit(*HELPER, lambda item: item["status"].update(numberReady=1), subresource="status")
        return real(key, *arguments, **options)

    monkeypatch.setattr(cluster.api, "apply", apply)
    _, out, _ = cluster.run(*ENABLE)
    assert outcome(out, "DaemonSet confcom-system/sgx-quote-helper") == "unchanged"


def test_with_both_programs_off_there_is_nothing_to_wait_for(cluster, tmp_path):
    file = tmp_path / "confcom.yaml"
    file.write_text(yaml.safe_dump(write_resource(Spec.from_dict(SETTINGS["nothing at all"]))))
    code, _, err = cluster.run("addon", "enable", "--file", str(file), "--wait")
    assert (code, err.splitlines()[-1]) == (0, "Done: neither program is switched on.")
    assert cluster.run("status")[0] == 0


def test_a_size_that_a_later_version_knows_is_selected_after_its_update(cluster, monkeypatch):
    """What the server fills in, it keeps: a list of sizes in the definition would be that of the first version."""
    cluster.run(*ENABLE)
    cluster.controllers.add_node("new", labels={"node.kubernetes.io/instance-type": "Standard_DC96s_v9"})
    monkeypatch.setattr(spec_module, "INSTANCE_TYPES", (*spec_module.INSTANCE_TYPES, "Standard_DC96s_v9"))
    code, _, err = cluster.run("addon", "update", "--image", "registry.example/confcom:2", "--wait")
    assert code == 0, err
    assert cluster.api.get(*HELPER)["status"]["numberAvailable"] == 3
    assert "instanceTypes" not in cluster.api.get(*RESOURCE)["spec"].get("nodes", {})


def test_a_value_that_the_server_refuses_is_refused_before_anything_is_written(cluster, monkeypatch):
    """As of a limit below the request: the device plugin would be replaced, and the record be of what is not there."""
    cluster.run(*ENABLE)
    real = cluster.api.apply

    def apply(key, *arguments, **options):
        if key == HELPER:
            raise RefusalError(422, "Invalid", 'DaemonSet.apps "sgx-quote-helper" is invalid: must be less')
        return real(key, *arguments, **options)

    monkeypatch.setattr(cluster.api, "apply", apply)
    before = cluster.snapshot()
    code, out, err = cluster.run("addon", "update", "--image", "registry.example/confcom:2")
    assert (code, out) == (3, "")
    assert err.splitlines()[-1] == 'confcom: DaemonSet.apps "sgx-quote-helper" is invalid: must be less'
    assert cluster.snapshot() == before
