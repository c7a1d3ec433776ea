"""The nodes as `confcom status` shows them: EPC, device plugin, quote helper, last verified quote, EPC saved.

Pure functions over Node and Pod objects and over what the pods' `/status` answered.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from confcom.addon import names
from confcom.addon.observation import component_of, is_ours, is_ready
from confcom.addon.placement import plays_everywhere, refused_taints, selects
from confcom.addon.rollout import node_of, pod_problem
from confcom.addon.spec import Spec
from confcom.kube.api import Object
from confcom.platform.compatibility import Finding, Verdict

_ENDED: Final = ("Succeeded", "Failed")
_OPT_IN: Final = "SGX_AESM_ADDR"
_QUANTITY: Final = re.compile(r"(\d{1,19})(?:[eE](\d{1,2})|([kMGTPE]|[KMGTPE]i))?")
_SUFFIXES: Final = {"": 1, "k": 10**3, **{s: 1000**n for n, s in enumerate("MGTPE", 2)}} | {
    f"{s}i": 1024**n for n, s in enumerate("KMGTPE", 1)
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What one pod's `/status` said: the document, or why there is none; `is_refused` where we may not ask."""

    status: Mapping[str, Any] | None = None
    problem: str = ""
    is_refused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """One daemon on one node: a word for a table, and a sentence where there is more to say."""

    word: str
    detail: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing need be done."""
        return self.word in {"ready", "off"}


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeView:
    """One node; sizes in MiB, `epc` and `reserved` None where the device plugin could not be asked.

    `limits` says what the daemons run beside that does not simply work.
    """

    name: str
    epc: int | None
    allocatable: int
    allocated: int
    reserved: int | None
    device_plugin: State
    quote_helper: State
    role: str
    verdict: str
    last_check: str
    out_of_process: int
    saved: int
    simulated: bool
    limits: tuple[str, ...] = ()

    @property
    def free(self) -> int:
        """EPC that a pod could still ask for."""
        return max(0, self.allocatable - self.allocated)

    @property
    def is_well(self) -> bool:
        """Whether both daemons are as they should be."""
        return self.device_plugin.is_well and self.quote_helper.is_well


def views(spec: Spec, nodes: Iterable[Object], pods: Iterable[Object], heard: Mapping[str, Heard]) -> list[NodeView]:
    """The selected nodes, and those that have pods of ours; `pods` are ours and all with EPC, `heard` is by name."""
    by_node: dict[str, list[Object]] = {}
    for pod in pods:
        by_node.setdefault(node_of(pod), []).append(pod)
    found = []
    for node in nodes:
        own = by_node.get(node["metadata"]["name"], [])
        if _is_selected(spec, node) or any(_component(pod) for pod in own):
            found.append(_view(spec, node, own, heard))
    return sorted(found, key=lambda view: view.name)


def _is_selected(spec: Spec, node: Object) -> bool:
    wanted = selects(spec, node["metadata"].get("labels") or {})
    return wanted and not (plays_everywhere(spec) and refused_taints(spec, node))


def _view(spec: Spec, node: Object, pods: list[Object], heard: Mapping[str, Heard]) -> NodeView:
    no_plugin = _absent(spec, node, wanted=spec.device_plugin.enabled)
    no_helper = _absent(spec, node, wanted=spec.quote_helper.enabled)
    plugin, plugin_state = _ask(_newest(pods, names.DEVICE_PLUGIN), heard, no_plugin)
    helper, helper_state = _ask(_serving(pods, heard), heard, no_helper)
    users = out_of_process_containers(pods)
    simulated = bool(plugin.get("simulated"))
    return NodeView(
        name=node["metadata"]["name"],
        epc=plugin.get("epc_mib"),
        allocatable=_number(((node.get("status") or {}).get("allocatable") or {}).get(names.EPC_RESOURCE)),
        allocated=sum(epc_of(pod) for pod in pods if (pod.get("status") or {}).get("phase") not in _ENDED),
        reserved=plugin.get("reserved_mib"),
        device_plugin=plugin_state,
        quote_helper=helper_state,
        role=str(helper.get("role", "")),
        verdict=_verdict(helper.get("condition") or {}),
        last_check=str(helper.get("last_check") or ""),
        out_of_process=users,
        saved=_saved(users, helper),
        simulated=simulated,
        limits=_limits(plugin, helper),
    )


def _saved(users: int, helper: Mapping[str, Any]) -> int:
    """What the users would take for a QE and PCE each, less what the helper's workers take for all of them (R33).

    A simulated QE takes none, so nothing is saved there.
    """
    if helper.get("simulated"):
        return 0
    workers = len(helper.get("workers") or ()) or 1
    return max(0, (users - workers) * names.QUOTING_EPC_MIB)


def _absent(spec: Spec, node: Object, *, wanted: bool) -> State:
    """The state of a daemon that has no pod here."""
    if not wanted:
        return State(word="off")
    taints = refused_taints(spec, node)
    why = f": its taint {taints[0]} is not in spec.nodes.tolerations" if taints else ""
    if not taints and not is_ready(node):
        # Kubernetes makes no pod of a DaemonSet on such a node, and does not count it.
        why = ", which is not ready; see kubectl describe node"
    return State(word="no pod", detail=f"has no pod on this node{why}")


def _ask(pod: Object | None, heard: Mapping[str, Heard], absent: State) -> tuple[Mapping[str, Any], State]:
    """What the pod's daemon says of itself, and its state."""
    if pod is None:
        return {}, absent
    problem = pod_problem(pod)
    said = heard.get(pod["metadata"]["name"], Heard())
    if said.status is None:
        return {}, State(word="ready", detail=said.problem) if problem is None else State(word="waits", detail=problem)
    if problem is None and said.status.get("ready"):
        # An idle plugin is ready, and says why it offers nothing.
        return said.status, State(word="ready", detail=str(said.status.get("problem") or ""))
    return said.status, State(word="not ready", detail=str(said.status.get("problem") or problem or ""))


