"""Which nodes the pods go to."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from confcom.addon.spec import Spec, Toleration
from confcom.kube.api import Object

# Taints that Kubernetes and cloud providers set for a while; pods of a DaemonSet live with most of them by themselves.
_PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
_PLATFORM = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}


def placement(spec: Spec) -> dict[str, Any]:
    """`nodeSelector`, `affinity` and `tolerations` of a pod.

    A selector alone decides where it is given. A simulation needs no SGX, so it goes to every Linux node. Else one
    label or the instance type is enough: the terms of an affinity are alternatives.
    """
    content: dict[str, Any] = {"nodeSelector": _PLATFORM | spec.nodes.selector}
    terms = selection_terms(spec)
    if terms:
        required = {"nodeSelectorTerms": [{"matchExpressions": [term]} for term in terms]}
        content["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    if spec.nodes.tolerations:
        content["tolerations"] = [_toleration(toleration) for toleration in spec.nodes.tolerations]
    return content


def selection_terms(spec: Spec) -> list[dict[str, Any]]:
    """The alternatives of which a node must meet one; empty where the node selector alone decides."""
    if spec.nodes.selector or spec.simulation is not None:
        return []
    terms = [_in(key, [value]) for key, value in sorted(spec.nodes.labels.items())]
    if spec.nodes.instance_types:
        terms.append(_in("node.kubernetes.io/instance-type", spec.nodes.instance_types))
    return terms


def selects(spec: Spec, labels: dict[str, str]) -> bool:
    """Whether a node with these labels gets pods, its taints aside."""
    if any(labels.get(key) != value for key, value in (_PLATFORM | spec.nodes.selector).items()):
        return False
    terms = selection_terms(spec)
    return not terms or any(labels.get(term["key"]) in term["values"] for term in terms)


def plays_everywhere(spec: Spec) -> bool:
    """Whether every Linux node is selected: then a control plane that its taint leaves out is as it should be."""
    return spec.simulation is not None and not spec.nodes.selector


def refused_taints(spec: Spec, node: Object) -> list[str]:
    """The taints of a node that keep the pods away, as `KEY=VALUE:EFFECT`."""
    return [
        f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"
        for taint in node.get("spec", {}).get("taints") or ()
        if taint.get("effect") != "PreferNoSchedule"
        and not taint["key"].startswith(_PASSING)
        and not any(_tolerates(toleration, taint) for toleration in spec.nodes.tolerations)
    ]


def kept_away(spec: Spec, nodes: Iterable[Object]) -> tuple[str, ...]:
    """A sentence for each taint that keeps pods away from selected nodes; the DaemonSet does not even count these."""
    counts = Counter(
        taint
        for node in nodes
        if selects(spec, node["metadata"].get("labels") or {})
        for taint in refused_taints(spec, node)
    )
    return tuple(
        f"{count} selected node(s) get no pod for their taint {taint}; to have them, add it to spec.nodes.tolerations"
        for taint, count in sorted(counts.items())
    )


def _tolerates(toleration: Toleration, taint: dict[str, str]) -> bool:
    if toleration.key != taint["key"] or toleration.effect not in ("", taint["effect"]):
        return False
    return toleration.operator == "Exists" or toleration.value == taint.get("value", "")


def _in(key: str, values: list[str]) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def _toleration(toleration: Toleration) -> dict[str, str]:
    content = {"key": toleration.key, "operator": toleration.operator}
    if toleration.operator == "Equal":
        content["value"] = toleration.value
    if toleration.effect:
        content["effect"] = toleration.effect
    return content
