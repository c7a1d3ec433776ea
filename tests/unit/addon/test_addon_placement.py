"""Which nodes are selected: real labels of real clusters in, yes or no out; and the rendered affinity agrees."""

import pytest
from cluster_controllers import fits

from confcom.addon.placement import kept_away, placement, refused_taints, selects
from confcom.addon.spec import Spec

AMD64 = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
HARDWARE = Spec()
SIMULATION = Spec.from_dict({"simulation": {}})
POOL = Spec.from_dict({"nodes": {"selector": {"pool": "sgx"}}})
POOL_SIMULATION = Spec.from_dict({"nodes": {"selector": {"pool": "sgx"}}, "simulation": {}})

CASES = {
    "NFD today": (HARDWARE, AMD64 | {"feature.node.kubernetes.io/cpu-security.sgx.enabled": "true"}, True),
    "NFD before": (HARDWARE, AMD64 | {"feature.node.kubernetes.io/cpu-sgx.enabled": "true"}, True),
    "Intel's rule": (HARDWARE, AMD64 | {"intel.feature.node.kubernetes.io/sgx": "true"}, True),
    "Intel's EPC hook": (HARDWARE, AMD64 | {"sgx.intel.com/capable": "true"}, True),
    "our own label": (HARDWARE, AMD64 | {"confcom.io/sgx": "true"}, True),
    "a DCsv3 of AKS": (HARDWARE, AMD64 | {"node.kubernetes.io/instance-type": "Standard_DC4s_v3"}, True),
    "a DCdsv3 of AKS": (HARDWARE, AMD64 | {"node.kubernetes.io/instance-type": "Standard_DC48ds_v3"}, True),
    "a DCsv2": (HARDWARE, AMD64 | {"node.kubernetes.io/instance-type": "Standard_DC8_v2"}, True),
    "an ordinary VM": (HARDWARE, AMD64 | {"node.kubernetes.io/instance-type": "Standard_D4s_v5"}, False),
    "a DCasv5, which is SEV": (HARDWARE, AMD64 | {"node.kubernetes.io/instance-type": "Standard_DC4as_v5"}, False),
    "SGX said to be off": (HARDWARE, AMD64 | {"confcom.io/sgx": "false"}, False),
    "no label at all": (HARDWARE, AMD64, False),
    "a node on arm64": (HARDWARE, AMD64 | {"kubernetes.io/arch": "arm64", "confcom.io/sgx": "true"}, False),
    "a Windows node": (HARDWARE, AMD64 | {"kubernetes.io/os": "windows", "confcom.io/sgx": "true"}, False),
    "simulation, any Linux node": (SIMULATION, AMD64, True),
    "simulation, arm64": (SIMULATION, AMD64 | {"kubernetes.io/arch": "arm64"}, False),
    "a selector alone decides": (POOL, AMD64 | {"pool": "sgx"}, True),
    "a selector, and an SGX node elsewhere": (POOL, AMD64 | {"confcom.io/sgx": "true"}, False),
    "a selector in simulation": (POOL_SIMULATION, AMD64 | {"pool": "sgx"}, True),
    "a selector in simulation, elsewhere": (POOL_SIMULATION, AMD64, False),
}


@pytest.mark.parametrize("name", CASES)
def test_node_is_selected(name):
    spec, labels, wanted = CASES[name]
    assert selects(spec, labels) is wanted
    assert fits({"metadata": {"labels": labels}, "spec": {}}, placement(spec)) is wanted


TAINTS = {
    "AKS's examples": ({"key": "kubernetes.azure.com/sgx_epc_mem_in_MiB", "effect": "NoSchedule"}, True),
    "a Spot pool": ({"key": "kubernetes.azure.com/scalesetpriority", "value": "spot", "effect": "NoSchedule"}, True),
    "our own": ({"key": "confcom.io/sgx", "effect": "NoSchedule"}, True),
    "an operator's own": ({"key": "team", "value": "x", "effect": "NoExecute"}, False),
    "another price of the pool": (
        {"key": "kubernetes.azure.com/scalesetpriority", "value": "regular", "effect": "NoSchedule"},
        False,
    ),
    "our own key with another effect": ({"key": "confcom.io/sgx", "effect": "NoExecute"}, False),
    "a control plane": ({"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}, False),
}


@pytest.mark.parametrize("name", TAINTS)
def test_taints_that_are_lived_with(name):
    taint, wanted = TAINTS[name]
    node = {"metadata": {"labels": AMD64}, "spec": {"taints": [taint]}}
    assert fits(node, placement(SIMULATION)) is wanted
    assert (refused_taints(SIMULATION, node) == []) is wanted


@pytest.mark.parametrize(
    "taint",
    [
        pytest.param({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}, id="a node that is not ready"),
        pytest.param({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}, id="a cordoned node"),
        pytest.param(
            {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"},
            id="a node that has just joined",
        ),
        pytest.param({"key": "team", "effect": "PreferNoSchedule"}, id="a mere preference"),
    ],
)
def test_taints_that_pass_are_not_spoken_of(taint):
    assert refused_taints(HARDWARE, {"spec": {"taints": [taint]}}) == []


def test_selected_nodes_that_a_taint_keeps_away_are_counted():
    team = {"key": "team", "value": "x", "effect": "NoSchedule"}
    other = {"key": "other", "effect": "NoExecute"}
    labels = AMD64 | {"confcom.io/sgx": "true"}
    nodes = [
        {"metadata": {"labels": labels}, "spec": {"taints": [team]}},
        {"metadata": {"labels": labels}, "spec": {"taints": [team, other]}},
        {"metadata": {"labels": labels}, "spec": {}},
        {"metadata": {"labels": AMD64}, "spec": {"taints": [{"key": "plain", "effect": "NoSchedule"}]}},
        {"metadata": {}},
    ]
    advice = "to have them, add it to spec.nodes.tolerations"
    assert kept_away(HARDWARE, nodes) == (
        f"1 selected node(s) get no pod for their taint other:NoExecute; {advice}",
        f"2 selected node(s) get no pod for their taint team=x:NoSchedule; {advice}",
    )
    mine = [{"key": "team", "operator": "Equal", "value": "x"}, {"key": "other"}]
    assert kept_away(Spec.from_dict({"nodes": {"tolerations": mine}}), nodes) == ()


def test_no_toleration_is_of_everything():
    """AKS Automatic refuses a bare `operator: Exists` (device-plugin.md 3.2)."""
    assert all(toleration["key"] for toleration in placement(HARDWARE)["tolerations"])
