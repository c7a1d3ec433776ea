"""How far a roll-out is on each node, and what holds it: the DaemonSet says only that it is not done.

Pure functions over the DaemonSet, its pods and its Events; `cluster-addon.md` 1 has the cases.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confcom.addon import names
from confcom.addon.events import HELD, REFUSED, last_word, time_of
from confcom.addon.observation import component_of, some
from confcom.kube.api import Object

# What is quoted of a message; a runtime's can have pages.
_MESSAGE_CHARACTERS: Final = 200
_TEMPLATE_COUNTER: Final = "deprecated.daemonset.template.generation"
_ENDING: Final = "is ending"
# A container that waits for any other reason will not start by itself.
_PASSING_WAITS: Final = ("", "ContainerCreating", "PodInitializing")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeProgress:
    """One pod of one component on one node; `problem` is None where it is ready."""

    component: str
    node: str
    pod: str
    is_new: bool
    problem: str | None

    @property
    def sentence(self) -> str | None:
        """The problem, told of the pod that it is about: a node has an old and a new one."""
        if self.problem is None or self.is_new:
            return self.problem
        if self.problem == _ENDING:
            return f"the old pod {_ENDING}"
        return f"the old pod is not ready ({self.problem}), and an update counts it as one that is down"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One DaemonSet: how many nodes it wants and has, and what it waits for, node by node."""

    component: str
    wanted: int
    updated: int
    available: int
    done: bool
    nodes: tuple[NodeProgress, ...]
    problems: tuple[str, ...]


def rollout(
    daemon_set: Object, pods: list[Object], events: list[Object], own_words: Mapping[str, str] | None = None
) -> Rollout:
    """The state of a roll-out; `pods` are those of this DaemonSet, `own_words` what some say of themselves, by name.

    `events` may be about anything in the namespace.
    """
    status, spec, metadata = daemon_set.get("status") or {}, daemon_set["spec"], daemon_set["metadata"]
    component = metadata["name"]
    wanted = int(status.get("desiredNumberScheduled", 0))
    updated = int(status.get("updatedNumberScheduled", 0))
    available = int(status.get("numberAvailable", 0))
    seen = status.get("observedGeneration") == metadata.get("generation")
    on_delete = (spec.get("updateStrategy") or {}).get("type") == "OnDelete"
    counter = (metadata.get("annotations") or {}).get(_TEMPLATE_COUNTER, "")
    words = own_words or {}
    found = [_progress(component, pod, counter, words, events) for pod in pods]
    nodes = tuple(sorted(found, key=lambda progress: (progress.node, progress.pod)))
    done = seen and available >= wanted and (on_delete or updated >= wanted)
    return Rollout(
        component=component,
        wanted=wanted,
        updated=updated,
        available=available,
        done=done,
        nodes=nodes,
        problems=() if done else (*_pod_problems(nodes), *_creation_problems(daemon_set, pods, events)),
    )


def _pod_problems(nodes: tuple[NodeProgress, ...]) -> list[str]:
    return [f"node {each.node}: {each.component}: {each.sentence}" for each in nodes if each.sentence]


def _creation_problems(daemon_set: Object, pods: list[Object], events: list[Object]) -> list[str]:
    """Pods that are refused never exist; only the DaemonSet's Events say why.

    No count tells of a refused pod that was to replace a living one, but that none has been made since.
    """
    refusal = last_word(events, "DaemonSet", daemon_set["metadata"]["name"], REFUSED)
    if refusal is None:
        return []
    status = daemon_set.get("status") or {}
    lacks = int(status.get("currentNumberScheduled", 0)) < int(status.get("desiredNumberScheduled", 0))
    newest = max((str(pod["metadata"].get("creationTimestamp", "")) for pod in pods), default="")
    # An Event of this very second has the shorter text of the two.
    is_last = bool(time_of(refusal)) and time_of(refusal) >= newest.removesuffix("Z")
    return [str(refusal.get("message", ""))] if lacks or is_last else []


