"""What is in the cluster, read once, before anything is decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from confcom.addon import names
from confcom.kube import kinds
from confcom.kube.api import KubeAPI, Object
from confcom.kube.kinds import Kind

RESOURCE: Final = Kind(api_version=names.API_VERSION, kind=names.KIND, plural=names.PLURAL, namespaced=False)
# The kinds that are rendered, in the order in which they are removed: what runs first, the namespace last.
RENDERED_KINDS: Final = (
    kinds.DAEMON_SET,
    kinds.SERVICE,
    kinds.NETWORK_POLICY,
    kinds.CONFIG_MAP,
    kinds.SERVICE_ACCOUNT,
    kinds.NAMESPACE,
)
KIND_BY_NAME: Final = {kind.kind: kind for kind in (*RENDERED_KINDS, kinds.DEFINITION, RESOURCE)}
# AKS's own add-on: sgx-plugin and sgx-webhook since 2021, sgx-device-plugin before; the helper's name never changed.
FOREIGN_DAEMON_SETS: Final = (names.DEVICE_PLUGIN, names.QUOTE_HELPER, "sgx-plugin")
FOREIGN_DEPLOYMENTS: Final = ("sgx-webhook",)
# What a sentence names at the most; a cluster can have a thousand nodes.
_NAMED: Final = 3
# What differs between two looks at an object that nobody has changed: its status and what a write of that counts.
_COUNTERS: Final = ("resourceVersion", "generation", "managedFields")
# What a namespace that is going says of itself, the cause before what follows from it: an extension of the API server
# that does not answer keeps every namespace.
_HOLDING: Final = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
)
# Kubernetes' own, which go by themselves.
_PASSING_FINALIZERS: Final = ("foregroundDeletion", "orphan", "customresourcecleanup.apiextensions.k8s.io")
_RESTART_FIELDS: Final = ("f:template", "f:metadata", "f:annotations", "f:kubectl.kubernetes.io/restartedAt")


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """The cluster as far as the add-on goes; objects are as the API server gave them."""

    version: str
    definition: Object | None
    resource: Object | None
    ours: tuple[Object, ...]
    namesakes: tuple[Object, ...]
    nodes: tuple[Object, ...]
    pods: tuple[Object, ...]

    @property
    def is_enabled(self) -> bool:
        """Whether the cluster has the switch on."""
        return self.resource is not None


def observe(api: KubeAPI) -> Observation:
    """Reads everything that a decision needs: a dozen calls, whatever the number of nodes.

    Raises:
        KubeAPIError: the cluster cannot be reached, or the user may not read one of them.
    """
    ours = [item for kind in RENDERED_KINDS for item in api.list(kind, labels=names.ADDON_SELECTOR)]
    return Observation(
        version=api.version(),
        definition=api.get(kinds.DEFINITION, names.CRD_NAME),
        resource=api.get(RESOURCE, names.RESOURCE_NAME),
        ours=tuple(ours),
        namesakes=tuple(_namesakes(api)),
        nodes=tuple(map(_brief, api.items(kinds.NODE))),
        pods=tuple(api.list(kinds.POD, labels=names.ADDON_SELECTOR)),
    )


def _brief(node: Object) -> Object:
    """A node without its images and its fields' owners, which are nine tenths of it and nothing to us."""
    node["metadata"].pop("managedFields", None)
    (node.get("status") or {}).pop("images", None)
    return node


def is_silent(node: Object) -> bool:
    """Whether a node's kubelet has stopped reporting: what its status says is of before, and its pods cannot end."""
    return any(c.get("type") == "Ready" and c.get("status") == "Unknown" for c in conditions_of(node))


def is_ready(node: Object) -> bool:
    """Whether a node takes pods, as far as it says so."""
    return all(c.get("status") == "True" for c in conditions_of(node) if c.get("type") == "Ready")


