"""Asking the node pods: each by its own port, and none in vain where the way to all of them is closed."""

import json
import threading
import weakref

import pytest

from confcom.addon import observation
from confcom.addon.live import PARALLEL_CALLS, hear, read_nodes
from confcom.addon.spec import Spec
from confcom.errors import KubeAPIError

REFUSED = "more is not known: you may not use pods/proxy (docs/reference/rbac.md)"


class Proxy:
    """The API server's pod proxy: `answer(pod)` gives a status, or the error to raise."""

    def __init__(self, answer):
        self._answer = answer
        self._lock = threading.Lock()
        self.asked = []

    def ask_pod(self, namespace, pod, port, path):
        assert (namespace, path) == ("confcom-system", "/status")
        with self._lock:
            self.asked.append((pod, port))
        found = self._answer(pod)
        if isinstance(found, Exception):
            raise found
        return json.dumps(found).encode()


def pods(count, phase="Running"):
    labels = {"confcom.io/component": "sgx-device-plugin"}
    metadata = {"namespace": "confcom-system", "labels": labels}
    return [{"metadata": metadata | {"name": f"p{n}"}, "status": {"phase": phase}} for n in range(count)]


def well(_pod):
    return {"program": "sgx-device-plugin", "ready": True}


def silent(_pod):
    return KubeAPIError("no answer within 5 s", status=0)


def refused(_pod):
    return KubeAPIError("forbidden", status=403)


def test_every_running_pod_is_asked():
    proxy = Proxy(well)
    heard = hear(proxy, pods(3 * PARALLEL_CALLS))
    assert len(proxy.asked) == len(heard) == 3 * PARALLEL_CALLS
    assert all(said.status["ready"] for said in heard.values())
    assert {port for _, port in proxy.asked} == {9410}


def test_a_pod_of_a_silent_node_is_not_waited_for():
    proxy = Proxy(silent)
    dead = pods(1)
    dead[0]["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    assert hear(proxy, dead) == {}
    assert proxy.asked == []


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed", "Unknown"])
def test_a_pod_that_does_not_run_is_not_asked(phase):
    proxy = Proxy(well)
    assert hear(proxy, pods(2, phase)) == {}
    assert proxy.asked == []


def test_no_pod_is_no_answer():
    assert hear(Proxy(well), []) == {}


@pytest.mark.parametrize(
    ("answer", "first", "others"),
    [
        pytest.param(
            silent,
            "its HTTP port does not answer",
            f"was not asked, since none of {PARALLEL_CALLS} others answered",
            id="a policy closes the ports",
        ),
        pytest.param(refused, REFUSED, REFUSED, id="the proxy is refused"),
    ],
)
def test_where_no_pod_can_be_heard_a_thousand_are_not_waited_for(answer, first, others):
    proxy = Proxy(answer)
    heard = list(hear(proxy, pods(1000)).values())
    assert len(proxy.asked) == PARALLEL_CALLS
    assert {said.problem for said in heard[:PARALLEL_CALLS]} == {first}
    assert {said.problem for said in heard[PARALLEL_CALLS:]} == {others}
    assert len(heard) == 1000
    assert {said.is_refused for said in heard} == {answer is refused}


def test_one_that_answers_keeps_the_others_asked():
    proxy = Proxy(lambda pod: well(pod) if pod == "p15" else silent(pod))
    heard = hear(proxy, pods(PARALLEL_CALLS + 4))
    assert len(proxy.asked) == PARALLEL_CALLS + 4
    assert [name for name, said in heard.items() if said.status] == ["p15"]


class Shared(Proxy):
    """A node with two helpers on its network: each port has what `ports` says, or nobody."""

    def __init__(self, ports):
        super().__init__(None)
        self._ports = ports

    def ask_pod(self, namespace, pod, port, path):
        if port not in self._ports:
            raise KubeAPIError("connection refused", status=503)
        return json.dumps({"program": "sgx-quote-helper", "generation": self._ports[port]}).encode()


SHARED = {
    "its own": ({9411: 2}, 2, ""),
    "the second port is its own": ({9411: 1, 9412: 2}, 2, ""),
    "only the older one's": ({9411: 1}, None, "only the other helper of its node answers"),
    "both of others": ({9411: 1, 9412: 3}, None, "only the other helper of its node answers"),
    "nobody": ({}, None, "its HTTP port does not answer"),
}


@pytest.mark.parametrize("name", SHARED)
def test_a_helper_never_speaks_for_the_other_one_of_its_node(name):
    ports, generation, problem = SHARED[name]
    labels = {"confcom.io/component": "sgx-quote-helper", "pod-template-generation": "2"}
    pod = {
        "metadata": {"name": "p", "namespace": "confcom-system", "labels": labels},
        "status": {"phase": "Running"},
    }
    said = hear(Shared(ports), [pod])["p"]
    assert (said.status or {}).get("generation") == generation
    assert said.problem == problem


class Crowd(Proxy):
    """A cluster of very many pods, of which few matter; each page is gone when the next one is read."""

    def items(self, kind):
        assert kind.kind == "Pod"
        yield from pods(1)
        for number in range(1000):
            assert not self.held()
            yield self.tenant(number)

    def __init__(self):
        super().__init__(well)
        self.living = weakref.WeakSet()

    def tenant(self, number):
        limits = {"kubernetes.azure.com/sgx_epc_mem_in_MiB": "10"} if number % 100 == 0 else {}
        pod = Held(
            metadata={"name": f"t{number}", "namespace": "default"},
            spec={"nodeName": "n", "containers": [{"resources": {"limits": limits}}]},
        )
        if not limits:
            self.living.add(pod)
        return pod

    def held(self):
        """More pods without EPC than the one that is being looked at."""
        return len(self.living) > 1


class Held(dict):
    __hash__ = object.__hash__


def test_only_pods_that_matter_are_held():
    node = {
        "metadata": {
            "name": "n",
            "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "confcom.io/sgx": "true"},
        }
    }
    (view,) = read_nodes(Crowd(), Spec(), [node])
    assert view.allocated == 100


def test_a_node_is_held_without_what_most_of_it_is():
    node = {
        "metadata": {"name": "n", "managedFields": [{}]},
        "status": {"images": [{"names": ["i"]}], "allocatable": {"cpu": "2"}},
    }
    assert observation._brief(node) == {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "2"}}}
    assert observation._brief({"metadata": {"name": "n"}}) == {"metadata": {"name": "n"}}
