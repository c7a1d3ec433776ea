"""DaemonSet controller, scheduler and kubelets for `api_server.APIServer`: pods come, turn ready, or say why not.

Everything happens at once, after each write; `blocked` holds a node's new pods back, with the reason that a real cluster
would give.
"""

import json

DAEMON_SETS = ("apps/v1", "daemonsets")
PODS = ("v1", "pods")
NODES = ("v1", "nodes")
COMPONENT = "confcom.io/component"
EPC = "kubernetes.azure.com/sgx_epc_mem_in_MiB"
TEMPLATE_COUNTER = "deprecated.daemonset.template.generation"


class Controllers:
    """Attach with `Controllers(api)`; `epc_mib` is what a device plugin offers on each of its nodes."""

    def __init__(self, api, *, epc_mib=8192):
        self.api = api
        self.epc_mib = epc_mib
        self.blocked = {}
        self._settling = False
        api.controllers.append(self)

    def add_node(self, name, *, labels=(), taints=(), allocatable=None):
        labels = {
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name,
            **dict(labels),
        }
        info = {"kubeletVersion": "v1.36.2", "kernelVersion": "6.8.0-1021-azure", "architecture": "amd64"}
        status = {"allocatable": allocatable or {}, "capacity": allocatable or {}, "nodeInfo": info}
        self.api.create(
            *NODES,
            {"metadata": {"name": name, "labels": labels}, "spec": {"taints": list(taints)}, "status": status},
            manager="kubelet",
        )

    def settle(self):
        if self._settling:
            return
        self._settling = True
        try:
            daemon_sets = {(d["metadata"]["namespace"], d["metadata"]["name"]): d for d in self.api.all(*DAEMON_SETS)}
            for pod in list(self.api.all(*PODS)):
                owner = pod["metadata"].get("annotations", {}).get("owner")
                if owner and tuple(owner.split("/")) not in daemon_sets:
                    self.delete_pod(pod)
            for item in daemon_sets.values():
                self._roll(item)
            self._offer()
        finally:
            self._settling = False

    def _roll(self, item):
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        generation = item["metadata"]["annotations"][TEMPLATE_COUNTER]
        nodes = [n for n in self.api.all(*NODES) if fits(n, item["spec"]["template"]["spec"])]
        for node in nodes:
            self._roll_node(item, node, generation)
        kept = {n["metadata"]["name"] for n in nodes}
        for pod in list(self.api.all(*PODS)):
            if (
                pod["metadata"].get("annotations", {}).get("owner") == f"{namespace}/{name}"
                and node_of(pod) not in kept
            ):
                self.delete_pod(pod)
        self._status(item, nodes, generation)

    def _roll_node(self, item, node, generation):
        """As the real controller: an old pod that is not ready goes at once, whatever maxSurge says."""
        pods, strategy = self._pods_of(item, node), item["spec"]["updateStrategy"]
        new = [p for p in pods if p["metadata"]["labels"]["pod-template-generation"] == generation]
        old = [p for p in pods if p not in new]
        if old and strategy["type"] == "OnDelete":
            return
        surge = strategy.get("rollingUpdate", {}).get("maxSurge", 0)
        for pod in [p for p in old if not surge or not _is_ready(p)]:
            self.delete_pod(pod)
        if not new:
            new = [self._create_pod(item, node, generation)]
        self._update_pod(new[0], node)
        if _is_ready(new[0]):
            for pod in old:
                self.delete_pod(pod)

    def _pods_of(self, item, node):
        owner = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        return [
            p
            for p in self.api.all(*PODS)
            if p["metadata"].get("annotations", {}).get("owner") == owner and node_of(p) == node["metadata"]["name"]
        ]

    def _create_pod(self, item, node, generation):
        template, meta = item["spec"]["template"], item["metadata"]
        name = f"{meta['name']}-{node['metadata']['name']}-{generation}"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": {**template["metadata"]["labels"], "pod-template-generation": generation},
                "annotations": {"owner": f"{meta['namespace']}/{meta['name']}"},
            },
            "spec": {**template["spec"], "affinity": _bound_to(node["metadata"]["name"])},
            "status": {"phase": "Pending"},
        }
        self.api.create(
            *PODS, {k: v for k, v in pod.items() if k not in ("apiVersion", "kind")}, manager="daemon-controller"
        )
        return self.api.objects[*PODS, meta["namespace"], name].item

    def _update_pod(self, pod, node):
        """Scheduler and kubelet: bound and ready, or why not."""
        if _is_ready(pod):
            return
        name = node["metadata"]["name"]
        block = self.blocked.get((name, pod["metadata"]["labels"].get(COMPONENT))) or self.blocked.get(name)
        if block is None:
            pod["spec"]["nodeName"] = name
            pod["status"] = {"phase": "Running", "conditions": [_condition("PodScheduled"), _condition("Ready")]}
        elif "unschedulable" in block:
            condition = _condition("PodScheduled", "False", "Unschedulable", block["unschedulable"])
            pod["status"] = {"phase": "Pending", "conditions": [condition]}
        else:
            pod["spec"]["nodeName"] = name
            unready = _condition(
                "Ready", "False", "ContainersNotReady", "containers with unready status: [sgx-quote-helper]"
            )
            containers = [{"name": "c", "ready": False, "restartCount": 3, "state": {"waiting": block["waiting"]}}]
            pod["status"] = {
                "phase": "Running",
                "conditions": [_condition("PodScheduled"), unready],
                "containerStatuses": containers,
            }

    def delete_pod(self, pod):
        self.api.objects.pop((*PODS, pod["metadata"]["namespace"], pod["metadata"]["name"]), None)

    def _status(self, item, nodes, generation):
        # As the real controller: each node by its oldest pod, so a node counts as updated when the old one is gone.
        pods = [p for node in nodes for p in self._pods_of(item, node)]
        oldest = {}
        for pod in sorted(pods, key=lambda p: int(p["metadata"]["labels"]["pod-template-generation"])):
            oldest.setdefault(node_of(pod), pod)
        updated = [p for p in oldest.values() if p["metadata"]["labels"]["pod-template-generation"] == generation]
        available = {node for node, pod in oldest.items() if _is_ready(pod)}
        item["status"] = {
            "observedGeneration": item["metadata"]["generation"],
            "desiredNumberScheduled": len(nodes),
            "currentNumberScheduled": len({node_of(p) for p in pods}),
            "updatedNumberScheduled": len([p for p in updated if p["spec"].get("nodeName")]),
            "numberReady": len(available),
            "numberAvailable": len(available),
            "numberUnavailable": len(nodes) - len(available),
            "numberMisscheduled": 0,
        }

    def _offer(self):
        """The kubelets' side of the device plugin: allocatable while it runs, 0 afterwards."""
        plugins = {
            node_of(p)
            for p in self.api.all(*PODS)
            if p["metadata"].get("labels", {}).get(COMPONENT) == "sgx-device-plugin" and _is_ready(p)
        }
        for node in self.api.all(*NODES):
            status = node["status"]
            if node["metadata"]["name"] in plugins:
                status["allocatable"] |= {
                    EPC: str(self.epc_mib),
                    "confcom.io/sgx-quote-helper": "2",
                    "confcom.io/sgx-quote": "16",
                }
            else:
                for name in list(status["allocatable"]):
                    if name.startswith("confcom.io/") or (
                        name == EPC and node["metadata"].get("annotations", {}).get("foreign") is None
                    ):
                        status["allocatable"][name] = "0"
            status["capacity"] = dict(status["allocatable"])


