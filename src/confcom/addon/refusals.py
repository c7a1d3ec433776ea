"""When the add-on is not switched, and why: pure functions from what was observed to one sentence."""

import re

from confcom import __version__
from confcom.addon import names
from confcom.addon.observation import (
    Observation,
    component_of,
    held_by,
    helm_release,
    is_applied_by_us,
    is_ending,
    is_ours,
    is_silent,
    some,
    title,
)
from confcom.addon.placement import selects
from confcom.addon.spec import Spec
from confcom.kube.api import Object
from confcom.platform import compatibility


def unsupported_version(found: Observation) -> str | None:
    """Kubernetes older than what we know."""
    return compatibility.refusal((compatibility.look_up(compatibility.Part.KUBERNETES, found.version),))


def still_ending(found: Observation) -> str | None:
    """Something of ours is being removed: what is applied now would go with it, or be refused half-way."""
    for item in (*found.ours, found.definition, found.resource):
        if item is not None and is_ending(item):
            return (
                f"{title(item)} is still being removed{held_by(item)}{_silent_node(found)}; try again when it is gone"
            )
    return None


def _silent_node(found: Observation) -> str:
    """The node that keeps a pod of ours from ending, which nothing else tells: only its own kubelet ends a pod."""
    silent = {node["metadata"]["name"] for node in found.nodes if is_silent(node)}
    for pod in found.pods:
        node = str((pod.get("spec") or {}).get("nodeName", ""))
        if is_ending(pod) and node in silent:
            return f", and waits for {title(pod)} on node {node}, which does not report: bring it back, or delete it"
    return ""


def foreign_objects(found: Observation) -> str | None:
    """Somebody else has objects of our names: nearly always AKS's own add-on."""
    if not found.namesakes:
        return None
    listed = some([title(item) for item in found.namesakes])
    advice = "remove it first"
    if any(item["metadata"].get("namespace") == "kube-system" for item in found.namesakes):
        advice = "if this is AKS's own add-on, switch it off first: az aks disable-addons --addons confcom"
    return f"{listed} is not of this add-on; {advice}"


def owned_by_helm(found: Observation) -> str | None:
    """A Helm release owns the objects; what another hand changes makes its next upgrade fail."""
    items = (*found.ours, *filter(None, (found.resource,)))
    releases = sorted({release for item in items if (release := helm_release(item))})
    if not releases:
        return None
    namespace, _, name = releases[0].partition("/")
    return (
        f"the Helm release {name} (namespace {namespace}) owns this add-on; change its values instead: "
        f"helm upgrade {name} --namespace {namespace} --reuse-values --set ..., or helm uninstall"
    )


def applied_by_others(found: Observation) -> str | None:
    """Objects of ours that were applied from `addon render`: their source would put them back."""
    if found.is_enabled:
        return None
    for item in found.ours:
        if not is_applied_by_us(item):
            managers = {str(entry.get("manager")) for entry in item["metadata"].get("managedFields") or ()}
            return (
                f"{title(item)} was applied by {', '.join(sorted(managers)) or 'somebody else'}; "
                "change it where it comes from, or delete it there first"
            )
    return None


def foreign_resources(found: Observation, spec: Spec) -> str | None:
    """A node offers our resources although no device plugin of ours runs there: another plugin does."""
    plugins = {pod.get("spec", {}).get("nodeName") for pod in found.pods if component_of(pod) == names.DEVICE_PLUGIN}
    for node in found.nodes:
        name = node["metadata"]["name"]
        # What a silent node offers is of before; a plugin that comes back with it has its DaemonSet here.
        if name in plugins or is_silent(node) or not selects(spec, node["metadata"].get("labels") or {}):
            continue
        for resource in _offered(node, spec):
            return (
                f"node {name} offers {resource} by a device plugin that is not of this add-on; "
                "remove that plugin first, since two would hand out the same EPC"
            )
    return None


def newer_definition(found: Observation) -> str | None:
    """The resource definition was made by a newer version, whose fields this one does not know."""
    if found.definition is None:
        return None
    theirs = (found.definition["metadata"].get("annotations") or {}).get(names.VERSION_ANNOTATION, "")
    if _order(theirs) <= _order(__version__):
        return None
    return (
        f"the resource definition is of confcom {theirs}, this program is {__version__}; use confcom {theirs} or newer"
    )


def another_namespace(stored: Spec | None, spec: Spec) -> str | None:
    """The objects cannot move: for a while two device plugins would end each other's registration."""
    if stored is None or stored.namespace == spec.namespace:
        return None
    return (
        f"the add-on is enabled in the namespace {stored.namespace} and cannot move to {spec.namespace}; "
        f"confcom addon disable it first"
    )


def no_node(found: Observation, spec: Spec) -> str | None:
    """A selector or a simulation that no node meets is a mistake; SGX nodes may well come later (R4)."""
    if not (spec.nodes.selector or spec.simulation is not None):
        return None
    if any(selects(spec, node["metadata"].get("labels") or {}) for node in found.nodes):
        return None
    if not spec.nodes.selector:
        return "no node is selected: a simulation needs a Linux node on amd64, and this cluster has none"
    wanted = ",".join(f"{key}={value}" for key, value in spec.nodes.selector.items())
    return f"no node is selected: none is Linux on amd64 with {wanted}; see kubectl get nodes --show-labels"


def namesakes_of(rendered: list[Object], live: list[Object | None]) -> str | None:
    """One of the objects to be applied exists and is not ours; a namespace may be anybody's, unless it is going."""
    for item, found in zip(rendered, live, strict=True):
        if found is not None and is_ending(found):
            return f"{title(item)} is being removed; try again when it is gone, or use another namespace"
        if found is not None and item["kind"] != "Namespace" and not is_ours(found):
            return f"{title(item)} exists and is not of this add-on; remove it, or use another namespace"
    return None


def fields_of_others(applied: Object, spec: Spec) -> str | None:
    """The record says more than was applied: server-side apply leaves alone what another hand has set."""
    stored, wanted = Spec.from_dict(applied.get("spec")).to_dict(), spec.to_dict()
    foreign = sorted(field for field in stored if stored[field] != wanted.get(field))
    if not foreign:
        return None
    return (
        f"{title(applied)} has spec.{foreign[0]} from another hand, which apply does not take away; remove it: "
        f"kubectl edit {names.PLURAL} {names.RESOURCE_NAME}"
    )


def old_definition(message: str) -> str | None:
    """The API server's word for a field that its definition lacks, in ours (`cluster-addon.md` 4)."""
    if "field not declared in schema" not in message:
        return None
    field = re.search(r"(\.spec[^\s:]*): field not declared", message)
    what = field[1].lstrip(".") if field else "a field"
    return (
        f"the resource definition in the cluster is older than this program and lacks {what}; renew it: "
        "confcom addon render --definition | kubectl apply --server-side --force-conflicts -f -"
    )


def _offered(node: Object, spec: Spec) -> list[str]:
    allocatable = node.get("status", {}).get("allocatable") or {}
    wanted = names.OUR_RESOURCES + (names.INTEL_RESOURCES if spec.device_plugin.intel_names else ())
    return [name for name in wanted if str(allocatable.get(name, "0")) != "0"]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
