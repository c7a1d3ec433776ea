"""`--wait`: watches a roll-out until it is done, and tells what changes on each node and what holds it."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeVar

from confcom.addon import names
from confcom.addon.live import PARALLEL_CALLS, hear
from confcom.addon.observation import RENDERED_KINDS, RESOURCE, component_of, held_by, is_ending, is_ours, title
from confcom.addon.rollout import Rollout, is_cut_off, may_say_more, node_of, pod_problem, rollout
from confcom.addon.spec import Spec
from confcom.addon.switch import Say
from confcom.errors import KubeAPIError
from confcom.kube import kinds
from confcom.kube.api import KubeAPI, Object

DEFAULT_WAIT_SECONDS: Final = 300.0
POLL_SECONDS: Final = 1.0

T = TypeVar("T")


def read_rollouts(api: KubeAPI, spec: Spec) -> list[Rollout]:
    """The roll-out of each DaemonSet that the spec wants; one that is missing counts as not begun."""
    pods = api.list(kinds.POD, spec.namespace, labels=names.ADDON_SELECTOR)
    warnings: list[Object] | None = None
    found = []
    for name in (name for name, on in _components(spec) if on):
        item = api.get(kinds.DAEMON_SET, name, spec.namespace)
        if item is None:
            found.append(_missing(f"DaemonSet {spec.namespace}/{name} is missing", name))
            continue
        own = [pod for pod in pods if component_of(pod) == name]
        state = rollout(item, own, [])
        if not state.done:
            if warnings is None:
                warnings = api.list(kinds.EVENT, spec.namespace, fields="type=Warning")
            state = rollout(item, own, warnings, own_words(api, own))
        found.append(state)
    return found


def _missing(problem: str, name: str) -> Rollout:
    return Rollout(component=name, wanted=0, updated=0, available=0, done=False, nodes=(), problems=(problem,))


def own_words(api: KubeAPI, pods: list[Object]) -> dict[str, str]:
    """What pods that run and are not ready say of it themselves, by name: as many as are asked at once."""
    asked = [pod for pod in pods if may_say_more(pod)][:PARALLEL_CALLS]
    words = {}
    for pod, heard in zip(asked, hear(api, asked).values(), strict=True):
        if heard.status and not heard.status.get("ready") and heard.status.get("problem"):
            words[pod["metadata"]["name"]] = str(heard.status["problem"])
        elif heard.is_refused:
            words[pod["metadata"]["name"]] = f"{pod_problem(pod)}; {heard.problem}"
    return words


def wait_for_rollout(api: KubeAPI, spec: Spec, say: Say, *, seconds: float) -> list[Rollout]:
    """Waits until every node has ready pods of the new template.

    Raises:
        KubeAPIError: it is not done in time; the sentence names what it waits for.
    """
    deadline = time.monotonic() + seconds
    told: dict[tuple[str, str], str] = {}
    while True:
        began = time.monotonic()
        states = _look(lambda: read_rollouts(api, spec), deadline, say)
        _tell(states, told, say)
        if all(state.done for state in states):
            return states
        if time.monotonic() > deadline:
            raise KubeAPIError(_late(states, seconds), status=0)
        _rest(began)


def wait_until_gone(api: KubeAPI, say: Say, *, seconds: float) -> None:
    """Waits until nothing of the add-on is left, its pods and its namespace included.

    Raises:
        KubeAPIError: something is left after the time; the sentence names it.
    """
    deadline = time.monotonic() + seconds
    told = ""
    while True:
        began = time.monotonic()
        left = _look(lambda: _left(api), deadline, say)
        if not left:
            return
        if left[0] != told:
            told = left[0]
            say(f"waiting for {told} to go")
        if time.monotonic() > deadline:
            raise KubeAPIError(f"not gone after {seconds:g} s: {'; '.join(left[:5])}", status=0)
        _rest(began)


def _look(look: Callable[[], T], deadline: float, say: Say) -> T:
    """What is there; an API server that is away for a moment, as in its own update, does not end the wait."""
    told = ""
    while True:
        try:
            return look()
        except KubeAPIError as error:
            # Of these answers the fault is the API server's own, or of something between.
            is_away = error.status == 0 or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            if not is_away or time.monotonic() > deadline:
                raise
            if str(error) != told:
                told = str(error)
                say(f"{told}; looking again")
        time.sleep(POLL_SECONDS)


def _rest(began: float) -> None:
    """Until the next look; at most half of the time is spent looking, however many nodes there are."""
    time.sleep(max(POLL_SECONDS, time.monotonic() - began))


def _left(api: KubeAPI) -> list[str]:
    found = [
        f"{item['kind']} {item['metadata']['name']}{held_by(item)}{_where(item)}"
        for kind in (kinds.POD, *RENDERED_KINDS)
        for item in api.list(kind, labels=names.ADDON_SELECTOR)
    ]
    single = api.get(RESOURCE, names.RESOURCE_NAME), api.get(kinds.DEFINITION, names.CRD_NAME)
    found += [f"{title(i)}{held_by(i)}" for i in single if i is not None and (i["kind"] == names.KIND or is_ours(i))]
    # A namespace that others use was kept on purpose.
    return [text for text in found if not text.startswith("Namespace ")] or _ending_namespaces(api)


def _where(item: Object) -> str:
    """The node of a pod that will not end by itself: only its own kubelet ends a pod."""
    if item["kind"] != "Pod" or not is_cut_off(item):
        return ""
    return f" on node {node_of(item)}, which does not report: bring it back, or delete it"


def _ending_namespaces(api: KubeAPI) -> list[str]:
    return [
        f"{title(item)}{held_by(item)}"
        for item in api.list(kinds.NAMESPACE, labels=names.ADDON_SELECTOR)
        if is_ending(item)
    ]


def _components(spec: Spec) -> tuple[tuple[str, bool], ...]:
    return (names.DEVICE_PLUGIN, spec.device_plugin.enabled), (names.QUOTE_HELPER, spec.quote_helper.enabled)


def _tell(states: list[Rollout], told: dict[tuple[str, str], str], say: Say) -> None:
    for state in states:
        for node in state.nodes:
            # That an old pod is ready is no news.
            text = node.sentence or ("ready" if node.is_new else None)
            key = (node.pod, node.node)
            if text and told.get(key) != text:
                told[key] = text
                say(f"{node.node}: {state.component}: {text}")
        for problem in state.problems:
            # A node's own line has said it already.
            if problem.startswith("node "):
                continue
            if told.get((state.component, "")) != problem:
                told[(state.component, "")] = problem
                say(f"{state.component}: {problem}")


def _late(states: list[Rollout], seconds: float) -> str:
    counts = ", ".join(
        f"{state.component} {min(state.updated, state.available)} of {state.wanted}"
        for state in states
        if not state.done
    )
    problems = [problem for state in states for problem in state.problems]
    reason = f"; {'; '.join(problems[:3])}" if problems else ""
    return f"the roll-out is not done after {seconds:g} s ({counts} nodes){reason}"