def beside(status: Mapping[str, Any]) -> list[Finding]:
    """What a daemon says that it runs beside; entries of a form that this version does not know are left out."""
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(status.get("compatibility") or [], list[Finding])
    return []


def _limits(*statuses: Mapping[str, Any]) -> tuple[str, ...]:
    rows = [row for status in statuses for row in beside(status) if row.verdict is not Verdict.WORKS]
    return tuple(dict.fromkeys(f"{row.part} {row.found}: {row.verdict}: {row.why}" for row in rows))


def _verdict(condition: Mapping[str, Any]) -> str:
    if not condition:
        return ""
    if condition.get("status"):
        return "verified"
    return str(condition.get("message") or condition.get("reason") or "not verified")


def _newest(pods: list[Object], component: str) -> Object | None:
    own = [pod for pod in pods if _component(pod) == component and not pod["metadata"].get("deletionTimestamp")]
    return max(own, key=lambda pod: (pod_problem(pod) is None, _generation(pod)), default=None)


def _serving(pods: list[Object], heard: Mapping[str, Heard]) -> Object | None:
    """The helper that serves; during an update a node has two."""
    own = [pod for pod in pods if _component(pod) == names.QUOTE_HELPER]
    for pod in own:
        said = heard.get(pod["metadata"]["name"])
        if said and said.status and said.status.get("role") == "serving":
            return pod
    return _newest(pods, names.QUOTE_HELPER)


def _component(pod: Object) -> str:
    """As `component_of`; a node has pods of others too."""
    return component_of(pod) if is_ours(pod) else ""


def _generation(pod: Object) -> int:
    return _number((pod["metadata"].get("labels") or {}).get(names.GENERATION_LABEL))


def epc_of(pod: Object) -> int:
    """The EPC that the scheduler counts for a pod, in MiB: the sum of its containers, or its largest init container."""
    spec = pod.get("spec") or {}
    containers = sum(_epc(container) for container in spec.get("containers") or ())
    largest = 0
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            # A sidecar stays, so it counts beside the others, and beside each init container that follows it.
            containers += _epc(container)
        else:
            sidecars = containers - sum(_epc(other) for other in spec.get("containers") or ())
            largest = max(largest, _epc(container) + sidecars)
    return max(containers, largest)


def out_of_process_containers(pods: Iterable[Object]) -> int:
    """How many running containers have EPC and get their quotes from the helper."""
    return sum(
        1
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in _ENDED
        for container in (pod.get("spec") or {}).get("containers") or ()
        if _epc(container) and _asks_the_helper(container)
    )


def _asks_the_helper(container: Mapping[str, Any]) -> bool:
    limits = (container.get("resources") or {}).get("limits") or {}
    return names.SLOT_RESOURCE in limits or any(e.get("name") == _OPT_IN for e in container.get("env") or ())


def _epc(container: Mapping[str, Any]) -> int:
    resources = container.get("resources") or {}
    return _number(((resources.get("requests") or {}) | (resources.get("limits") or {})).get(names.EPC_RESOURCE))


def _number(text: Any) -> int:
    """A whole quantity; the API server keeps the form it was written in, or takes the largest suffix (`8k`, `1e3`)."""
    match = _QUANTITY.fullmatch(str(text or "0"))
    if match is None:
        return 0
    digits, exponent, suffix = match.groups()
    return int(digits + "0" * int(exponent)) if exponent else int(digits) * _SUFFIXES[suffix or ""]


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a `/status` that are read here, of either daemon and of any version; there may be more."""

    program: Literal["sgx-device-plugin", "sgx-quote-helper"]
    generation: int = 0
    ready: bool = False
    problem: str | None = None
    simulated: bool = False
    epc_mib: int | None = None
    reserved_mib: int | None = None
    role: str = ""
    workers: list[Any] = []
    last_check: str | None = None
    condition: dict[str, Any] = {}
    compatibility: list[Any] = []


def read_status(body: bytes) -> Heard:
    """A `/status` document; whatever else answers on the port, which can be anybody's, is a problem in words."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        content = msgspec.json.decode(body)
        msgspec.convert(content, _Read)
        return Heard(status=content)
    return Heard(problem="its HTTP port answers something else")
