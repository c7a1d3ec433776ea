"""A cluster with two SGX nodes and one without, the command line at it, and its daemons' answers."""

from cluster_controllers import status_of

from confcom.cli.main import main

SGX = {"confcom.io/sgx": "true"}
HELPER = ("apps/v1", "daemonsets", "confcom-system", "sgx-quote-helper")
PLUGIN = ("apps/v1", "daemonsets", "confcom-system", "sgx-device-plugin")
RESOURCE = ("confcom.io/v1alpha1", "confidentialcomputings", "", "confcom")
ENABLE = ("addon", "enable", "--image", "registry.example/confcom:1")
SIMULATE = (*ENABLE, "--simulate-epc", "8GiB")
# Blocks a pod that runs and is not ready.
STARTING = {"waiting": {"reason": "PodInitializing"}}


class Cluster:
    """A cluster with two SGX nodes and one without, and the command line at it."""

    def __init__(self, running, controllers, capsys):
        self.running, self.api, self.controllers, self._capsys = running, running.api, controllers, capsys

    def run(self, *arguments):
        """Exit code, stdout and stderr of one command."""
        self._capsys.readouterr()
        code = main([*arguments, "--kubeconfig", str(self.running.kubeconfig)])
        out, err = self._capsys.readouterr()
        return code, out, err

    def snapshot(self):
        return {
            key: stored.item["metadata"]["resourceVersion"]
            for key, stored in self.api.objects.items()
            if key[1] != "nodes"
        }

    def contents(self):
        """What there is but nodes and pods, as somebody wanted it: without status, and what counts the writes."""
        counters = ("uid", "resourceVersion", "generation", "annotations")
        return {
            key: stored.item
            | {"metadata": {k: v for k, v in stored.item["metadata"].items() if k not in counters}, "status": {}}
            for key, stored in self.api.objects.items()
            if key[1] not in ("nodes", "pods")
        }

    def kinds(self):
        return {key[1] for key in self.api.objects} - {"nodes", "namespaces"}

    def writes(self):
        return [
            (verb, path) for verb, path, query in self.api.requests if verb != "GET" and query.get("dryRun") != "All"
        ]


CONDITION = {"type": "Verified", "status": True, "reason": "Verified", "message": "m", "since": "s"}


def daemons_answer(cluster, *, generation=1, **helper):
    for node in ("sgx-1", "sgx-2"):
        plugin = status_of(
            "sgx-device-plugin",
            ready=True,
            problem=None,
            generation=generation,
            epc_mib=8284,
            reserved_mib=92,
            simulated=False,
        )
        cluster.api.pod_answers[f"sgx-device-plugin-{node}-{generation}", 9410, "/status"] = plugin
        values = {
            "ready": True,
            "problem": None,
            "role": "serving",
            "workers": [{}],
            "last_check": "2026-11-25T10:00:00Z",
            "condition": CONDITION,
            "simulated": False,
            "generation": generation,
        }
        body = status_of("sgx-quote-helper", **(values | helper))
        cluster.api.pod_answers[f"sgx-quote-helper-{node}-{generation}", 9411, "/status"] = body
