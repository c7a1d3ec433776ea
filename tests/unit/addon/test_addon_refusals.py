"""Every refusal as one exact sentence, from observations that are values."""

import pytest

from confcom.addon import refusals
from confcom.addon.observation import Observation
from confcom.addon.spec import Spec

LABEL = {"confcom.io/addon": "confcom"}


def item(kind, name, namespace="confcom-system", labels=LABEL, managers=("confcom",), **annotations):
    entries = [{"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {}}} for manager in managers]
    metadata = {"name": name, "namespace": namespace, "labels": labels, "managedFields": entries}
    return {"kind": kind, "metadata": metadata | {"annotations": annotations}}


def node(name, labels=None, **allocatable):
    base = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {"metadata": {"name": name, "labels": base | (labels or {})}, "status": {"allocatable": allocatable}}


def cluster(**values):
    base = {
        "version": "v1.36.2",
        "definition": None,
        "resource": None,
        "ours": (),
        "namesakes": (),
        "nodes": (),
        "pods": (),
    }
    return Observation(**(base | values))


EPC = {"kubernetes.azure.com/sgx_epc_mem_in_MiB": "16384"}
SIMULATION = Spec.from_dict({"simulation": {}})
POOL = Spec.from_dict({"nodes": {"selector": {"pool": "x"}}})
HELM = {"meta.helm.sh/release-name": "cc", "meta.helm.sh/release-namespace": "default"}
PLUGIN_POD = {
    "metadata": {"labels": {"confcom.io/component": "sgx-device-plugin"}},
    "spec": {"nodeName": "n"},
}


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (
            "v1.29.9",
            "Kubernetes v1.29.9 does not work with this version of confcom: older than 1.30, the first version supported",
        ),
        ("v1.30.0", None),
        ("v1.36.2-gke.7", None),
        ("v1.99.0", None),
        ("", None),
    ],
)
def test_versions(version, sentence):
    assert refusals.unsupported_version(cluster(version=version)) == sentence


def test_add_on_of_aks():
    found = cluster(namesakes=(item("DaemonSet", "sgx-quote-helper", "kube-system", labels={}),))
    assert refusals.foreign_objects(found) == (
        "DaemonSet kube-system/sgx-quote-helper is not of this add-on; if this is AKS's own add-on, switch it off "
        "first: az aks disable-addons --addons confcom"
    )


def test_namesakes_of_somebody_else():
    names = [f"n{number}" for number in range(5)]
    found = cluster(namesakes=tuple(item("DaemonSet", name, "x", labels={}) for name in names))
    assert refusals.foreign_objects(found) == (
        "DaemonSet x/n0, DaemonSet x/n1, DaemonSet x/n2 and 2 more is not of this add-on; remove it first"
    )


def test_helm_release():
    found = cluster(ours=(item("DaemonSet", "sgx-quote-helper", **HELM),))
    assert refusals.owned_by_helm(found) == (
        "the Helm release cc (namespace default) owns this add-on; change its values instead: helm upgrade cc "
        "--namespace default --reuse-values --set ..., or helm uninstall"
    )
    assert refusals.owned_by_helm(cluster(ours=(item("DaemonSet", "x"),))) is None
    record = item("ConfidentialComputing", "confcom", **HELM)
    assert refusals.owned_by_helm(cluster(resource=record)) == refusals.owned_by_helm(found)


def test_objects_from_gitops():
    found = cluster(ours=(item("DaemonSet", "sgx-quote-helper", managers=("argocd",)),))
    assert refusals.applied_by_others(found) == (
        "DaemonSet confcom-system/sgx-quote-helper was applied by argocd; change it where it comes from, or delete it "
        "there first"
    )
    assert refusals.applied_by_others(cluster(ours=(item("DaemonSet", "x"),))) is None
    assert refusals.applied_by_others(cluster(ours=found.ours, resource={})) is None