def _progress(
    component: str, pod: Object, counter: str, own_words: Mapping[str, str], events: list[Object]
) -> NodeProgress:
    metadata = pod["metadata"]
    problem = pod_problem(pod)
    generation = (metadata.get("labels") or {}).get(names.GENERATION_LABEL, "")
    return NodeProgress(
        component=component,
        node=node_of(pod),
        pod=metadata["name"],
        is_new=not counter or generation == counter,
        problem=problem and own_words.get(metadata["name"], _held(pod, events) or problem),
    )


def _held(pod: Object, events: list[Object]) -> str | None:
    """Why the kubelet cannot start a pod that it has: its status says no more than that it is being created."""
    if (pod.get("status") or {}).get("phase") != "Pending" or not (pod.get("spec") or {}).get("nodeName"):
        return None
    event = last_word(events, "Pod", pod["metadata"]["name"], HELD)
    return None if event is None else f"cannot start ({event['reason']}: {_short(str(event.get('message', '')))})"


def replaced_at_once(pods: Iterable[Object]) -> str | None:
    """What an update of the quote helper means where old ones are not ready: no batch bounds how many go at once."""
    helpers = (pod for pod in pods if component_of(pod) == names.QUOTE_HELPER)
    unready = [pod for pod in helpers if pod_problem(pod) not in (None, _ENDING)]
    if not unready:
        return None
    nodes = some(sorted({node_of(pod) for pod in unready}))
    return (
        f"{len(unready)} quote helper(s) were not ready, on {nodes}; Kubernetes replaces those at once, "
        "whatever spec.update.batch says"
    )


def may_say_more(pod: Object) -> bool:
    """Whether the program in a pod that is not ready can be asked why: the kubelet says only that it is not."""
    return (
        pod_problem(pod) is not None
        and (pod.get("status") or {}).get("phase") == "Running"
        and not pod["metadata"].get("deletionTimestamp")
        and not is_cut_off(pod)
    )


def is_cut_off(pod: Object) -> bool:
    """Whether the pod's node has fallen silent: its controller then takes back that the pod is ready, without a word.

    A kubelet that finds a pod unready always gives its reason.
    """
    status = pod.get("status") or {}
    ready: Object = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    return status.get("phase") == "Running" and ready.get("status") == "False" and not ready.get("message")


def pod_problem(pod: Object) -> str | None:
    """Why a pod is not ready, in words, or None."""
    status = pod.get("status") or {}
    conditions = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    if pod["metadata"].get("deletionTimestamp"):
        return _ENDING
    if (conditions.get("Ready") or {}).get("status") == "True":
        return None
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return _unschedulable(str(scheduled.get("message", "")))
    for container in status.get("containerStatuses") or ():
        problem = _container_problem(container)
        if problem:
            return problem
    if status.get("phase") == "Failed":
        return f"has failed: {status.get('reason', '')} {status.get('message', '')}".strip()
    if is_cut_off(pod):
        return "its node does not report; see kubectl describe node"
    ready = conditions.get("Ready") or {}
    return str(ready.get("message") or "is starting")


def _unschedulable(message: str) -> str:
    """The scheduler's sentence, with ours before it where we know what it means."""
    short = message.partition(". ")[0].partition(" preemption:")[0].rstrip(".")
    if f"Insufficient {names.HELPER_RESOURCE}" in message:
        return f"waits for a token of the device plugin, which gives one to each of two helpers ({short})"
    if "free ports" in message:
        return f"waits for a port that the old pod holds, and will wait for ever ({short})"
    return f"cannot be placed: {short}" if short else "waits to be placed"


def _container_problem(container: dict[str, Any]) -> str | None:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason", ""))
    if reason in _PASSING_WAITS:
        return None
    if reason == "CrashLoopBackOff":
        return f"ends again and again ({container.get('restartCount', 0)} restarts); see its log"
    text = _short(str(waiting.get("message", "")))
    return f"the image cannot be had ({reason}: {text})" if "Image" in reason else f"{reason}: {text}"


def _short(text: str) -> str:
    """One line of a message that may have many."""
    return re.sub(r"\s+", " ", text).strip()[:_MESSAGE_CHARACTERS]


def node_of(pod: Object) -> str:
    """The node of a pod; a DaemonSet's pod has it in its affinity before the scheduler has bound it."""
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for wanted in term.get("matchFields") or ():
            if wanted.get("key") == "metadata.name" and wanted.get("values"):
                return str(wanted["values"][0])
    return "?"