def _namesakes(api: KubeAPI) -> list[Object]:
    """Objects of our names, or of AKS's own add-on, that are not ours."""
    wanted = [(kinds.DAEMON_SET, name) for name in FOREIGN_DAEMON_SETS]
    wanted += [(kinds.DEPLOYMENT, name) for name in FOREIGN_DEPLOYMENTS]
    found = [item for kind, name in wanted for item in api.list(kind, fields=f"metadata.name={name}")]
    return [item for item in found if not is_ours(item)]


def is_ours(item: Object) -> bool:
    """Whether an object carries our label."""
    return (item["metadata"].get("labels") or {}).get(names.ADDON_LABEL) == names.RESOURCE_NAME


def component_of(item: Object) -> str:
    """Which of the add-on's two programs an object is labelled to belong to, or the empty text."""
    return str((item["metadata"].get("labels") or {}).get(names.COMPONENT_LABEL, ""))


def is_ending(item: Object) -> bool:
    """Whether an object is being removed, and waits for what it owns or holds."""
    return bool(item["metadata"].get("deletionTimestamp"))


def held_by(item: Object) -> str:
    """What keeps an object that is being removed, in brackets and as far as it says so itself; or the empty text."""
    foreign = [text for text in item["metadata"].get("finalizers") or () if text not in _PASSING_FINALIZERS]
    said = {c.get("type"): c.get("message") for c in conditions_of(item) if c.get("status") == "True"}
    reasons = [*(f"its finalizer {text}" for text in foreign), *(said[name] for name in _HOLDING if said.get(name))]
    return f" ({' '.join(str(reasons[0]).split()).rstrip('.')})" if is_ending(item) and reasons else ""


def conditions_of(item: Object) -> list[dict[str, Any]]:
    """The conditions of an object's status."""
    return (item.get("status") or {}).get("conditions") or []


def says_the_same(before: Object, after: Object) -> bool:
    """Whether two states of an object differ in nothing that somebody asked for.

    Its version does not tell: a controller's write of the status raises it, and a dry run leaves it as it is.
    """
    return _wanted(before) == _wanted(after)


def _wanted(item: Object) -> Object:
    metadata = {name: value for name, value in item["metadata"].items() if name not in _COUNTERS}
    return {name: value for name, value in item.items() if name != "status"} | {"metadata": metadata}


def helm_release(item: Object) -> str | None:
    """The Helm release that owns an object, as NAMESPACE/NAME, or None."""
    notes = item["metadata"].get("annotations") or {}
    name = notes.get(names.HELM_RELEASE_NAME)
    return f"{notes.get(names.HELM_RELEASE_NAMESPACE, '')}/{name}" if name else None


def other_managers(item: Object) -> list[str]:
    """Who else set fields of the spec, by managedFields; status is everybody's own, and a restart anybody's right."""
    found = {
        str(entry.get("manager"))
        for entry in item["metadata"].get("managedFields") or ()
        if entry.get("manager") != names.FIELD_MANAGER and not entry.get("subresource")
        for fields in [(entry.get("fieldsV1") or {}).get("f:spec")]
        if fields is not None and not _is_restart(fields)
    }
    return sorted(found)


def _is_restart(fields: Any) -> bool:
    """Whether the fields are no more than the time that `kubectl rollout restart` notes in a pod template."""
    for step in _RESTART_FIELDS:
        if not isinstance(fields, dict) or set(fields) - {"."} != {step}:
            return False
        fields = fields[step]
    return True


def is_applied_by_us(item: Object) -> bool:
    """Whether our field manager has applied an object."""
    entries: list[dict[str, Any]] = item["metadata"].get("managedFields") or []
    return any(e.get("manager") == names.FIELD_MANAGER and e.get("operation") == "Apply" for e in entries)


def some(titles: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = len(titles) - _NAMED
    return ", ".join(titles[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def title(item: Object) -> str:
    """An object's name for people: `DaemonSet confcom-system/sgx-quote-helper`."""
    metadata = item["metadata"]
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{item['kind']} {where}{metadata['name']}"