FOREIGN = {
    "a plugin that is not ours": (SIMULATION, node("n", **EPC), (), True),
    "our plugin": (SIMULATION, node("n", **EPC), (PLUGIN_POD,), False),
    "nothing offered": (SIMULATION, node("n"), (), False),
    "what a plugin of ours left behind": (SIMULATION, node("n", **dict.fromkeys(EPC, "0")), (), False),
    "a node that is not selected": (POOL, node("n", **EPC), (), False),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_resources_of_a_plugin_that_is_not_ours(name):
    spec, content, pods, refused = FOREIGN[name]
    sentence = refusals.foreign_resources(cluster(nodes=(content,), pods=pods), spec)
    assert sentence == (
        "node n offers kubernetes.azure.com/sgx_epc_mem_in_MiB by a device plugin that is not of this add-on; remove "
        "that plugin first, since two would hand out the same EPC"
        if refused
        else None
    )


def reporting(content, status):
    content["status"]["conditions"] = [{"type": "Ready", "status": status}]
    return content


@pytest.mark.parametrize(("status", "refused"), [("True", True), ("False", True), ("Unknown", False)])
def test_what_a_silent_node_offers_is_of_before(status, refused):
    """Its pod was taken away by force, and nothing sets its numbers to 0: enabling again must not wait for it."""
    found = cluster(nodes=(reporting(node("n", **EPC), status),))
    assert (refusals.foreign_resources(found, SIMULATION) is not None) is refused


def ending(content, **more):
    content["metadata"]["deletionTimestamp"] = "2026-11-25T10:00:00Z"
    return content | more


STUCK = "DaemonSet confcom-system/sgx-quote-helper is still being removed{}; try again when it is gone"
ENDING = {
    "nothing holds it": ("Unknown", (), ""),
    "a pod that ends": ("True", (ending(item("Pod", "p"), spec={"nodeName": "n"}),), ""),
    "a pod of a silent node that stays": ("Unknown", (item("Pod", "p") | {"spec": {"nodeName": "n"}},), ""),
    "a pod of a silent node": (
        "Unknown",
        (ending(item("Pod", "p"), spec={"nodeName": "n"}),),
        ", and waits for Pod confcom-system/p on node n, which does not report: bring it back, or delete it",
    ),
}


@pytest.mark.parametrize("name", ENDING)
def test_what_is_still_being_removed_names_the_node_that_holds_it(name):
    status, pods, why = ENDING[name]
    found = cluster(
        ours=(ending(item("DaemonSet", "sgx-quote-helper")),), nodes=(reporting(node("n"), status),), pods=pods
    )
    assert refusals.still_ending(found) == STUCK.format(why)


DISCOVERY = "Discovery failed for some groups, 1 failing: metrics.k8s.io/v1beta1: stale GroupVersion discovery"
KEPT = {
    "nothing": ([], [], ""),
    "Kubernetes' own steps": (["foregroundDeletion", "customresourcecleanup.apiextensions.k8s.io"], [], ""),
    "a finalizer of others": (["foregroundDeletion", "x.io/keep"], [], " (its finalizer x.io/keep)"),
    "an extension that is away": (
        [],
        [("NamespaceContentRemaining", "True", "2 pods"), ("NamespaceDeletionDiscoveryFailure", "True", DISCOVERY)],
        f" ({DISCOVERY})",
    ),
    "what remains": (
        [],
        [("NamespaceContentRemaining", "True", "Some resources\nare remaining.")],
        " (Some resources are remaining)",
    ),
    "what no longer holds": ([], [("NamespaceDeletionDiscoveryFailure", "False", "All resources discovered")], ""),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_still_being_removed_says_what_keeps_it(name):
    finalizers, conditions, why = KEPT[name]
    namespace = ending(item("Namespace", "confcom-system"))
    namespace["metadata"] = {**namespace["metadata"], "finalizers": finalizers, "namespace": None}
    namespace["status"] = {"conditions": [{"type": t, "status": s, "message": m} for t, s, m in conditions]}
    sentence = refusals.still_ending(cluster(ours=(namespace,)))
    assert sentence == f"Namespace confcom-system is still being removed{why}; try again when it is gone"


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        pytest.param({"simulation": {}}, False, id="Intel's plugin beside ours"),
        pytest.param({"simulation": {}, "devicePlugin": {"intelNames": True}}, True, id="Intel's names are ours too"),
    ],
)
def test_intels_own_plugin(content, refused):
    found = cluster(nodes=(node("n", **{"sgx.intel.com/enclave": "110"}),))
    sentence = refusals.foreign_resources(found, Spec.from_dict(content))
    assert (sentence is not None) is refused
    assert not refused or sentence.startswith("node n offers sgx.intel.com/enclave by a device plugin")


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("99.0.0", "the resource definition is of confcom 99.0.0, this program is 0.1.0; use confcom 99.0.0 or newer"),
        ("0.1.0", None),
        ("0.0.9", None),
        ("", None),
    ],
)
def test_definition_of_a_newer_program(version, sentence):
    found = cluster(definition={"metadata": {"annotations": {"confcom.io/version": version}}})
    assert refusals.newer_definition(found) == sentence
    assert refusals.newer_definition(cluster()) is None


NODES = {
    "no SGX node yet, which may come (R4)": (Spec(), [node("n")], None),
    "no node at all, which may come": (Spec(), [], None),
    "a selector that no node meets": (
        POOL,
        [node("n")],
        "no node is selected: none is Linux on amd64 with pool=x; see kubectl get nodes --show-labels",
    ),
    "a selector that a node meets": (POOL, [node("n", {"pool": "x"})], None),
    "a simulation on arm64": (
        SIMULATION,
        [node("n", {"kubernetes.io/arch": "arm64"})],
        "no node is selected: a simulation needs a Linux node on amd64, and this cluster has none",
    ),
}


@pytest.mark.parametrize("name", NODES)
def test_no_node(name):
    spec, nodes, sentence = NODES[name]
    assert refusals.no_node(cluster(nodes=tuple(nodes)), spec) == sentence


def test_an_object_of_the_same_name_that_is_not_ours():
    wanted = [item("Namespace", "confcom-system", ""), item("Service", "sgx-quote-helper")]
    theirs = [item("Namespace", "confcom-system", "", labels={}), item("Service", "sgx-quote-helper", labels={})]
    assert refusals.namesakes_of(wanted, [theirs[0], None]) is None
    assert refusals.namesakes_of(wanted, [None, wanted[1]]) is None
    assert refusals.namesakes_of(wanted, theirs) == (
        "Service confcom-system/sgx-quote-helper exists and is not of this add-on; remove it, or use another namespace"
    )


def test_definition_older_than_this_program():
    message = (
        "failed to create typed patch object (/confcom; confcom.io/v1alpha1, Kind=ConfidentialComputing): "
        ".spec.quoteHelper.workers: field not declared in schema"
    )
    assert refusals.old_definition(message) == (
        "the resource definition in the cluster is older than this program and lacks spec.quoteHelper.workers; renew "
        "it: confcom addon render --definition | kubectl apply --server-side --force-conflicts -f -"
    )
    assert refusals.old_definition("etcd is slow") is None
