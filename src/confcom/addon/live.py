"""Reads the node pods' `/status` through the API server's pod proxy: the nodes themselves never call the API server."""

import concurrent.futures
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from confcom.addon import names
from confcom.addon.nodes import Heard, NodeView, epc_of, read_status, views
from confcom.addon.observation import component_of, is_ours
from confcom.addon.rollout import is_cut_off
from confcom.addon.spec import Spec
from confcom.errors import KubeAPIError
from confcom.kube import kinds
from confcom.kube.api import KubeAPI, Object

# Enough to ask a thousand nodes in half a minute, few enough for one API server.
PARALLEL_CALLS: Final = 16


def read_nodes(api: KubeAPI, spec: Spec, nodes: Iterable[Object]) -> list[NodeView]:
    """Those of `nodes` that are selected, as they are now.

    Raises:
        KubeAPIError: pods cannot be listed. Where only the proxy is refused, the views say so.
    """
    # A large cluster has more pods than one wants to hold; no selector knows who has EPC.
    pods = [pod for pod in api.items(kinds.POD) if is_ours(pod) or epc_of(pod)]
    return views(spec, nodes, pods, hear(api, list(filter(is_ours, pods))))


def hear(api: KubeAPI, pods: list[Object]) -> dict[str, Heard]:
    """What each running pod says of itself, by pod name; one whose node is silent would only be waited for.

    Where none of the first ones can be heard, the way to them is closed, and the others are not waited for.
    """
    running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running" and not is_cut_off(pod)]
    with concurrent.futures.ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        answers = list(pool.map(lambda pod: _ask(api, pod), running[:PARALLEL_CALLS]))
        others = running[PARALLEL_CALLS:]
        if others and not any(heard.status for heard in answers):
            answers += [_not_asked(answers[0])] * len(others)
        else:
            answers += pool.map(lambda pod: _ask(api, pod), others)
    return {pod["metadata"]["name"]: heard for pod, heard in zip(running, answers, strict=True)}


def _not_asked(first: Heard) -> Heard:
    if first.is_refused:
        return first
    return Heard(problem=f"was not asked, since none of {PARALLEL_CALLS} others answered")


def _ask(api: KubeAPI, pod: Object) -> Heard:
    """The first of the component's ports behind which this pod's generation is.

    With hostNetwork two helpers of a node answer on one address, each on a port of its own.
    """
    metadata = pod["metadata"]
    is_plugin = component_of(pod) == names.DEVICE_PLUGIN
    ports = (names.DEVICE_PLUGIN_PORT,) if is_plugin else names.QUOTE_HELPER_PORTS
    generation = (metadata.get("labels") or {}).get(names.GENERATION_LABEL)
    problem = "its HTTP port does not answer"
    for port in ports:
        try:
            heard = read_status(api.ask_pod(metadata["namespace"], metadata["name"], port, "/status"))
        except KubeAPIError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                return Heard(
                    problem="more is not known: you may not use pods/proxy (docs/reference/rbac.md)", is_refused=True
                )
            continue
        if heard.status and generation not in (None, str(heard.status.get("generation"))):
            heard = Heard(problem="only the other helper of its node answers")
        if heard.status:
            return heard
        problem = heard.problem
    return Heard(problem=problem)
