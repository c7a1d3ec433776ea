"""Every setting of the add-on changed in a cluster, and changed back: server-side apply merges, and must leave nothing."""

import pytest
import yaml
from addon_cluster import RESOURCE

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


def contents(cluster):
    """What the cluster has of the add-on, without what counts the writes."""
    keys = ("uid", "resourceVersion", "generation", "annotations")
    return {
        key: stored.item
        | {"metadata": {k: v for k, v in stored.item["metadata"].items() if k not in keys}, "status": {}}
        for key, stored in cluster.api.objects.items()
        if key[1] not in ("nodes", "pods")
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_changed_and_changed_back(cluster, switch_to, name):
    switch_to({})
    before = contents(cluster)
    switch_to(SETTINGS[name])
    assert contents(cluster) != before
    switch_to({})
    assert contents(cluster) == before


@pytest.mark.parametrize("first", ["labels", "instance types", "another simulation", "a PCCS", "updates by hand"])
@pytest.mark.parametrize("second", ["no labels", "a simulation", "a PCCS with a token", "batches", "a selector"])
def test_a_setting_follows_another(cluster, switch_to, first, second):
    switch_to(SETTINGS[first])
    switch_to(SETTINGS[second])