def fits(node, pod):
    labels = node["metadata"]["labels"]
    if any(labels.get(k) != v for k, v in pod.get("nodeSelector", {}).items()):
        return False
    required = pod.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required:
        terms = [t["matchExpressions"] for t in required["nodeSelectorTerms"]]
        if not any(all(labels.get(e["key"]) in e["values"] for e in term) for term in terms):
            return False
    return all(any(tolerates(t, taint) for t in pod.get("tolerations", ())) for taint in node["spec"].get("taints", ()))


def tolerates(toleration, taint):
    """As the scheduler's helper of that name: key, effect where one is named, and the value for `Equal`."""
    if toleration["key"] != taint["key"] or toleration.get("effect", taint["effect"]) != taint["effect"]:
        return False
    return toleration.get("operator", "Equal") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def node_of(pod):
    """Where a pod is or will be: DaemonSet pods are bound by an affinity before the scheduler sees them."""
    if pod["spec"].get("nodeName"):
        return pod["spec"]["nodeName"]
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", ()):
        for field in term.get("matchFields", ()):
            return field["values"][0]
    return ""


def status_of(program, **values):
    """The body of a daemon's /status, as far as the command line reads it."""
    return json.dumps({"version": 1, "program": program, **values}).encode()


def _bound_to(node):
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [field]}]}
        }
    }


def _condition(kind, status="True", reason="", message=""):
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
